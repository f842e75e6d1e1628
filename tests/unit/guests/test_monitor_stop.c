/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor does to shut VMs down, to end them, and to start them again. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "tests/unit/guests/monitor_calls.h"

static json_int_t vm_number(const char *name, const char *key)
{
	char path[128];
	json_t *vm, *v;
	json_int_t n;

	(void)snprintf(path, sizeof(path), "/v1/vms/%s", name);
	vm = call("GET", path, NULL);
	v = json_object_get(vm, key);
	n = json_is_integer(v) ? json_integer_value(v) : -1;
	json_decref(vm);
	return n;
}

static bool vm_text_has(const char *name, const char *key, const char *what)
{
	char path[128];
	json_t *vm;
	bool has;

	(void)snprintf(path, sizeof(path), "/v1/vms/%s", name);
	vm = call("GET", path, NULL);
	has = strstr(json_string_value(json_object_get(vm, key)), what);
	json_decref(vm);
	return has;
}

static void vm_call_with(const char *name, const char *action, const char *body)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/v1/vms/%s/%s", name, action);
	json_decref(call("POST", path, body));
}

static void new_monitor(void)
{
	end_monitor(SIGKILL);
	(void)close(log_fd);
	start_monitor();
}

/* --- stopping --- */

static void the_button_comes_first(void **state)
{
	(void)state;
	start_vm("obey.b");
	vm_call("obey.b", "stop");
	expect("obey.b", "ended", ST_OK);
	assert_int_equal(vm_number("obey.b", "stop_left_ms"), -1);
	/* A paused guest could do nothing about it. */
	start_vm("obey.p");
	vm_call("obey.p", "pause");
	vm_call("obey.p", "stop");
	expect("obey.p", "ended", ST_OK);
}

static void who_is_late_is_killed(void **state)
{
	uint64_t begin = clock_now_ns();

	(void)state;
	start_vm("stay");
	vm_call_with("stay", "stop", "{\"timeout_s\": 1}");
	assert_true(clock_now_ns() - begin >= 1000000000u);
	expect("stay", "ended", ST_STOPPED);
	said("stay: guest did not shut down within 1 s and was killed");
	assert_true(vm_text_has("stay", "message", "within 1 s"));
	start_vm("stay.0");
	vm_call_with("stay.0", "stop", "{\"timeout_s\": 0}");
	expect("stay.0", "ended", ST_STOPPED);
}

static void who_is_being_stopped_can_be_killed(void **state)
{
	json_int_t left;

	(void)state;
	start_vm("stay.k");
	assert_int_equal(vm_number("stay.k", "stop_left_ms"), -1);
	vm_call_with("stay.k", "stop", "{\"wait\": false}");
	expect("stay.k", "stopping", 0);
	left = vm_number("stay.k", "stop_left_ms");
	assert_in_range(left, 1, 60000);
	/* The last word counts. */
	vm_call_with("stay.k", "stop", "{\"wait\":false,\"timeout_s\":1000}");
	assert_in_range(vm_number("stay.k", "stop_left_ms"), 60001, 1000000);
	vm_call("stay.k", "kill");
	expect("stay.k", "ended", ST_STOPPED);
	said("stay.k: killed by the operator");
}

static void wishes_are_checked(void **state)
{
	static const char *const bad[] = {
		"{",
		"[]",
		"{\"timeout_s\":-1}",
		"{\"timeout_s\":86401}",
		"{\"timeout_s\":\"5\"}",
		"{\"wait\":1}",
		"{\"other\":1}",
	};

	(void)state;
	start_vm("stay.w");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		refused("POST", "/v1/vms/stay.w/stop", bad[i], ST_CONFIG,
			"\"timeout_s\" is 0 to 86400");
		refused("POST", "/v1/vms/stay.w/restart", bad[i], ST_CONFIG,
			"\"timeout_s\" is 0 to 86400");
	}
	refused("POST", "/v1/vms/none/restart", NULL, ST_NO_VM, "no VM");
	expect("stay.w", "running", 0);
	vm_call("stay.w", "kill");
}

/* --- starting again --- */

