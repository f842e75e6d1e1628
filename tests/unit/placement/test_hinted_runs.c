/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hints of ranges through the engine: what goes before any page is hot, as runs,
 * within the budget, and what a hostile guest cannot do. See test_hinted.c.
 */
#include <string.h>

#include "memory/placement/engine.h"
#include "memory/placement/hinted.h"
#include "tests/unit/support.h"

#define NODES 2u
#define PAGES 16384u
#define MS    1000000ull
#define RUN   200u /* pages that are taken at once */

static struct placement *engine;
static uint64_t ms;
static uint32_t page_ns;   /* that moving one takes */
static struct policy twin; /* of balanced, which is not built in */

static int start_with(const char *policy, uint32_t move_ns, bool replicas)
{
	static const uint32_t latency[] = { 300, 900, 900, 300 };
	struct placement_config c = { .pages = PAGES,
				      .nr_nodes = NODES,
				      .latency_ns = latency,
				      .move_ns = move_ns,
				      .replicas = replicas,
				      .run_pages = RUN };
	struct diag d = { 0 };

	ms = 1;
	page_ns = move_ns;
	twin = policy_balanced;
	twin.name = "twin";
	assert_int_equal(policy_parse(policy, &twin, &c.choice, &d), 0);
	return placement_create(&engine, &c);
}

static int start(void **state)
{
	(void)state;
	return start_with("migrate", 8000, false);
}

static int start_slow(void **state)
{
	(void)state;
	return start_with("migrate", 800000, false);
}

static int start_balanced(void **state)
{
	(void)state;
	return start_with("balanced,burst=1", 8000, false);
}

static int start_twin(void **state)
{
	(void)state;
	return start_with("twin,burst=1", 8000, false);
}

static int start_replicas(void **state)
{
	(void)state;
	return start_with("replicate", 8000, true);
}

static int end(void **state)
{
	(void)state;
	placement_destroy(engine);
	engine = NULL;
	return 0;
}

static void hint(uint64_t page, uint32_t pages, uint8_t kind, uint8_t node)
{
	const struct access_record r = { .time_ns = ms * MS,
					 .page = page,
					 .weight = pages,
					 .node = node,
					 .home = ACCESS_NO_NODE,
					 .kind = kind,
					 .class = ACCESS_HINT };

	placement_record(engine, &r);
}

/* @node, @home: of the access, and of the page */
static void misses(uint64_t page, uint32_t weight, uint8_t node, uint8_t home,
		   uint8_t kind)
{
	const struct access_record r = { .time_ns = ms * MS,
					 .page = page,
					 .weight = weight,
					 .node = node,
					 .home = home,
					 .kind = kind,
					 .class = ACCESS_MISS };

	placement_record(engine, &r);
}

static void miss(uint64_t page, uint8_t node, uint8_t kind)
{
	misses(page, 128, node, 0, kind);
}

static unsigned nr_runs; /* actions of more than one page, that were taken */

/* Moves that the engine wants now, in pages; all are carried out. */
static unsigned take(uint64_t first, uint64_t end_page)
{
	struct placement_action a[64];
	unsigned all = 0, nr, runs;

	nr_runs = 0;
	while ((nr = placement_take(engine, a, ARRAY_SIZE(a))) > 0) {
		runs = 0;
		for (unsigned i = 0; i < nr; i++) {
			assert_in_range(a[i].page, first, end_page - 1);
			assert_true(a[i].page + a[i].pages <= end_page);
			assert_int_equal(a[i].to, 1);
			placement_done(engine, &a[i], true,
				       (uint64_t)page_ns * a[i].pages);
			all += a[i].pages;
			nr_runs += a[i].pages > 1;
			runs += a[i].pages > 1 ? a[i].pages : 0;
		}
		assert_true(runs <= RUN);
	}
	assert_int_equal(placement_pending(engine), 0);
	return all;
}

static uint64_t figure(const _Atomic(uint64_t) *f)
{
	return atomic_load(f);
}

