/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/ipc/messages.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* One descriptor of each type; the sixth is one too many for any kind. */
struct ends {
	int by_type[MESSAGE_PIDFD + 1];
	int sock[2], pipe[2];
};

static void ends_make(struct ends *e)
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->sock),
		0);
	assert_int_equal(pipe(e->pipe), 0);
	e->by_type[MESSAGE_MEMORY] = memfd_create("m", MFD_CLOEXEC);
	assert_true(e->by_type[MESSAGE_MEMORY] >= 0);
	e->by_type[MESSAGE_FILE] = e->by_type[MESSAGE_MEMORY];
	e->by_type[MESSAGE_SOCKET] = e->sock[0];
	e->by_type[MESSAGE_PIPE] = e->pipe[0];
	e->by_type[MESSAGE_PIDFD] = e->pipe[1];
}

static void ends_drop(struct ends *e)
{
	(void)close(e->by_type[MESSAGE_MEMORY]);
	(void)close(e->sock[0]);
	(void)close(e->sock[1]);
	(void)close(e->pipe[0]);
	(void)close(e->pipe[1]);
}

static int lowest_free(void)
{
	int fd = dup(0);

	assert_true(fd >= 0);
	(void)close(fd);
	return fd;
}

static int pass_all(const struct direction *d, const void *bytes, size_t len,
		    const int *fds, unsigned nr, void *out)
{
	int pair[2], got[FDS_MAX], err, free_fd = lowest_free();
	unsigned came = 0;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fds_send(pair[0], bytes, len, fds, nr, MSG_DONTWAIT),
			 0);
	err = d->receive(pair[1], out, got);
	for (unsigned i = 0; i < FDS_MAX; i++)
		came += got[i] >= 0;
	assert_int_equal(came, err ? 0 : nr);
	fds_close(got, FDS_MAX);
	(void)close(pair[0]);
	(void)close(pair[1]);
	assert_int_equal(lowest_free(), free_fd);
	return err;
}

int message_pass(const struct direction *d, const void *bytes, size_t len,
		 const int *fds, unsigned nr)
{
	_Alignas(16) static uint8_t out[MESSAGES_MAX];

	return pass_all(d, bytes, len, fds, nr, out);
}

static size_t make(const struct direction *d, uint32_t kind, void *bytes)
{
	const struct message_head head = { .kind = kind, .id = 77 };

	memset(bytes, 0, MESSAGES_MAX);
	memcpy(bytes, &head, sizeof(head));
	return d->fill(bytes);
}

static unsigned right_fds(const struct message_kind *k, const struct ends *e,
			  int fds[FDS_MAX + 1])
{
	unsigned nr = message_nr_fds(k);

	for (unsigned i = 0; i < nr; i++)
		fds[i] = e->by_type[k->fds[i]];
	return nr;
}

/* Each kind of the table: its message, its descriptors. */
static void
each_kind(const struct direction *d,
	  void (*try)(const struct direction *d, const struct message_kind *k,
		      const void *bytes, size_t len, const struct ends *e))
{
	_Alignas(16) static uint8_t bytes[MESSAGES_MAX];
	unsigned nr = 0;
	struct ends e;

	ends_make(&e);
	for (uint32_t kind = 0; kind < d->table->nr_kinds; kind++) {
		const struct message_kind *k = message_find(d->table, kind);

		if (!k)
			continue;
		try(d, k, bytes, make(d, kind, bytes), &e);
		nr++;
	}
	assert_true(nr > 1);
	ends_drop(&e);
}

static void taken(const struct direction *d, const struct message_kind *k,
		  const void *bytes, size_t len, const struct ends *e)
{
	_Alignas(16) static uint8_t out[MESSAGES_MAX];
	int fds[FDS_MAX + 1];
	unsigned nr = right_fds(k, e, fds);

	assert_int_equal(pass_all(d, bytes, len, fds, nr, out), 0);
	assert_memory_equal(out, bytes, len);
}

void messages_are_taken(void **state)
{
	const struct direction *d = *state;

	for (unsigned i = 0; i < NR_DIRECTIONS; i++)
		each_kind(&d[i], taken);
}

static void cut(const struct direction *d, const struct message_kind *k,
		const void *bytes, size_t len, const struct ends *e)
{
	int fds[FDS_MAX + 1];
	unsigned nr = right_fds(k, e, fds);

	/* Of nothing at all a receiver cannot tell an end. */
	for (size_t n = 1; n < len; n++)
		assert_int_equal(message_pass(d, bytes, n, fds, nr), -EBADMSG);
	for (size_t n = len + 1; n < len + 32; n++)
		assert_int_equal(message_pass(d, bytes, n, fds, nr), -EBADMSG);
	assert_int_equal(message_pass(d, bytes, MESSAGES_MAX, fds, nr),
			 -EBADMSG);
}

void messages_cut_are_refused(void **state)
{
	const struct direction *d = *state;

	for (unsigned i = 0; i < NR_DIRECTIONS; i++)
		each_kind(&d[i], cut);
}

static void no_kind(const struct direction *d)
{
	const uint32_t kinds[] = { 0, d->table->nr_kinds, 99, 0x80000000u,
				   UINT32_MAX };
	struct message_head head = { .id = 1 };

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		head.kind = kinds[i];
		assert_int_equal(message_pass(d, &head, sizeof(head), NULL, 0),
				 d->unknown);
	}
}

void messages_of_no_kind_are_refused(void **state)
{
	const struct direction *d = *state;

	for (unsigned i = 0; i < NR_DIRECTIONS; i++)
		no_kind(&d[i]);
}

static void wrong_fds(const struct direction *d, const struct message_kind *k,
		      const void *bytes, size_t len, const struct ends *e)
{
	int fds[FDS_MAX + 1];
	unsigned nr = right_fds(k, e, fds);

	for (unsigned n = 0; n < nr; n++)
		assert_int_equal(message_pass(d, bytes, len, fds, n), -EBADF);
	if (nr < FDS_MAX) {
		fds[nr] = e->by_type[MESSAGE_MEMORY];
		assert_int_equal(message_pass(d, bytes, len, fds, nr + 1),
				 -EBADF);
	}
	for (unsigned i = 0; i < nr; i++) {
		bool pipe = k->fds[i] == MESSAGE_PIPE;
		int right = fds[i];

		if (k->fds[i] == MESSAGE_PIDFD)
			continue;
		fds[i] = e->by_type[pipe ? MESSAGE_SOCKET : MESSAGE_PIPE];
		assert_int_equal(message_pass(d, bytes, len, fds, nr), -EBADF);
		fds[i] = right;
	}
}

void messages_with_wrong_fds_are_refused(void **state)
{
	const struct direction *d = *state;

	for (unsigned i = 0; i < NR_DIRECTIONS; i++)
		each_kind(&d[i], wrong_fds);
}
