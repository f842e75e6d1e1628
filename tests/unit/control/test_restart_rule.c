/* SPDX-License-Identifier: BSD-2-Clause */
/* After which ends a VM starts again, and when. */
#include "monitor/control/restart/restart_rule.h"
#include "tests/unit/support.h"

static void policies(void **state)
{
	static const enum exit_status ends[] = {
		ST_GUEST_RESET,	  ST_GUEST_PANIC, ST_GUEST_CRASH,
		ST_WORKER_SIGNAL, ST_WORKER_FAIL, ST_DISK
	};

	(void)state;
	assert_false(restart_is_due(RESTART_NO, ST_OK));
	assert_false(restart_is_due(RESTART_ON_FAILURE, ST_OK));
	assert_true(restart_is_due(RESTART_ALWAYS, ST_OK));
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		assert_false(restart_is_due(RESTART_NO, ends[i]));
		assert_true(restart_is_due(RESTART_ON_FAILURE, ends[i]));
		assert_true(restart_is_due(RESTART_ALWAYS, ends[i]));
	}
	assert_false(restart_is_due((enum restart_policy)77, ST_GUEST_RESET));
}

/* What ends at once is started less and less often, and not less than that. */
static void delays_double(void **state)
{
	uint64_t ns = 0, sum = 0;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		ns = restart_delay(ns, RESTART_CALM_NS - 1);
		assert_int_equal(ns, RESTART_FIRST_NS << i);
		sum += ns;
	}
	assert_int_equal(sum, 63 * RESTART_FIRST_NS);
	for (unsigned i = 0; i < 3; i++) {
		ns = restart_delay(ns, 0);
		assert_int_equal(ns, RESTART_MAX_NS);
	}
	assert_int_equal(restart_delay(UINT64_MAX, 0), RESTART_MAX_NS);
}

static void what_has_worked_does_not_wait(void **state)
{
	(void)state;
	assert_int_equal(restart_delay(0, RESTART_CALM_NS), 0);
	assert_int_equal(restart_delay(RESTART_MAX_NS, RESTART_CALM_NS), 0);
	assert_int_equal(restart_delay(0, RESTART_CALM_NS - 1),
			 RESTART_FIRST_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies),
		cmocka_unit_test(delays_double),
		cmocka_unit_test(what_has_worked_does_not_wait),
	};

	return cmocka_run_group_tests_name("restart rule", tests, NULL, NULL);
}
