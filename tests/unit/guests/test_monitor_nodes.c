/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor as a process of its own, with fake workers: moves, agents and
 * where their text is, balancing. Needs one node; what asks the kernel to move
 * pages SKIPs where it cannot.
 */
#include <errno.h>
#include <numaif.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control/cli/http_client.h"
#include "tests/unit/guests/monitor_calls.h"

/* --- moves --- */

static void need_move_pages(void)
{
#ifdef DISCO_SANITIZED
	SKIP("the sanitizer maps terabytes that a move would look through");
#endif
	if (move_pages(0, 0, NULL, NULL, NULL, 0) < 0)
		SKIP("no move_pages(2) here");
}

/* Once parked for 5 ms, which is above 2^22 ns; some batches. */
static void check_stalls(json_t *doc)
{
	json_t *root = call("GET", "/v1/stats", NULL), *batch, *parked, *n;
	struct diag d = { .status = ST_OK };
	json_int_t nr = 0, count;
	char *text = NULL;
	size_t i;

	assert_int_equal(json_unpack(root, "{s:[{s:{s:o, s:o}}]}", "vms",
				     "stalls", "batch", &batch, "parked",
				     &parked),
			 0);
	has_keys_of(doc, "Histogram", batch);
	assert_int_equal(json_integer_value(json_object_get(parked, "sum_ns")),
			 5000000);
	json_array_foreach(json_object_get(parked, "counts"), i, n)
	{
		assert_int_equal(json_integer_value(n), i == 23 - 14);
	}
	json_array_foreach(json_object_get(batch, "counts"), i, n)
	{
		count = json_integer_value(n);
		assert_true(count >= 0);
		nr += count;
	}
	assert_int_equal(i, STALL_BUCKETS);
	assert_true(nr > 0);
	json_decref(root);
	assert_int_equal(http_call("GET", "/metrics", NULL, &text, &d), 0);
#define PARKED "{vm=\"obey.m\",node=\"0\",kind=\"parked\""
	assert_non_null(
		strstr(text, "_bucket" PARKED ",le=\"0.004194304\"} 0"));
	assert_non_null(
		strstr(text, "_bucket" PARKED ",le=\"0.008388608\"} 1"));
	assert_non_null(strstr(text, "_bucket" PARKED ",le=\"+Inf\"} 1\n"));
	assert_non_null(strstr(text, "_seconds_sum" PARKED "} 0.005\n"));
	assert_non_null(strstr(text, "_seconds_count" PARKED "} 1\n"));
	free(text);
}

static void a_move_pulls_all_pages(void **state)
{
	json_t *doc = description(), *root;

	(void)state;
	need_move_pages();
	start_vm("obey.m");
	root = call("POST", "/v1/vms/obey.m/move", "{\"node\": 0}");
	has_keys_of(doc, "Moved", root);
	assert_true(json_integer_value(json_object_get(root, "pages")) >= 100);
	assert_int_equal(json_integer_value(json_object_get(root, "parked_ns")),
			 5000000);
	json_decref(root);
	assert_int_equal(vm_figure("obey.m", "moves"), 1);
	assert_true(vm_figure("obey.m", "moved_pages") >= 100);
	assert_true(vm_figure("obey.m", "longest_stall_ns") >= 5000000);
	check_stalls(doc);
	json_decref(doc);
	vm_call("obey.m", "kill");
}

static void move_requests_are_checked(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"{\"node\": \"0\"}",
		"{\"node\": -1}",
		"{\"node\": 4294967296}",
		"{\"node\": 0, \"stall_ms\": 0}",
		"{\"node\": 0, \"stall_ms\": 10001}",
		"{\"node\": 0, \"more\": 1}",
		"{\"node\": 0, \"vcpu\": -1}",
		"{\"node\": 0, \"vcpu\": 2147483648}",
		"{\"node\": 0, \"vcpu\": \"0\"}",
	};

	(void)state;
	start_vm("obey.c");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refused("POST", "/v1/vms/obey.c/move", bad[i], ST_CONFIG,
			"a move wants");
	refused("POST", "/v1/vms/obey.c/move", "{\"node\": 999}", ST_CONFIG,
		"is not there");
	refused("POST", "/v1/vms/none/move", "{\"node\": 0}", ST_NO_VM,
		"no VM");
	vm_call("obey.c", "kill");
	expect("obey.c", "ended", ST_STOPPED);
	refused("POST", "/v1/vms/obey.c/move", "{\"node\": 0}", ST_NO_VM,
		"has ended");
}

