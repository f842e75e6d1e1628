/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor as a process of its own, with fake workers: what they count in
 * shared memory, and what comes of one that writes nonsense there.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/worker_spec.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/ipc/worker_messages.h"
#include "tests/unit/guests/fake_worker.h"
#include "tests/unit/guests/monitor_calls.h"

#define COUNT_MAX (1ll << 53)

/* Returns of KVM_RUN of vCPU 0 of the first VM; -1: not known. */
static json_int_t first_exits(const char *reason)
{
	json_t *root = call("GET", "/v1/stats", NULL), *doc = description();
	json_t *vm = json_array_get(json_object_get(root, "vms"), 0);
	json_t *one = json_array_get(json_object_get(vm, "vcpu_exits"), 0), *v;
	json_int_t n = -1;
	const char *key;

	if (one) {
		has_keys_of(doc, "VcpuExits", one);
		json_object_foreach(one, key, v)
		{
			assert_true(json_is_integer(v));
			assert_in_range(json_integer_value(v), 0, COUNT_MAX);
		}
		n = json_integer_value(json_object_get(one, reason));
	}
	json_decref(root);
	json_decref(doc);
	return n;
}

/* Every line a comment, or NAME{LABELS} NUMBER; @what is among them. */
static void metrics_are_well_formed(const char *what)
{
	struct diag d = { .status = ST_OK };
	char *text = NULL, *rest, *line;

	assert_int_equal(http_call("GET", "/metrics", NULL, &text, &d), 0);
	if (!strstr(text, what))
		fail_msg("no '%s' in: %s", what, text);
	for (line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *number = strrchr(line, ' '), *end;
		double v;

		if (line[0] == '#')
			continue;
		assert_non_null(number);
		v = strtod(number + 1, &end);
		if (end == number + 1 || *end || !(v >= 0 && v < 1e19) ||
		    (strchr(line, '{') && number[-1] != '}'))
			fail_msg("no metric: %s", line);
	}
	free(text);
}

static void garbage_in_figures_hurts_nobody(void **state)
{
	(void)state;
	start_vm("garbage");
	start_vm("obey.n");
	expect("garbage", "running", 0);
	assert_true(first_exits("io") <= COUNT_MAX);
	for (unsigned i = 0; i < 50; i++) {
		(void)first_exits("io");
		metrics_are_well_formed("disco_vm_vcpu_exits_total{vm=\"obey.n"
					"\",vcpu=\"0\",node=\"0\","
					"reason=\"io\"} 0\n");
	}
	expect("garbage", "running", 0);
	vm_call("garbage", "kill");
	vm_call("obey.n", "kill");
}

static void figures_outlive_a_killed_monitor(void **state)
{
	json_int_t before;

	(void)state;
	start_vm("obey.s");
	for (unsigned i = 0; i < 5; i++)
		(void)first_exits("mmio");
	before = first_exits("mmio");
	assert_true(before >= 5);
	end_monitor(SIGKILL);
	(void)close(log_fd);
	start_monitor();
	assert_true(first_exits("mmio") > before);
	assert_int_equal(first_exits("io"), 0);
	vm_call("obey.s", "kill");
	assert_true(first_exits("mmio") > before); /* the last ones */
}

/* --- views --- */

static long long views_figure(const char *key)
{
	json_t *root = call("GET", "/v1/stats", NULL);
	json_t *vm = json_array_get(json_object_get(root, "vms"), 0);
	json_t *n = json_object_get(json_object_get(vm, "views"), key);
	long long value = json_is_integer(n) ? json_integer_value(n) : -1;

	json_decref(root);
	return value;
}

static long long copies_figure(const char *key)
{
	json_t *root = call("GET", "/v1/stats", NULL);
	json_t *vm = json_array_get(json_object_get(root, "vms"), 0);
	json_t *views = json_object_get(vm, "views");
	json_t *n = json_object_get(json_object_get(views, "copies"), key);
	long long value = json_is_integer(n) ? json_integer_value(n) : -1;

	json_decref(root);
	return value;
}

/* The worker of every VM here says that its guest has two. */
static void what_views_send_is_shown(void **state)
{
	(void)state;
	start_vm("obey.v");
	assert_int_equal(views_figure("count"), 2);
	assert_int_equal(views_figure("idle_wakeups"), 5);
	assert_int_equal(views_figure("vectors"), 4);
	assert_int_equal(views_figure("nmis"), 3);
	assert_int_equal(views_figure("inits"), 2);
	assert_int_equal(views_figure("startups"), 1);
	metrics_are_well_formed("disco_vm_views_sent_total{vm=\"obey.v\","
				"kind=\"vectors\"} 4\n");
	assert_int_equal(copies_figure("limit"), 9);
	assert_int_equal(copies_figure("pages"), 10);
	assert_int_equal(copies_figure("collapsed"), 11);
	assert_int_equal(copies_figure("device_waits"), 12);
	metrics_are_well_formed("disco_vm_view_copies{vm=\"obey.v\","
				"view=\"0\"} 8\n");
	metrics_are_well_formed("disco_vm_view_copies_made_total{vm=\"obey.v\","
				"view=\"1\"} 2\n");
	metrics_are_well_formed("disco_vm_view_waits_total{vm=\"obey.v\","
				"view=\"1\"} 4\n");
	vm_call("obey.v", "kill");
}

