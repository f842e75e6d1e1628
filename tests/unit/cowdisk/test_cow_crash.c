/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Power is cut before each operation of a random run, with what was not
 * synced kept, dropped or torn; and each operation of a run fails. A sample
 * of the points by default, every one with DISCO_CRASH=full (make crash);
 * DISCO_CRASH_SEED repeats a run.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/workload.h"
#include "tests/unit/support.h"

static bool is_full(void)
{
	const char *s = getenv("DISCO_CRASH");

	return s && strcmp(s, "full") == 0;
}

static uint64_t seed_of_run(void)
{
	const char *s = getenv("DISCO_CRASH_SEED");

	return s ? strtoull(s, NULL, 0) : clock_now_ns();
}

struct crashes {
	struct workload w;
	struct crash_view view;
	struct crash_random rand;
	uint64_t every, nr_points, nr_crashes;
};

static void crash_now(struct crash_io *c, void *arg)
{
	struct crashes *t = arg;

	(void)c;
	if (t->nr_points++ % t->every)
		return;
	for (int fate = 0; fate < CRASH_FATES; fate++) {
		workload_crash(&t->w, &t->view, (enum crash_fate)fate,
			       &t->rand);
		t->nr_crashes++;
	}
	workload_crash(&t->w, &t->view, CRASH_TEAR, &t->rand);
	t->nr_crashes++;
}

static void crash_run(enum crash_order order, const char *name)
{
	static struct crashes t;
	uint32_t nr = 10000;
	uint64_t seed = seed_of_run();

	memset(&t, 0, sizeof(t));
	t.every = is_full() ? 1 : 5;
	t.rand.state = seed + 1;
	workload_init(&t.w, nr, order, seed, false);
	crash_view_init(&t.view, &t.w.c);
	t.w.c.before = crash_now;
	t.w.c.arg = &t;
	while (t.w.version < nr && !t.w.nr_lost)
		workload_step(&t.w);
	workload_drain(&t.w);
	assert_int_equal(workload_flush(&t.w), 0);
	workload_crash(&t.w, &t.view, CRASH_DROP, &t.rand);
	print_message(
		"# %s first: seed %llu, %u writes, %llu flushes, %llu "
		"of %llu points, %llu crashes, %llu sectors checked, "
		"%llu lost\n",
		name, (unsigned long long)seed, t.w.version,
		(unsigned long long)t.w.nr_flushes,
		(unsigned long long)((t.nr_points + t.every - 1) / t.every),
		(unsigned long long)t.nr_points,
		(unsigned long long)t.nr_crashes,
		(unsigned long long)t.w.nr_checked,
		(unsigned long long)t.w.nr_lost);
	assert_int_equal(t.w.nr_errors, 0);
	assert_int_equal(t.w.nr_lost, 0);
	assert_true(t.w.nr_flushes > 100);
	crash_view_free(&t.view);
	workload_free(&t.w);
}

static void crash_oldest_first(void **state)
{
	(void)state;
	crash_run(CRASH_OLDEST, "oldest");
}

static void crash_newest_first(void **state)
{
	(void)state;
	crash_run(CRASH_NEWEST, "newest");
}

static void crash_any_first(void **state)
{
	(void)state;
	crash_run(CRASH_ANY, "any");
}

/* --- one operation fails --- */

struct faults {
	uint64_t nr_runs, nr_checked;
};

static void check_all_fates(struct workload *w, struct crash_random *r)
{
	struct crash_view v;

	crash_view_init(&v, &w->c);
	for (int fate = 0; fate < CRASH_FATES; fate++)
		workload_crash(w, &v, (enum crash_fate)fate, r);
	crash_view_free(&v);
}

/* Return: false when there is no n-th operation any more. */
static bool fault_run(enum crash_fault fault, uint64_t n, uint64_t seed,
		      struct faults *f)
{
	static struct workload w;
	struct crash_random r = { seed };
	bool came;

	workload_init(&w, 200, CRASH_ANY, seed, false);
	w.one_flush = true;
	w.c.fault = fault;
	w.c.fault_at = n;
	while (w.version < w.nr_ops)
		workload_step(&w);
	workload_drain(&w);
	came = w.c.nr_faults > 0;
	w.c.fault = FAULT_NONE;
	if (fault != FAULT_SYNC) {
		/* Once, and it is over. */
		assert_int_equal(w.nr_errors, came);
		assert_int_equal(workload_flush(&w), 0);
		assert_memory_equal(w.durable, w.completed, sizeof(w.durable));
	} else {
		if (came) {
			assert_true(w.nr_errors >= 1);
			assert_true(w.nr_flush_errors >= 1);
		}
		assert_int_equal(workload_flush(&w), came ? -EIO : 0);
	}
	workload_check(&w, w.cow, w.completed); /* reads go on */
	check_all_fates(&w, &r);
	assert_int_equal(w.nr_lost, 0);
	f->nr_runs++;
	f->nr_checked += w.nr_checked;
	workload_free(&w);
	return came;
}

static void each_operation_fails(enum crash_fault fault, const char *name)
{
	uint64_t seed = seed_of_run(), step = is_full() ? 1 : 3, n = 0;
	struct faults f = { 0 };

	while (fault_run(fault, n, seed, &f))
		n += step;
	print_message("# %s: seed %llu, %llu runs, at every %llu. operation of "
		      "about %llu, %llu sectors checked, 0 lost\n",
		      name, (unsigned long long)seed,
		      (unsigned long long)f.nr_runs, (unsigned long long)step,
		      (unsigned long long)n, (unsigned long long)f.nr_checked);
	assert_true(n > 20);
}

static void each_operation_fails_with_eio(void **state)
{
	(void)state;
	each_operation_fails(FAULT_EIO, "EIO");
}

static void each_write_finds_no_space(void **state)
{
	(void)state;
	each_operation_fails(FAULT_ENOSPC, "ENOSPC");
}

static void each_write_is_short(void **state)
{
	(void)state;
	each_operation_fails(FAULT_SHORT, "short write");
}

static void each_sync_fails(void **state)
{
	(void)state;
	each_operation_fails(FAULT_SYNC, "failed sync");
}

/* Everything completes inside the call that starts it. */
static void requests_done_at_once(void **state)
{
	static struct workload w;

	(void)state;
	workload_init(&w, 5000, CRASH_OLDEST, seed_of_run(), true);
	while (w.version < w.nr_ops)
		workload_step(&w);
	assert_int_equal(w.nr_busy, 0);
	assert_int_equal(workload_flush(&w), 0);
	workload_check(&w, w.cow, w.completed);
	assert_int_equal(w.nr_lost, 0);
	assert_int_equal(w.nr_errors, 0);
	workload_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_done_at_once),
		cmocka_unit_test(crash_oldest_first),
		cmocka_unit_test(crash_newest_first),
		cmocka_unit_test(crash_any_first),
		cmocka_unit_test(each_operation_fails_with_eio),
		cmocka_unit_test(each_write_finds_no_space),
		cmocka_unit_test(each_write_is_short),
		cmocka_unit_test(each_sync_fails),
	};

	return cmocka_run_group_tests_name("cow_crash", tests, NULL, NULL);
}