/* The worker has said which thread it is. */
static bool vcpu_moves(void)
{
	struct diag d = { .status = ST_OK };
	char *text = NULL;
	int err = http_call("POST", "/v1/vms/obey.v/move",
			    "{\"node\": 0, \"vcpu\": 0}", &text, &d);

	free(text);
	return err == 0;
}

/* On this machine's only node: it goes there, and its VM stays as it is. */
static void a_vcpu_is_moved_alone(void **state)
{
	json_t *doc = json_load_file("docs/openapi.json", 0, NULL), *root;
	struct diag d = { .status = ST_OK };
	char *text = NULL;
	json_int_t vcpu = -1, node = -1, of = -1;

	(void)state;
	assert_non_null(doc);
	start_vm_with("obey.v", "/k", ",\"cpus\":2");
	WAIT_UNTIL(vcpu_moves());
	root = call("POST", "/v1/vms/obey.v/move",
		    "{\"node\": 0, \"vcpu\": 0}");
	has_keys_of(doc, "VcpuMoved", root);
	assert_int_equal(json_unpack(root, "{s:I, s:[I!], s:[I, I!]}", "vcpu",
				     &vcpu, "nodes", &node, "vcpu_nodes", &of,
				     &of),
			 0);
	assert_true(vcpu == 0 && node == 0 && of == 0);
	json_decref(root);
	json_decref(doc);
	assert_int_equal(vm_figure("obey.v", "vcpu_moves"), 2);
	assert_int_equal(vm_figure("obey.v", "moves"), 0);
	assert_int_equal(http_call("GET", "/metrics", NULL, &text, &d), 0);
	assert_non_null(strstr(text, "disco_vm_node_vcpus{vm=\"obey.v\","
				     "node=\"0\"} 2\n"));
	free(text);
	/* Its worker has not said which thread that is. */
	refused("POST", "/v1/vms/obey.v/move", "{\"node\": 0, \"vcpu\": 1}",
		ST_HOST,
		"obey.v/1: cannot run on the CPUs of node 0: its "
		"thread is not known");
	refused("POST", "/v1/vms/obey.v/move", "{\"node\": 0, \"vcpu\": 2}",
		ST_CONFIG, "there is no virtual CPU 2: they are 0 to 1");
	refused("POST", "/v1/vms/obey.v/move", "{\"node\": 9, \"vcpu\": 0}",
		ST_CONFIG, "node 9 is not there");
	expect("obey.v", "running", 0);
	vm_call("obey.v", "kill");
}

static void moves_that_fail_end_no_guest(void **state)
{
	const char *body = "{\"node\": 0}";

	(void)state;
	need_move_pages();
	start_vm("unbound");
	start_vm("stale");
	start_vm("liar");
	start_vm("obey.f");
	refused("POST", "/v1/vms/unbound/move", body, ST_HOST,
		"cannot bind its memory: Operation not permitted");
	expect("unbound", "running", 0);
	refused("POST", "/v1/vms/stale/move", body, ST_HOST, "another build");
	expect("stale", "running", 0);
	refused("POST", "/v1/vms/liar/move", body, ST_NO_VM, "ended while");
	expect("liar", "ended", ST_WORKER_FAIL);
	vm_call("unbound", "kill");
	vm_call("stale", "kill");
	vm_call("obey.f", "kill");
}