/* --- where memory is --- */

static bool vm_exact(const char *path)
{
	json_t *root = call("GET", path, NULL), *doc = description();
	json_t *vm = json_array_get(json_object_get(root, "vms"), 0);
	bool exact = json_is_true(json_object_get(vm, "ram_exact"));

	has_keys_of(doc, "Stats", vm);
	json_decref(root);
	json_decref(doc);
	return exact;
}

static void the_age_of_figures_is_shown(void **state)
{
	(void)state;
	start_vm("obey.a");
	/* The worker says 3 s. */
	assert_in_range(vm_figure("obey.a", "ram_age_ms"), 3000,
			3000 + wait_limit_ms(HANG_MS));
	assert_false(vm_exact("/v1/stats"));
	assert_true(vm_exact("/v1/stats?exact=1"));
	refused("GET", "/v1/stats?exact=2", NULL, ST_USAGE,
		"exact=2: it can be exact=1");
	metrics_are_well_formed("disco_vm_pages_exact{vm=\"obey.a\",node=\"0"
				"\"} 0\n");
	metrics_are_well_formed("disco_vm_pages_age_seconds{vm=\"obey.a\"");
	vm_call("obey.a", "kill");
	assert_in_range(vm_figure("obey.a", "ram_age_ms"), 3000,
			3000 + wait_limit_ms(HANG_MS));
}

/*
 * A worker whose memory takes long: until it is asked to pause. What it was
 * asked is counted: exact figures as HLT.
 */
static void slow_worker(const struct worker_spec *spec, struct figures *f)
{
	struct worker_request r;
	uint64_t exact = 0;
	int fds[FDS_MAX];

	(void)spec;
	for (;;) {
		if (!wait_readable(WORKER_FD_CONTROL) ||
		    worker_request_receive(WORKER_FD_CONTROL, &r, fds))
			_exit(0); /* control is gone */
		if (r.kind == WORKER_REQ_EXACT) {
			exact = r.id;
			figures_count(&f->vcpus[0].exits[FIGURES_HLT], 1);
			continue;
		}
		fake_worker_obey(&r);
		if (r.kind == WORKER_REQ_PAUSE && exact)
			fake_worker_stats(exact, true);
	}
}

/* Ask for exact figures, and do not wait for them. Return: the connection. */
static int ask_exact(void)
{
	static const char request[] = "GET /v1/stats?exact=1 HTTP/1.1\r\n"
				      "Host: disco\r\n"
				      "Connection: close\r\n\r\n";
	struct diag d = { .status = ST_OK };
	struct state_dir dir;
	int fd;

	assert_int_equal(state_dir_open(&dir, false, &d), 0);
	fd = state_api_connect(&dir);
	state_dir_close(&dir);
	assert_true(fd >= 0);
	assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL),
			 sizeof(request) - 1);
	return fd;
}

/* All of an answer. */
static void expect_exact(int fd)
{
	static char text[1 << 16];
	size_t n = 0;
	ssize_t got;

	do {
		assert_true(wait_readable(fd));
		got = recv(fd, text + n, sizeof(text) - 1 - n, 0);
		assert_true(got >= 0);
		n += (size_t)got;
	} while (got > 0);
	text[n] = '\0';
	if (!strstr(text, "\"ram_exact\":true"))
		fail_msg("not exact: %s", text);
	(void)close(fd);
}

static void exact_figures_are_waited_for(void **state)
{
	struct pollfd p = { .events = POLLIN };
	int second;

	(void)state;
	start_vm("slow");
	p.fd = ask_exact();
	WAIT_UNTIL(first_exits("hlt") == 1);
	second = ask_exact();
	/* Others get what there is meanwhile, and come after the second. */
	for (unsigned i = 0; i < 3; i++)
		assert_false(vm_exact("/v1/stats"));
	assert_int_equal(poll(&p, 1, 0), 0);
	vm_call("slow", "pause");
	expect_exact(p.fd);
	expect_exact(second);
	/* It was one walk for both. */
	assert_int_equal(first_exits("hlt"), 1);
	vm_call("slow", "kill");
}

int main(int argc, char **argv)
{
#define WITH_MONITOR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_MONITOR(garbage_in_figures_hurts_nobody),
		WITH_MONITOR(figures_outlive_a_killed_monitor),
		WITH_MONITOR(what_views_send_is_shown),
		WITH_MONITOR(the_age_of_figures_is_shown),
		WITH_MONITOR(exact_figures_are_waited_for),
	};
	int failed;

	fake_worker_other = slow_worker;
	if (!monitor_calls_begin(argc, argv))
		return 1;
	failed = cmocka_run_group_tests_name("monitor figures", tests, NULL,
					     NULL);
	monitor_calls_end();
	return failed;
}
