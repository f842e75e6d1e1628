/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the monitor says of guests that have ended, and when: not before their
 * disks are free.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/control/base/process.h"
#include "tests/unit/guests/monitor_calls.h"

static char disk[256], hold[256];

static void make_file(char path[256], const char *name, off_t bytes)
{
	int fd;

	(void)snprintf(path, 256, "%s/%s", getenv("DISCO_STATE_DIR"), name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	(void)close(fd);
}

static int set_up_disk(void **state)
{
	make_file(disk, "disk.raw", MIB(1));
	make_file(hold, "hold", 0);
	(void)setenv("DISCO_TEST_HOLD", hold, 1);
	return set_up(state);
}

static void start_with_disk(const char *name, const char *how)
{
	start_vm_with(name, "/kernel", ",\"disks\":[{\"path\":\"%s\"%s}]", disk,
		      how);
}

/* --- disks --- */

/* The kernel still has the disk; so a next guest could not have it. */
static void an_end_waits_for_the_disks(void **state)
{
	char body[512];

	(void)state;
	start_with_disk("lock.a", "");
	vm_call("lock.a", "pause"); /* what holds the disk is there */
	assert_int_equal(kill(pid_of("lock.a"), SIGKILL), 0);
	expect("lock.a", "stopping", 0);
	(void)snprintf(body, sizeof(body),
		       "{\"name\":\"obey.b\",\"kernel\":\"/kernel\","
		       "\"memory\":\"16M\",\"disks\":[{\"path\":\"%s\"}]}",
		       disk);
	refused("POST", "/v1/vms", body, ST_DISK, "in use");
	assert_int_equal(unlink(hold), 0);
	expect("lock.a", "ended", ST_WORKER_SIGNAL);
	start_with_disk("obey.b", "");
	vm_call("obey.b", "kill");
}

/* A reader that goes on is not what the end of another one waits for. */
static void other_readers_are_not_waited_for(void **state)
{
	(void)state;
	start_with_disk("obey.r", ",\"ro\":true");
	start_with_disk("lock.r", ",\"ro\":true");
	vm_call("lock.r", "pause");
	assert_int_equal(kill(pid_of("lock.r"), SIGKILL), 0);
	expect("lock.r", "stopping", 0);
	assert_int_equal(unlink(hold), 0);
	expect("lock.r", "ended", ST_WORKER_SIGNAL);
	expect("obey.r", "running", 0);
	vm_call("obey.r", "kill");
}

/* What it was handed over by an earlier monitor makes no difference. */
static void an_adopted_end_waits_as_well(void **state)
{
	(void)state;
	start_with_disk("lock.k", "");
	end_monitor(SIGKILL);
	(void)close(log_fd);
	start_monitor();
	vm_call("lock.k", "pause");
	assert_int_equal(kill(pid_of("lock.k"), SIGKILL), 0);
	expect("lock.k", "stopping", 0);
	assert_int_equal(unlink(hold), 0);
	expect("lock.k", "ended", (int)killed_after_adoption());
}

/* One that is stopped while it dies is not started again by its policy. */
static void a_stop_counts_to_the_end(void **state)
{
	(void)state;
	start_vm_with("lock.s", "/kernel",
		      ",\"restart\":\"always\",\"disks\":[{\"path\":\"%s\"}]",
		      disk);
	vm_call("lock.s", "pause"); /* what holds the disk is there */
	assert_int_equal(kill(pid_of("lock.s"), SIGKILL), 0);
	expect("lock.s", "stopping", 0);
	json_decref(call("POST", "/v1/vms/lock.s/stop", "{\"wait\":false}"));
	assert_int_equal(unlink(hold), 0);
	expect("lock.s", "ended", ST_WORKER_SIGNAL);
}

static void a_disk_is_free_after_each_end(void **state)
{
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 24; i++) {
		(void)snprintf(name, sizeof(name), "ring.%u", i);
		start_with_disk(name, "");
		vm_call(name, i % 2 ? "kill" : "stop");
	}
}

/* --- signals --- */

/* Of one that is not a child of this monitor. */
static void the_signal_of_an_adopted_worker_is_told(void **state)
{
	static const int sigs[] = { SIGKILL, SIGSEGV, SIGSYS };
	char name[32], line[64];

	(void)state;
	if (killed_after_adoption() != ST_WORKER_SIGNAL)
		SKIP("this kernel tells only the parent how a process ended");
	for (unsigned i = 0; i < ARRAY_SIZE(sigs); i++) {
		(void)snprintf(name, sizeof(name), "obey.s%u", i);
		start_vm(name);
	}
	end_monitor(SIGKILL);
	(void)close(log_fd);
	start_monitor();
	for (unsigned i = 0; i < ARRAY_SIZE(sigs); i++) {
		(void)snprintf(name, sizeof(name), "obey.s%u", i);
		assert_int_equal(kill(pid_of(name), sigs[i]), 0);
		expect(name, "ended",
		       sigs[i] == SIGSYS ? ST_WORKER_SECCOMP
					 : ST_WORKER_SIGNAL);
		(void)snprintf(line, sizeof(line),
			       sigs[i] == SIGSYS
				       ? "%s: worker killed by its system call"
				       : "%s: worker killed by signal",
			       name);
		said(line);
	}
}

/* In place of the kernel's count: at each look as many more. */
static uint64_t oom_more;

uint64_t process_oom_kills(void)
{
	static uint64_t kills;

	kills += oom_more;
	return kills;
}

static int set_up_oom(void **state)
{
	oom_more = 1;
	return set_up(state);
}

static int tear_down_oom(void **state)
{
	oom_more = 0;
	return tear_down(state);
}

static void a_guest_that_is_killed_for_memory_says_so(void **state)
{
	(void)state;
	start_vm("obey.oom");
	assert_int_equal(kill(pid_of("obey.oom"), SIGKILL), 0);
	expect("obey.oom", "ended", ST_WORKER_SIGNAL);
	said("obey.oom: worker killed by signal 9 (Killed), by all signs for "
	     "memory");
	start_vm("obey.cut");
	vm_call("obey.cut", "kill");
	said("obey.cut: killed by the operator");
}

/* What the operator did is no surprise. */
static void an_adopted_worker_is_killed_on_request(void **state)
{
	(void)state;
	start_vm("obey.k");
	end_monitor(SIGKILL);
	(void)close(log_fd);
	start_monitor();
	vm_call("obey.k", "kill");
	expect("obey.k", "ended", ST_STOPPED);
	said("obey.k: killed by the operator");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define WITH_MONITOR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define WITH_DISK(f)	cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down)
		WITH_DISK(an_end_waits_for_the_disks),
		WITH_DISK(other_readers_are_not_waited_for),
		WITH_DISK(an_adopted_end_waits_as_well),
		WITH_DISK(a_stop_counts_to_the_end),
		WITH_DISK(a_disk_is_free_after_each_end),
		WITH_MONITOR(the_signal_of_an_adopted_worker_is_told),
		WITH_MONITOR(an_adopted_worker_is_killed_on_request),
		cmocka_unit_test_setup_teardown(
			a_guest_that_is_killed_for_memory_says_so, set_up_oom,
			tear_down_oom),
	};
	int failed;

	if (!monitor_calls_begin(argc, argv))
		return 1;
	failed = cmocka_run_group_tests_name("monitor's ends", tests, NULL,
					     NULL);
	monitor_calls_end();
	return failed;
}