/* Each by its id. */
static void answers_of_earlier_requests_are_dropped(void **state)
{
	(void)state;
	need_move_pages();
	start_vm("mixed");
	json_decref(call("POST", "/v1/vms/mixed/move", "{\"node\": 0}"));
	json_decref(call("POST", "/v1/vms/mixed/move", "{\"node\": 0}"));
	expect("mixed", "running", 0);
	vm_call("mixed", "kill");
}

static void an_agent_that_dies_is_replaced(void **state)
{
	char body[64];

	(void)state;
	need_move_pages();
	start_vm("obey.g");
	for (int ms = MS_DIE; ms <= MS_NONSENSE; ms++) {
		(void)snprintf(body, sizeof(body),
			       "{\"node\": 0, \"stall_ms\": %d}", ms);
		refused("POST", "/v1/vms/obey.g/move", body, ST_HOST,
			"obey.g: not moved: the agent of node 0 died");
		said("the agent of node 0 died");
	}
	expect("obey.g", "running", 0);
	json_decref(call("POST", "/v1/vms/obey.g/move", "{\"node\": 0}"));
	vm_call("obey.g", "kill");
}

/* --- balancing: test_balancer.c; here, what is told of it --- */

static void balance_is_counted(void **state)
{
	json_t *doc = description(), *root = call("GET", "/v1/stats", NULL);
	struct diag d = { .status = ST_OK };
	char *text = NULL;

	(void)state;
	has_keys_of(doc, "Balance", json_object_get(root, "balance"));
	json_decref(root);
	json_decref(doc);
	assert_int_equal(http_call("GET", "/metrics", NULL, &text, &d), 0);
	assert_non_null(strstr(text, "\ndisco_balance_checks_total "));
	assert_non_null(strstr(text, "\ndisco_balance_moves_total 0\n"));
	assert_non_null(strstr(text, "\ndisco_balance_failed_moves_total 0\n"));
	free(text);
}

static json_int_t balance_figure(const char *key)
{
	json_t *root = call("GET", "/v1/stats", NULL);
	json_int_t n = json_integer_value(
		json_object_get(json_object_get(root, "balance"), key));

	json_decref(root);
	return n;
}

/* Two nodes of a CPU each, as far as hwloc is asked. */
static int set_up_two_nodes(void **state)
{
	static char option[] = "--balance=0.1";

	monitor_option = option;
	(void)setenv("HWLOC_SYNTHETIC", "numa:2(memory=268435456) pu:1", 1);
	(void)setenv("HWLOC_THISSYSTEM", "1", 1);
	return sysconf(_SC_NPROCESSORS_ONLN) < 2 ? 0 : set_up(state);
}

static int tear_down_two_nodes(void **state)
{
	monitor_option = NULL;
	(void)unsetenv("HWLOC_SYNTHETIC");
	(void)unsetenv("HWLOC_THISSYSTEM");
	return sysconf(_SC_NPROCESSORS_ONLN) < 2 ? 0 : tear_down(state);
}

static void start_on_node_0(const char *name, const char *node)
{
	start_vm_with(name, "/kernel", "%s", node);
	assert_int_equal(vm_figure(name, "node"), 0);
}

/* Those that were put there stay; then one that was not is to move. */
static void who_may_be_moved_is(void **state)
{
	json_int_t to;

	(void)state;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP("one CPU");
	need_move_pages();
	assert_int_equal(balance_figure("interval_ms"), 100);
	start_on_node_0("busy.1", ",\"node\":0");
	start_on_node_0("busy.2", ",\"node\":0");
	to = balance_figure("checks") + 8;
	WAIT_UNTIL(balance_figure("checks") >= to);
	assert_int_equal(balance_figure("moves_failed"), 0);
	assert_int_equal(balance_figure("moves"), 0);
	start_on_node_0("busy.3", "");
	WAIT_UNTIL(balance_figure("moves") + balance_figure("moves_failed"));
	/* Where there is no node 1 the agent finds out. */
	if (balance_figure("moves_failed")) {
		said("busy.3: its memory was not pulled: No such device");
		assert_int_equal(vm_figure("busy.3", "node"), 0);
	}
	expect("busy.3", "running", 0);
	for (unsigned i = 1; i <= 3; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "busy.%u", i);
		vm_call(name, "kill");
	}
}

