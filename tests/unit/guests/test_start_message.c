/* SPDX-License-Identifier: BSD-2-Clause */
/* What a starter's child sends, and what the monitor refuses of it. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "monitor/control/guests/start_message.h"
#include "tests/unit/support.h"

static struct start_message good(void)
{
	struct start_message m = {
		.kind = START_VM,
		.vm = { .record = { .name = "web",
				    .pid = 42,
				    .pid_start = 7,
				    .node = NODE_AUTO,
				    .nr_vcpus = 1,
				    .memory_bytes = MIB(16),
				    .kernel = "/k",
				    .group = GROUP_DEFAULT },
			.boot = { .entry_kind = BOOT_PVH } },
	};

	return m;
}

static void a_record_has_to_make_sense(void **state)
{
	static struct start_message m[9];
	const uint8_t two = 2;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(m); i++) {
		m[i] = good();
		assert_true(start_message_sane(&m[i]));
	}
	memset(m[0].vm.record.name, 'a', sizeof(m[0].vm.record.name));
	memset(m[1].vm.record.kernel, 'a', sizeof(m[1].vm.record.kernel));
	memset(m[2].vm.record.group, 'a', sizeof(m[2].vm.record.group));
	m[3].vm.record.nr_cached = VM_MAX_DISKS + 1;
	m[4].vm.record.pid = 1;
	memcpy(&m[5].vm.record.fixed, &two, sizeof(two));
	m[6].vm.boot.nr_extents = BOOT_MAX_EXTENTS + 1;
	m[7].vm.boot.entry_kind = 99;
	m[8].vm.record.nr_cached = 1;
	m[8].vm.record.cached[0].disk = VM_MAX_DISKS;
	for (unsigned i = 0; i < ARRAY_SIZE(m); i++)
		assert_false(start_message_sane(&m[i]));
}

static void a_failure_says_why(void **state)
{
	struct start_message m = { .kind = START_FAILED };

	(void)state;
	assert_false(start_message_sane(&m)); /* ST_OK */
	m.failed.status = ST_HOST;
	assert_true(start_message_sane(&m));
	memset(m.failed.text, 'a', sizeof(m.failed.text));
	assert_false(start_message_sane(&m));
	m.kind = START_FAILED + 1;
	assert_false(start_message_sane(&m));
}

/* Return: what the monitor gets of it. */
static int pass(const struct start_message *m, size_t len, const int *fds,
		unsigned nr)
{
	static struct start_message out;
	int pair[2], got[FDS_MAX], err;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fds_send(pair[0], m, len, fds, nr, MSG_DONTWAIT), 0);
	err = start_message_receive(pair[1], &out, got);
	for (unsigned i = 0; i < FDS_MAX; i++)
		assert_int_equal(got[i] >= 0, !err && i < nr);
	fds_close(got, FDS_MAX);
	(void)close(pair[0]);
	(void)close(pair[1]);
	return err;
}

static void descriptors_belong_to_the_kind(void **state)
{
	const size_t len = MESSAGE_BYTES(start_message, vm);
	const size_t failed_len = MESSAGE_BYTES(start_message, failed);
	struct start_message m = good();
	int s[2], log[2], boot = memfd_create("boot", MFD_CLOEXEC);
	int fds[START_NR_FDS];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s),
			 0);
	assert_int_equal(pipe(log), 0);
	fds[START_FD_PIDFD] = boot;
	fds[START_FD_CONTROL] = s[0];
	fds[START_FD_CONSOLE] = s[1];
	fds[START_FD_LOG] = log[0];
	fds[START_FD_BOOT] = boot;
	assert_int_equal(pass(&m, len, fds, START_NR_FDS), 0);
	assert_int_equal(pass(&m, len - 1, fds, START_NR_FDS), -EBADMSG);
	assert_int_equal(pass(&m, len, fds, START_NR_FDS - 1), -EBADF);
	assert_int_equal(pass(&m, len, NULL, 0), -EBADF);
	fds[START_FD_LOG] = s[0];
	assert_int_equal(pass(&m, len, fds, START_NR_FDS), -EBADF);
	fds[START_FD_LOG] = log[0];
	m.vm.record.pid = 0;
	assert_int_equal(pass(&m, len, fds, START_NR_FDS), -EINVAL);
	m = (struct start_message){ .kind = START_FAILED,
				    .failed.status = ST_HOST };
	assert_int_equal(pass(&m, failed_len, NULL, 0), 0);
	assert_int_equal(pass(&m, failed_len, fds, 1), -EBADF);
	m.kind = 3;
	assert_int_equal(pass(&m, failed_len, NULL, 0), -EPROTO);
	fds_close(s, 2);
	fds_close(log, 2);
	(void)close(boot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_has_to_make_sense),
		cmocka_unit_test(a_failure_says_why),
		cmocka_unit_test(descriptors_belong_to_the_kind),
	};

	return cmocka_run_group_tests_name("start_message", tests, NULL, NULL);
}
