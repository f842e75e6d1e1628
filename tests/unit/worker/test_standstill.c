/* SPDX-License-Identifier: BSD-2-Clause */
/* Which guests are taken for halted or panicked, and which are not. */
#include "monitor/worker/vm/standstill.h"
#include "tests/unit/support.h"

/* vCPUs that run, idle, are halted, are absent. */
struct seen {
	unsigned runs, idle, halted, absent;
};

static const struct seen spins = { .runs = 1, .halted = 3 };
static const struct seen halted = { .halted = 2, .absent = 2 };
static const struct seen idle = { .idle = 4 };
static const struct seen busy = { .runs = 4 };

static enum stand_act turn_with(struct stand *s, struct seen v, bool output)
{
	const unsigned seen[VCPU_NR_STANDS] = {
		[VCPU_STAND_RUNS] = v.runs,
		[VCPU_STAND_IDLE] = v.idle,
		[VCPU_STAND_HALTED] = v.halted,
		[VCPU_STAND_ABSENT] = v.absent,
	};

	return stand_turn(s, seen, output);
}

static enum stand_act turn(struct stand *s, struct seen v)
{
	return turn_with(s, v, false);
}

static void turns(struct stand *s, struct seen v, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		assert_int_equal(turn(s, v), STAND_NOTHING);
}

/* A guest that works, in any way, for long. */
static void who_works_is_left_alone(void **state)
{
	const struct seen works[] = { spins, idle, busy, { .absent = 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(works); i++) {
		struct stand s = { 0 };

		turns(&s, works[i], 1000);
		assert_int_equal(s.now, FIGURES_RUNS);
	}
}

static void halted_is_reported_once_and_stays(void **state)
{
	struct stand s = { 0 };

	(void)state;
	assert_int_equal(turn(&s, halted), STAND_REPORT_HALTED);
	turns(&s, halted, 1000);
	assert_int_equal(s.now, FIGURES_HALTED);
	turns(&s, idle, 1); /* a message woke it, as an NMI */
	assert_int_equal(s.now, FIGURES_RUNS);
}

static void panicked_guest(const struct seen *v)
{
	struct stand s = { 0 };

	stand_suspect(&s);
	turns(&s, *v, STAND_CONFIRM - 1);
	assert_int_equal(s.now, FIGURES_RUNS);
	assert_int_equal(turn(&s, *v), STAND_REPORT_PANICKED);
	turns(&s, *v, STAND_GRACE - 1);
	assert_int_equal(s.now, FIGURES_PANICKED);
	assert_int_equal(turn(&s, *v), STAND_END);
}

static void panic_is_confirmed_and_ends_after_its_grace(void **state)
{
	static const struct seen one = { .runs = 1 };

	(void)state;
	panicked_guest(&spins);
	panicked_guest(&halted);
	panicked_guest(&one);
}

/* A program of the guest has written the line. */
static void a_guest_that_goes_on_did_not_panic(void **state)
{
	struct stand s = { 0 };

	(void)state;
	stand_suspect(&s);
	turns(&s, spins, STAND_CONFIRM - 1);
	turns(&s, idle, 1);
	turns(&s, spins, 1000);
	stand_suspect(&s);
	turns(&s, busy, 1000); /* not idle, but two that run */
	assert_int_equal(s.now, FIGURES_RUNS);
	turns(&s, idle, 1);
	assert_false(s.suspected);
}

static void a_guest_that_writes_did_not_panic(void **state)
{
	static const struct seen one = { .runs = 1 };
	struct stand s = { 0 };

	(void)state;
	stand_suspect(&s);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(turn_with(&s, one, i % STAND_CONFIRM == 0),
				 STAND_NOTHING);
	assert_int_equal(s.now, FIGURES_RUNS);
}

/* It goes on in its grace: ls says so again. */
static void panicked_too_early(void **state)
{
	struct stand s = { 0 };

	(void)state;
	stand_suspect(&s);
	turns(&s, spins, STAND_CONFIRM - 1);
	assert_int_equal(turn(&s, spins), STAND_REPORT_PANICKED);
	turns(&s, idle, 1);
	assert_int_equal(s.now, FIGURES_RUNS);
	turns(&s, spins, 1000);
}

static void kept(void **state)
{
	struct stand s = { .keep = true };

	(void)state;
	stand_suspect(&s);
	turns(&s, spins, STAND_CONFIRM - 1);
	assert_int_equal(turn(&s, spins), STAND_REPORT_PANICKED);
	turns(&s, spins, 1000);
	assert_int_equal(s.now, FIGURES_PANICKED);

	s = (struct stand){ .keep = true };
	assert_int_equal(stand_told(&s), STAND_REPORT_PANICKED);
	assert_int_equal(stand_told(&s), STAND_NOTHING);
	turns(&s, idle, 10);
	assert_int_equal(s.now, FIGURES_PANICKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_works_is_left_alone),
		cmocka_unit_test(halted_is_reported_once_and_stays),
		cmocka_unit_test(panic_is_confirmed_and_ends_after_its_grace),
		cmocka_unit_test(a_guest_that_goes_on_did_not_panic),
		cmocka_unit_test(a_guest_that_writes_did_not_panic),
		cmocka_unit_test(panicked_too_early),
		cmocka_unit_test(kept),
	};

	return cmocka_run_group_tests_name("standstill", tests, NULL, NULL);
}