/* No page of it reaches the policy's trigger of 128, but all of them together. */
static void a_range_goes_before_its_pages_are_hot(void **state)
{
	const struct placement_figures *f = placement_figures(engine);

	(void)state;
	hint(1000, 500, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
	assert_int_equal(take(0, PAGES), 0); /* it decides nothing */
	for (unsigned i = 0; i < 3; i++)
		misses(1100 + i, 32, 1, 0, POLICY_READ);
	assert_int_equal(take(0, PAGES), 0);
	misses(1400, 32, 1, 0, POLICY_READ);
	assert_int_equal(placement_pending(engine), 500);
	assert_int_equal(take(1000, 1500), 500);
	assert_int_equal(nr_runs, 3); /* 200, 200, 100 */
	assert_int_equal(figure(&f->hints), 1);
	assert_int_equal(figure(&f->hinted_pages), 500);
	assert_int_equal(figure(&f->reasons[POLICY_HINTED]), 500);
	assert_int_equal(figure(&f->moves), 500);
	assert_int_equal(figure(&f->spent_ns), 500 * 8000);
	/* Without a hint nothing moves; then it is one page. */
	for (unsigned i = 0; i < 4; i++)
		misses(5000 + i, 32, 1, 0, POLICY_READ);
	assert_int_equal(take(0, PAGES), 0);
	miss(5000, 1, POLICY_READ);
	assert_int_equal(take(5000, 5001), 1);
}

/* As a guest's memory is: a piece alone would never be hot. */
static void memory_in_pieces_goes_as_one(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		hint(10 * i, 5, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
	for (unsigned i = 0; i < 4; i++)
		misses(100 * i + 1, 32, 1, 0, POLICY_READ);
	assert_int_equal(placement_pending(engine), 500);
	assert_int_equal(take(0, 1000), 500);
}

/* Pages that have left the group are waited for by nobody. */
static void a_group_that_was_cut_is_done(void **state)
{
	struct placement_action a[64];

	(void)state;
	hint(0, 1000, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
	miss(1, 1, POLICY_READ);
	assert_true(placement_take(engine, a, ARRAY_SIZE(a)) > 0);
	/* Those that did not go yet are cut off; others come where some went. */
	hint(150, 850, HINTS_FORGET, ACCESS_NO_NODE);
	hint(2000, 500, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
	hint(2100, 300, HINTS_FORGET, ACCESS_NO_NODE);
	while (placement_take(engine, a, ARRAY_SIZE(a)))
		;
	assert_int_equal(placement_pending(engine), 0);
}

/* The range's accesses pay for each page that goes, and balanced says how much. */
static void balanced_moves_what_is_paid_for(void **state)
{
	const struct placement_figures *f = placement_figures(engine);
	/* 600 ns each, over 2 s of 0.2; a move, and 64 lines of 300 ns. */
	const unsigned one = 32 * 600 * 10 / (8000 + 64 * 300);

	(void)state;
	hint(0, 10000, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
	misses(7000, 32, 1, 0, POLICY_READ);
	assert_int_equal(take(0, 10000), one);
	misses(7001, 32, 1, 0, POLICY_READ);
	assert_int_equal(take(0, 10000), 32 * 2 * 600 * 10 / 27200 - one);
	/* Far more of them than there is time for: 1 ms, and then a quarter. */
	misses(7002, 100000, 1, 0, POLICY_READ);
	assert_in_range(take(0, 10000), 100, 126);
	misses(7003, 32, 1, 0, POLICY_READ);
	assert_int_equal(take(0, 10000), 0);
	ms += 2;
	misses(7003, 32, 1, 0, POLICY_READ);
	assert_in_range(take(0, 10000), 60, 64);
	/* The policy's own moves are of the same budget. */
	misses(12000, 100000, 1, 0, POLICY_READ);
	misses(12000, 100000, 1, 0, POLICY_READ);
	assert_int_equal(take(0, PAGES), 0);
	assert_true(figure(&f->reasons[POLICY_NO_BUDGET]) >= 1);
}

static void any_policy_has_a_budget_for_runs(void **state)
{
	unsigned nr;

	(void)state;
	hint(0, 10000, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
	miss(7000, 1, POLICY_READ);
	nr = take(0, 10000);
	assert_in_range(nr, 250, 252); /* a page of 0.8 ms: 200 ms of them */
	ms += 1000;
	misses(7001, 1, 1, 0, POLICY_READ);
	assert_true(take(0, 10000) > 0);
}

/* Whatever the guest says and does, a hint moves a page once in some time. */
static void a_hostile_guest_moves_nothing_to_and_fro(void **state)
{
	struct placement_action a[64];

	/* Pages of several chunks of counters, of which one is accessed. */
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		hint(0, 1200, HINTS_FORGET, ACCESS_NO_NODE);
		hint(0, 1200, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
		misses(1, 100, !(i % 2), i % 2, POLICY_READ);
		misses(2, 100, !(i % 2), i % 2, POLICY_READ);
		if (i == 0)
			assert_int_equal(take(0, 1200), 1200);
		else
			assert_int_equal(placement_take(engine, a, 64), 0);
		ms += 110;
	}
	/* When that is forgotten, it may go again. */
	ms += 20000;
	hint(0, 1200, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
	miss(1, 1, POLICY_READ);
	assert_int_equal(take(0, 1200), 1200);
}

/* What the policy decides on a range costs nothing unless pages go. */
static void asking_is_free(void **state)
{
	(void)state;
	hint(0, 10000, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
	/* They pay for some pages; there is time for 126. */
	for (unsigned i = 0; i < 200; i++) {
		misses(i, 1, 1, 0, POLICY_READ);
		(void)take(0, 10000);
	}
	assert_in_range(figure(&placement_figures(engine)->hinted_pages), 10,
			100);
	misses(12000, 1000, 1, 0, POLICY_READ);
	misses(12000, 1000, 1, 0, POLICY_READ);
	assert_int_equal(take(12000, 12001), 1);
}

/* By its hooks: the engine knows no policy by name. */
static void a_policy_beside_them_pays_as_well(void **state)
{
	balanced_moves_what_is_paid_for(state);
}

static void a_policy_beside_them_is_refunded(void **state)
{
	asking_is_free(state);
}

/* Whatever the policy wants: interleave would have page 2 on node 2. */
static void no_third_node_gets_private_memory(void **state)
{
	static const uint32_t latency[] = { 300, 900, 900, 900, 300,
					    900, 900, 900, 300 };
	struct placement_config c = { .pages = PAGES,
				      .nr_nodes = 3,
				      .latency_ns = latency,
				      .move_ns = 8000,
				      .run_pages = RUN };
	struct placement_action a[8];
	struct diag d = { 0 };

	(void)state;
	assert_int_equal(policy_parse("interleave", NULL, &c.choice, &d), 0);
	assert_int_equal(placement_create(&engine, &c), 0);
	hint(0, 100, HINTS_PRIVATE, 1);
	miss(2, 1, POLICY_WRITE);
	assert_int_equal(placement_take(engine, a, ARRAY_SIZE(a)), 1);
	assert_int_equal(a[0].pages, 1); /* the page alone */
	assert_int_equal(a[0].to, 2);
	/* Where both are of one mind, all of it goes. */
	miss(4, 1, POLICY_WRITE);
	assert_true(placement_pending(engine) >= 97);
}

static void a_full_node_takes_no_run(void **state)
{
	struct policy_node n = { .free_pages = 1000, .has_memory = 1 };

	(void)state;
	placement_set_node(engine, 1, &n);
	hint(0, 400, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
	misses(1, 100, 1, 0, POLICY_READ);
	misses(2, 100, 1, 0, POLICY_READ);
	assert_int_equal(take(0, 400), 0);
	n.free_pages = 1024 + 30;
	placement_set_node(engine, 1, &n);
	ms += 2;
	misses(2, 1, 1, 0, POLICY_READ);
	assert_int_equal(take(0, 400), 30);
}

static void parts_of_a_run_are_answered_one_by_one(void **state)
{
	const struct placement_figures *f = placement_figures(engine);
	struct placement_action a[4], part;

	(void)state;
	hint(0, 100, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
	misses(1, 100, 1, 0, POLICY_READ);
	misses(2, 100, 1, 0, POLICY_READ);
	assert_int_equal(placement_take(engine, a, 4), 1);
	assert_int_equal(a[0].pages, 100);
	miss(60, 1, POLICY_READ); /* it is on its way */
	assert_int_equal(placement_pending(engine), 0);
	part = a[0];
	part.pages = 50;
	placement_done(engine, &part, true, 1000);
	part.page = 50;
	part.pages = 30;
	placement_needless(engine, &part);
	part.page = 80;
	part.pages = 20;
	placement_done(engine, &part, false, 1000);
	assert_int_equal(figure(&f->moves), 50);
	assert_int_equal(figure(&f->failed), 20);
	miss(60, 1, POLICY_READ);
	assert_int_equal(take(60, 61), 1);
}

static void private_memory_goes_to_its_node_alone(void **state)
{
	(void)state;
	hint(0, 100, HINTS_PRIVATE, 0);
	hint(100, 100, HINTS_PRIVATE, 1);
	for (unsigned i = 0; i < 5; i++) {
		misses(i, 32, 1, 0, POLICY_WRITE);
		misses(100 + i, 32, 1, 0, POLICY_WRITE);
	}
	assert_int_equal(take(100, 200), 100);
}

static void copies_are_runs_as_well(void **state)
{
	const struct placement_figures *f = placement_figures(engine);

	(void)state;
	hint(0, 300, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
	for (unsigned i = 0; i < 4; i++)
		misses(i, 32, 1, 0, POLICY_READ);
	assert_int_equal(take(0, 300), 300);
	assert_int_equal(figure(&f->replicas), 300);
}

static void contradicted_hints_are_dropped(void **state)
{
	const struct placement_figures *f = placement_figures(engine);

	(void)state;
	hint(0, 100, HINTS_PRIVATE, 0);
	hint(200, 100, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
	for (unsigned i = 0; i < HINTED_LOOKS; i++) {
		ms += 1000; /* periods of their own */
		miss(i, 1, POLICY_READ);
		miss(200 + i, 1, POLICY_WRITE);
	}
	assert_int_equal(figure(&f->hints_dropped), 2);
	(void)take(0, 300);
	ms += 1000;
	miss(60, 1, POLICY_READ);
	assert_int_equal(take(60, 61), 1);
}

static void pinned_and_cold_pages_stay(void **state)
{
	const struct placement_figures *f = placement_figures(engine);

	(void)state;
	hint(0, 10, HINTS_PIN, ACCESS_NO_NODE);
	hint(10, 10, HINTS_COLD, ACCESS_NO_NODE);
	for (unsigned i = 0; i < 20; i++) {
		ms += 1000;
		miss(5, 1, POLICY_READ);
	}
	miss(12, 1, POLICY_READ);
	assert_int_equal(take(0, PAGES), 0);
	assert_true(figure(&f->reasons[POLICY_HINTED]) >= 2);
	hint(0, 10, HINTS_PIN_OFF, ACCESS_NO_NODE);
	ms += 1000;
	miss(5, 1, POLICY_READ);
	assert_int_equal(take(5, 6), 1);
	/* Cold pages that are hot are not cold. */
	for (unsigned i = 0; i < HINTED_LOOKS; i++) {
		ms += 1000;
		miss(12, 1, POLICY_READ);
	}
	assert_int_equal(take(12, 13), 1);
}

static void a_phase_begins_counts_anew(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct access_record r = { .time_ns = ms * MS,
					   .page = 7,
					   .weight = 100,
					   .node = 1,
					   .kind = POLICY_READ };

		placement_record(engine, &r);
		if (i == 0)
			hint(0, 0, HINTS_PHASE_BEGIN, ACCESS_NO_NODE);
	}
	assert_int_equal(take(0, PAGES), 0); /* 128 in one phase are needed */
	miss(7, 1, POLICY_READ);
	assert_int_equal(take(7, 8), 1);
}

static void strange_hints_have_no_effect(void **state)
{
	const struct placement_figures *f = placement_figures(engine);

	(void)state;
	hint(PAGES, 1, HINTS_PIN, 0);
	hint(UINT64_MAX, UINT32_MAX, HINTS_PIN, 0);
	hint(3, 0, HINTS_PIN, 0);
	assert_int_equal(figure(&f->strange), 3);
	hint(PAGES - 1, UINT32_MAX, HINTS_READ_MOSTLY, 99);
	hint(1, 1, 250, 99);
	miss(PAGES - 1, 1, POLICY_READ);
	assert_int_equal(take(PAGES - 1, PAGES), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_range_goes_before_its_pages_are_hot, start, end),
		cmocka_unit_test_setup_teardown(memory_in_pieces_goes_as_one,
						start, end),
		cmocka_unit_test_setup_teardown(a_group_that_was_cut_is_done,
						start, end),
		cmocka_unit_test_setup_teardown(balanced_moves_what_is_paid_for,
						start_balanced, end),
		cmocka_unit_test_setup_teardown(
			any_policy_has_a_budget_for_runs, start_slow, end),
		cmocka_unit_test_setup_teardown(
			a_hostile_guest_moves_nothing_to_and_fro, start, end),
		cmocka_unit_test_setup_teardown(asking_is_free, start_balanced,
						end),
		cmocka_unit_test_setup_teardown(
			a_policy_beside_them_pays_as_well, start_twin, end),
		cmocka_unit_test_setup_teardown(
			a_policy_beside_them_is_refunded, start_twin, end),
		cmocka_unit_test_teardown(no_third_node_gets_private_memory,
					  end),
		cmocka_unit_test_setup_teardown(a_full_node_takes_no_run, start,
						end),
		cmocka_unit_test_setup_teardown(
			parts_of_a_run_are_answered_one_by_one, start, end),
		cmocka_unit_test_setup_teardown(
			private_memory_goes_to_its_node_alone, start, end),
		cmocka_unit_test_setup_teardown(copies_are_runs_as_well,
						start_replicas, end),
		cmocka_unit_test_setup_teardown(contradicted_hints_are_dropped,
						start, end),
		cmocka_unit_test_setup_teardown(pinned_and_cold_pages_stay,
						start, end),
		cmocka_unit_test_setup_teardown(a_phase_begins_counts_anew,
						start, end),
		cmocka_unit_test_setup_teardown(strange_hints_have_no_effect,
						start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