static void a_vm_is_restarted(void **state)
{
	pid_t pid;

	(void)state;
	start_vm_with("obey.r", "/kernel", "%s", ",\"cpus\":3");
	pid = pid_of("obey.r");
	vm_call("obey.r", "restart");
	assert_int_not_equal(pid_of("obey.r"), pid);
	assert_int_equal(vm_number("obey.r", "restarts"), 1);
	assert_int_equal(vm_number("obey.r", "vcpus"), 3);
	/* The next monitor knows what it was started with, and how often. */
	new_monitor();
	vm_call("obey.r", "restart");
	assert_int_equal(vm_number("obey.r", "restarts"), 2);
	assert_int_equal(vm_number("obey.r", "vcpus"), 3);
	/* Also one that has ended. */
	vm_call("obey.r", "stop");
	expect("obey.r", "ended", ST_OK);
	vm_call("obey.r", "restart");
	assert_int_equal(vm_number("obey.r", "restarts"), 3);
	/* One that is late is killed, and started. */
	start_vm("stay.r");
	vm_call_with("stay.r", "restart", "{\"timeout_s\": 0}");
	expect("stay.r", "running", 0);
	vm_call("stay.r", "kill");
	vm_call("obey.r", "kill");
}

static void a_restart_that_fails_is_told(void **state)
{
	static const char path[] = "/tmp/disco-test-restart.raw";
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, MIB(1)), 0);
	(void)close(fd);
	start_vm_with("obey.d", "/kernel", ",\"disks\":[{\"path\":\"%s\"}]",
		      path);
	assert_int_equal(unlink(path), 0);
	refused("POST", "/v1/vms/obey.d/restart", NULL, ST_DISK,
		"cannot be started again: ");
	expect("obey.d", "ended", ST_DISK);
}

#define RESTART(policy) ",\"restart\":\"" policy "\""

static void what_fails_is_started_again(void **state)
{
	(void)state;
	start_vm_with("reset", "/kernel", "%s", RESTART("on-failure"));
	WAIT_UNTIL(vm_number("reset", "restarts") >= 1);
	assert_true(vm_text_has("reset", "restart", "on-failure"));
	/* It waits for its turn now, or has just begun: not for ever. */
	WAIT_UNTIL(vm_text_has("reset", "state", "restarting"));
	vm_call("reset", "stop");
	expect("reset", "ended", ST_GUEST_RESET);
	/* One that powers off does not fail. */
	start_vm_with("talk", "/kernel", "%s", RESTART("on-failure"));
	expect("talk", "ended", ST_OK);
	start_vm_with("talk.a", "/kernel", "%s", RESTART("always"));
	WAIT_UNTIL(vm_number("talk.a", "restarts") >= 1);
	WAIT_UNTIL(vm_text_has("talk.a", "state", "restarting"));
	vm_call("talk.a", "kill");
	expect("talk.a", "ended", ST_OK);
	start_vm_with("reset.no", "/kernel", "%s", RESTART("no"));
	expect("reset.no", "ended", ST_GUEST_RESET);
}

static void what_is_stopped_stays_off(void **state)
{
	static const char *const how[] = { "stop", "kill" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(how); i++) {
		start_vm_with("obey.off", "/kernel", "%s", RESTART("always"));
		vm_call("obey.off", how[i]);
		expect("obey.off", "ended", i ? ST_STOPPED : ST_OK);
		assert_int_equal(vm_number("obey.off", "restarts"), 0);
	}
}

/* Nobody has seen its end: the next monitor finds its files. */
static void a_lost_vm_is_started_by_the_next_monitor(void **state)
{
	struct pollfd p = { .events = POLLIN };
	pid_t pid;

	(void)state;
	start_vm_with("obey.l", "/kernel", "%s", RESTART("always"));
	pid = pid_of("obey.l");
	end_monitor(SIGKILL);
	(void)close(log_fd);
	p.fd = pidfd_open(pid, 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(wait_readable(p.fd));
	(void)close(p.fd);
	start_monitor();
	WAIT_UNTIL(vm_number("obey.l", "restarts") == 1);
	expect("obey.l", "running", 0);
	vm_call("obey.l", "kill");
}

int main(int argc, char **argv)
{
#define WITH_MONITOR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_MONITOR(the_button_comes_first),
		WITH_MONITOR(who_is_late_is_killed),
		WITH_MONITOR(who_is_being_stopped_can_be_killed),
		WITH_MONITOR(wishes_are_checked),
		WITH_MONITOR(a_vm_is_restarted),
		WITH_MONITOR(a_restart_that_fails_is_told),
		WITH_MONITOR(what_fails_is_started_again),
		WITH_MONITOR(what_is_stopped_stays_off),
		WITH_MONITOR(a_lost_vm_is_started_by_the_next_monitor),
	};
	int failed;

	if (!monitor_calls_begin(argc, argv))
		return 1;
	failed = cmocka_run_group_tests_name("monitor's stops", tests, NULL,
					     NULL);
	monitor_calls_end();
	return failed;
}
