/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor as a process of its own, with fake workers: what they count in
 * shared memory, and what comes of one that writes nonsense there.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control/cli/http_client.h"
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

int main(int argc, char **argv)
{
#define WITH_MONITOR(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_MONITOR(garbage_in_figures_hurts_nobody),
		WITH_MONITOR(figures_outlive_a_killed_monitor),
	};
	int failed;

	if (!monitor_calls_begin(argc, argv))
		return 1;
	failed = cmocka_run_group_tests_name("monitor figures", tests, NULL,
					     NULL);
	monitor_calls_end();
	return failed;
}