/* --- agents --- */

/* The pid of one that is not @old. */
static pid_t next_agent(pid_t old)
{
	pid_t pid;

	WAIT_UNTIL((pid = (pid_t)agent_figure(0, "pid")) != old && pid > 0);
	return pid;
}

static void agents_are_there_from_the_start(void **state)
{
	json_t *doc = description(), *root = call("GET", "/v1/stats", NULL);
	struct diag d = { .status = ST_OK };
	char *text = NULL;

	(void)state;
	has_keys_of(doc, "StatsList", root);
	has_keys_of(doc, "Agent",
		    json_array_get(json_object_get(root, "agents"), 0));
	json_decref(root);
	json_decref(doc);
	assert_true(agent_figure(0, "pid") > 1);
	assert_int_equal(agent_figure(0, "starts"), 1);
	assert_int_equal(http_call("GET", "/metrics", NULL, &text, &d), 0);
	assert_non_null(strstr(text, "disco_agent_starts_total{node=\"0\"} "
				     "1\n"));
	free(text);
}

static void their_text_is_local(void **state)
{
	uint64_t end = wait_end_ns();
	json_int_t pages = 0, local = 0;

	(void)state;
	need_move_pages();
	/* It may not have been executed yet, or not have come far. */
	while (pages <= 10) {
		json_t *root = call("GET", "/v1/stats", NULL);

		assert_int_equal(json_unpack(root, "{s:[{s:I, s:I}]}", "agents",
					     "text_pages", &pages,
					     "text_pages_local", &local),
				 0);
		json_decref(root);
		assert_int_equal(local, pages);
		assert_true(clock_now_ns() < end);
		(void)usleep(5000);
	}
}

static void who_died_is_started_again(void **state)
{
	pid_t pid = next_agent(0);
	uint64_t begun;

	(void)state;
	assert_int_equal(kill(pid, SIGKILL), 0);
	said("the agent of node 0 died (signal 9); the next one starts in "
	     "0.1 s");
	pid = next_agent(pid);
	assert_int_equal(agent_figure(0, "starts"), 2);
	/* Soon again: later. */
	begun = clock_now_ns();
	assert_int_equal(kill(pid, SIGKILL), 0);
	said("the next one starts in 0.2 s");
	pid = next_agent(pid);
	assert_true(clock_now_ns() - begun >= 200000000ull);
	assert_int_equal(kill(pid, SIGKILL), 0);
	said("the next one starts in 0.4 s");
	(void)next_agent(pid);
	assert_int_equal(agent_figure(0, "starts"), 4);
	assert_true(answers());
}

int main(int argc, char **argv)
{
#define WITH_MONITOR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_MONITOR(a_move_pulls_all_pages),
		WITH_MONITOR(move_requests_are_checked),
		WITH_MONITOR(a_vcpu_is_moved_alone),
		WITH_MONITOR(moves_that_fail_end_no_guest),
		WITH_MONITOR(answers_of_earlier_requests_are_dropped),
		WITH_MONITOR(an_agent_that_dies_is_replaced),
		WITH_MONITOR(balance_is_counted),
		cmocka_unit_test_setup_teardown(who_may_be_moved_is,
						set_up_two_nodes,
						tear_down_two_nodes),
		WITH_MONITOR(agents_are_there_from_the_start),
		WITH_MONITOR(their_text_is_local),
		WITH_MONITOR(who_died_is_started_again),
	};
	int failed;

	agents_go_wrong = true;
	if (!monitor_calls_begin(argc, argv))
		return 1;
	failed =
		cmocka_run_group_tests_name("monitor nodes", tests, NULL, NULL);
	monitor_calls_end();
	return failed;
}
