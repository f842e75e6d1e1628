/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages with descriptors: what comes, what is closed, and when there are
 * more than either side wants; and memory that changes no more.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/ipc/fds.h"
#include "tests/unit/support.h"

static int pair[2];

static int set_up(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
}

static int tear_down(void **state)
{
	(void)state;
	(void)close(pair[0]);
	return close(pair[1]);
}

/* @nr ends of a pipe for writing go to the other side and are closed here. */
static int send_ends(unsigned nr)
{
	int p[2], fds[FDS_MAX];

	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	for (unsigned i = 0; i < nr; i++)
		fds[i] = p[1];
	assert_int_equal(fds_send(pair[0], "abc", 3, fds, nr, 0), 0);
	(void)close(p[1]);
	return p[0];
}

/* Whether nobody has the other end any more. */
static bool ended(int end)
{
	char c;

	return read(end, &c, 1) == 0;
}

static void descriptors_come_and_close_on_exec(void **state)
{
	int end = send_ends(2), fds[3];
	char text[3];

	(void)state;
	assert_int_equal(fds_receive(pair[1], text, 3, fds, 3), 3);
	assert_memory_equal(text, "abc", 3);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fds[2], -1);
	assert_false(ended(end));
	(void)close(fds[0]);
	(void)close(fds[1]);
	assert_true(ended(end));
	(void)close(end);
}

static void those_not_asked_for_are_closed(void **state)
{
	int end = send_ends(FDS_MAX), fd;
	char c;

	(void)state;
	assert_int_equal(fds_receive(pair[1], &c, 1, &fd, 1), 3);
	assert_true(fd >= 0);
	assert_false(ended(end));
	(void)close(fd);
	assert_true(ended(end));
	(void)close(end);
}

/* More than FDS_MAX, as somebody else may send them. */
static void a_cut_list_counts_as_none(void **state)
{
	union {
		char bytes[CMSG_SPACE((FDS_MAX + 1) * sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct iovec iov = { (char[]){ 'x' }, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	int p[2], fds[FDS_MAX], *out = (int *)(void *)CMSG_DATA(h);
	char c;

	(void)state;
	assert_int_equal(pipe(p), 0);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN((FDS_MAX + 1) * sizeof(int));
	for (unsigned i = 0; i < FDS_MAX + 1; i++)
		out[i] = p[1];
	assert_int_equal(sendmsg(pair[0], &m, 0), 1);
	(void)close(p[1]);
	assert_int_equal(fds_receive(pair[1], &c, 1, fds, FDS_MAX), 1);
	for (unsigned i = 0; i < FDS_MAX; i++)
		assert_int_equal(fds[i], -1);
	assert_true(ended(p[0]));
	(void)close(p[0]);
	assert_int_equal(fds_send(pair[0], "x", 1, fds, FDS_MAX + 1, 0),
			 -EINVAL);
}

static void nobody_waits_who_did_not_ask_to(void **state)
{
	int fd, err;
	char c;

	(void)state;
	assert_int_equal(fds_receive(pair[1], &c, 1, &fd, 1), -1);
	assert_int_equal(errno, EAGAIN);
	while ((err = fds_send(pair[0], "x", 1, NULL, 0, MSG_DONTWAIT)) == 0)
		;
	assert_int_equal(err, -EAGAIN);
}

static void what_is_sealed_is_for_reading(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING), writer;
	char c = 'a', *map;

	(void)state;
	assert_int_equal(write(fd, &c, 1), 1);
	map = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(fds_seal_to_read(&fd), -EBUSY);
	assert_int_equal(pwrite(fd, "b", 1, 0), 1);
	assert_int_equal(munmap(map, 1), 0);
	writer = dup(fd);
	assert_int_equal(fds_seal_to_read(&fd), 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(pread(fd, &c, 1, 0), 1);
	assert_int_equal(c, 'b');
	assert_int_equal(pwrite(writer, "c", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(writer, 0), -1);
	(void)close(writer);
	fds_drop(&fd);
	assert_int_equal(fd, -1);
	fds_drop(&fd);
}

static void all_is_written(void **state)
{
	static char sent[300000], got[sizeof(sent)];
	int fd = memfd_create("all", MFD_CLOEXEC),
	    ro = open("/dev/null", O_RDONLY);

	(void)state;
	memset(sent, 'x', sizeof(sent));
	sent[sizeof(sent) - 1] = 'y';
	assert_int_equal(fds_write(fd, sent, sizeof(sent)), 0);
	assert_int_equal(pread(fd, got, sizeof(got), 0), sizeof(got));
	assert_memory_equal(got, sent, sizeof(sent));
	assert_int_equal(fds_write(ro, sent, 1), -EBADF);
	(void)close(fd);
	(void)close(ro);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			descriptors_come_and_close_on_exec, set_up, tear_down),
		cmocka_unit_test_setup_teardown(those_not_asked_for_are_closed,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_cut_list_counts_as_none,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_waits_who_did_not_ask_to,
						set_up, tear_down),
		cmocka_unit_test(what_is_sealed_is_for_reading),
		cmocka_unit_test(all_is_written),
	};

	return cmocka_run_group_tests_name("fds", tests, NULL, NULL);
}
