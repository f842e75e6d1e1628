/* SPDX-License-Identifier: BSD-2-Clause */
/* struct disk over a real file; each test with io_uring and without. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cowdisk/disk/disk.h"
#include "tests/unit/support.h"

#define BYTES 65536u
#define DEPTH 8u

struct bench {
	struct disk *d;
	int file;
	unsigned done;
	int err; /* of the last one done */
};

struct request {
	struct disk_req r;
	struct bench *b;
	struct iovec iov[4];
};

static void done(struct disk_req *r, int err)
{
	struct bench *b = container_of(r, struct request, r)->b;

	b->done++;
	b->err = err;
}

static int temp_file(void)
{
	char path[] = "/tmp/disco-test.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	return fd;
}

/* Without a free descriptor number there is no ring. */
static void open_sync(int fd, bool read_only, struct disk **d)
{
	struct rlimit before, none;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(disk_open(fd, read_only, DEPTH, d), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_false(disk_is_async(*d));
	assert_int_equal(disk_event_fd(*d), -1);
}

static struct bench *make(bool ring, bool read_only)
{
	struct bench *b = calloc(1, sizeof(*b));
	int fd;

	assert_non_null(b);
	b->file = temp_file();
	fd = fcntl(b->file, F_DUPFD_CLOEXEC, 0);
	if (ring)
		assert_int_equal(disk_open(fd, read_only, DEPTH, &b->d), 0);
	else
		open_sync(fd, read_only, &b->d);
	return b;
}

static int setup_ring(void **state)
{
	*state = make(true, false);
	return 0;
}

static int setup_sync(void **state)
{
	*state = make(false, false);
	return 0;
}

static int setup_ring_ro(void **state)
{
	*state = make(true, true);
	return 0;
}

static int setup_sync_ro(void **state)
{
	*state = make(false, true);
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	disk_close(b->d);
	disk_close(NULL);
	(void)close(b->file);
	free(b);
	return 0;
}

static void wait_for(struct bench *b, unsigned n)
{
	while (b->done < n) {
		assert_true(disk_is_async(b->d));
		assert_true(wait_readable(disk_event_fd(b->d)));
		disk_complete(b->d);
	}
	disk_complete(b->d); /* nothing left: harmless */
	assert_int_equal(b->done, n);
}

static void prepare(struct bench *b, struct request *q, enum disk_op op,
		    uint64_t offset, unsigned nr_iov)
{
	q->b = b;
	q->r = (struct disk_req){ .op = op,
				  .offset = offset,
				  .iov = q->iov,
				  .nr_iov = nr_iov,
				  .done = done };
}

/* One request of one piece, to its end. */
static int run(struct bench *b, enum disk_op op, uint64_t offset, void *buf,
	       size_t bytes)
{
	struct request q;
	unsigned before = b->done;
	int err;

	prepare(b, &q, op, offset, op == DISK_FLUSH ? 0 : 1);
	q.iov[0] = (struct iovec){ buf, bytes };
	err = disk_submit(b->d, &q.r);
	if (err)
		return err;
	wait_for(b, before + 1);
	return b->err;
}

static void what_is_written_is_read(void **state)
{
	struct bench *b = *state;
	char out[4096], in[4096];

	memset(out, 'w', sizeof(out));
	assert_int_equal(run(b, DISK_WRITE, 8192, out, sizeof(out)), 0);
	assert_int_equal(run(b, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(run(b, DISK_READ, 8192, in, sizeof(in)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(pread(b->file, in, 4096, 8192), 4096);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(run(b, DISK_READ, 4096, in, 4096), 0);
	assert_int_equal(in[4095], 0);
}

static void pieces_are_filled_in_order(void **state)
{
	struct bench *b = *state;
	char data[1024], a[1], c[1000], e[23];
	struct request q;

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (char)i;
	assert_int_equal(pwrite(b->file, data, 1024, 512), 1024);
	prepare(b, &q, DISK_READ, 512, 3);
	q.iov[0] = (struct iovec){ a, sizeof(a) };
	q.iov[1] = (struct iovec){ c, sizeof(c) };
	q.iov[2] = (struct iovec){ e, sizeof(e) };
	assert_int_equal(disk_submit(b->d, &q.r), 0);
	wait_for(b, 1);
	assert_int_equal(b->err, 0);
	assert_memory_equal(a, data, 1);
	assert_memory_equal(c, data + 1, 1000);
	assert_memory_equal(e, data + 1001, 23);
}

static void file_cut_short_is_an_error(void **state)
{
	struct bench *b = *state;
	char buf[4096];

	memset(buf, 'x', sizeof(buf));
	assert_int_equal(ftruncate(b->file, 1000), 0);
	assert_int_equal(run(b, DISK_READ, 0, buf, sizeof(buf)), -EIO);
	assert_int_equal(buf[999], 0); /* the part that is there was read */
	assert_int_equal(buf[1000], 'x');
	assert_int_equal(run(b, DISK_READ, 4096, buf, 512), -EIO);
	assert_int_equal(run(b, DISK_READ, 0, buf, 1000), 0);
}

#define PIECE  MIB(8)
#define PIECES 258u

/*
 * More than a system call moves (2 GiB less a page): it comes in two parts,
 * cut in the middle of a piece. Every piece is the same memory, with nothing
 * behind it; the file is a hole with one byte at its end.
 */
static void more_than_2_gib(void **state)
{
	static struct iovec iov[PIECES];
	int fd = memfd_create("huge", MFD_CLOEXEC);
	char *buf = mmap(NULL, PIECE + 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct bench b = { .file = fd };
	struct request q;

	(void)state;
	assert_ptr_not_equal(buf, MAP_FAILED);
	assert_int_equal(mprotect(buf + PIECE, 4096, PROT_NONE), 0);
	assert_int_equal(pwrite(fd, "!", 1, PIECE * PIECES - 1), 1);
	for (unsigned i = 0; i < PIECES; i++)
		iov[i] = (struct iovec){ buf, PIECE };
	open_sync(fd, true, &b.d);
	prepare(&b, &q, DISK_READ, 0, PIECES);
	q.r.iov = iov;
	assert_int_equal(disk_submit(b.d, &q.r), 0);
	assert_int_equal(b.done, 1);
	assert_int_equal(b.err, 0);
	assert_int_equal(buf[PIECE - 1], '!');
	disk_close(b.d);
	(void)munmap(buf, PIECE + 4096);
}

static void bad_buffer_is_an_error(void **state)
{
	struct bench *b = *state;

	assert_int_equal(run(b, DISK_READ, 0, (void *)16, 512), -EFAULT);
	assert_int_equal(run(b, DISK_WRITE, 0, (void *)16, 512), -EFAULT);
}

static void nonsense_is_refused(void **state)
{
	struct bench *b = *state;
	struct request q;

	prepare(b, &q, DISK_READ, 0, 0);
	assert_int_equal(disk_submit(b->d, &q.r), -EINVAL);
	prepare(b, &q, DISK_WRITE, 0, IOV_MAX + 1);
	assert_int_equal(disk_submit(b->d, &q.r), -EINVAL);
	assert_int_equal(b->done, 0);
}

static void many_at_once(void **state)
{
	struct bench *b = *state;
	struct request q[DEPTH];
	char buf[DEPTH][512];

	for (unsigned i = 0; i < DEPTH; i++) {
		memset(buf[i], (char)('a' + i), 512);
		prepare(b, &q[i], DISK_WRITE, 512 * i, 1);
		q[i].iov[0] = (struct iovec){ buf[i], 512 };
		assert_int_equal(disk_submit(b->d, &q[i].r), 0);
	}
	if (disk_is_async(b->d)) { /* one more than agreed: not now */
		struct request more;

		prepare(b, &more, DISK_FLUSH, 0, 0);
		assert_int_equal(disk_submit(b->d, &more.r), -EAGAIN);
	}
	wait_for(b, DEPTH);
	for (unsigned i = 0; i < DEPTH; i++) {
		char got[512];

		assert_int_equal(pread(b->file, got, 512, 512 * i), 512);
		assert_memory_equal(got, buf[i], 512);
	}
	assert_int_equal(run(b, DISK_FLUSH, 0, NULL, 0), 0);
}

static void read_only_refuses_writes(void **state)
{
	struct bench *b = *state;
	char buf[512] = { 'x' };

	assert_int_equal(run(b, DISK_WRITE, 0, buf, 512), -EROFS);
	assert_int_equal(b->done, 0);
	assert_int_equal(run(b, DISK_READ, 0, buf, 512), 0);
	assert_int_equal(run(b, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(buf[0], 0);
}

static void no_io_uring(void **state)
{
	(void)state;
	SKIP("the kernel refuses io_uring");
}

static bool have_rings(void)
{
	struct bench *b = make(true, false);
	bool yes = disk_is_async(b->d);
	void *state = b;

	(void)teardown(&state);
	return yes;
}

int main(void)
{
#define RING(f, s)                                                             \
	{                                                                      \
		"ring/" #f, f, s, teardown, NULL                               \
	}
#define SYNC(f, s)                                                             \
	{                                                                      \
		"sync/" #f, f, s, teardown, NULL                               \
	}
	const struct CMUnitTest sync[] = {
		cmocka_unit_test(more_than_2_gib),
		SYNC(what_is_written_is_read, setup_sync),
		SYNC(pieces_are_filled_in_order, setup_sync),
		SYNC(file_cut_short_is_an_error, setup_sync),
		SYNC(bad_buffer_is_an_error, setup_sync),
		SYNC(nonsense_is_refused, setup_sync),
		SYNC(many_at_once, setup_sync),
		SYNC(read_only_refuses_writes, setup_sync_ro),
	};
	const struct CMUnitTest ring[] = {
		RING(what_is_written_is_read, setup_ring),
		RING(pieces_are_filled_in_order, setup_ring),
		RING(file_cut_short_is_an_error, setup_ring),
		RING(bad_buffer_is_an_error, setup_ring),
		RING(nonsense_is_refused, setup_ring),
		RING(many_at_once, setup_ring),
		RING(read_only_refuses_writes, setup_ring_ro),
	};
	const struct CMUnitTest none[] = { cmocka_unit_test(no_io_uring) };
	int failed = cmocka_run_group_tests_name("sync", sync, NULL, NULL);

	if (have_rings())
		return failed +
		       cmocka_run_group_tests_name("ring", ring, NULL, NULL);
	return failed + cmocka_run_group_tests_name("ring", none, NULL, NULL);
}
