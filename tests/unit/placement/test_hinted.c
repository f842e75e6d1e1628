/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest says of its pages: ranges that newer hints cut, what follows a
 * page that moved, and hints that accesses contradict. Then the same through
 * the engine.
 */
#include <string.h>

#include "memory/placement/engine.h"
#include "memory/placement/hinted.h"
#include "tests/unit/support.h"

#define NODES 2u
#define PAGES 16384u
#define MS    1000000ull

static struct hinted hinted;

static int clean(void **state)
{
	(void)state;
	hinted = (struct hinted){ 0 };
	return 0;
}

/* Each page has what was said of it last, and ranges are in order. */
static void expect_kinds(uint64_t pages, const uint8_t *kinds)
{
	for (unsigned i = 0; i + 1 < hinted.nr; i++)
		assert_true(hinted.ranges[i].end <= hinted.ranges[i + 1].first);
	for (uint64_t p = 0; p < pages; p++) {
		const struct hinted_range *r = hinted_find(&hinted, p);

		assert_int_equal(r ? r->kind : HINTS_NONE, kinds[p]);
	}
}

static void newer_hints_replace_older_ones(void **state)
{
	(void)state;
	hinted_add(&hinted, 2, 6, HINTS_COLD, 0);
	expect_kinds(10, (uint8_t[]){ 0, 0, 4, 4, 4, 4, 4, 4, 0, 0 });
	hinted_add(&hinted, 4, 2, HINTS_PIN, 0);
	expect_kinds(10, (uint8_t[]){ 0, 0, 4, 4, 7, 7, 4, 4, 0, 0 });
	assert_int_equal(hinted.nr, 3);
	hinted_add(&hinted, 1, 2, HINTS_READ_MOSTLY, 0);
	expect_kinds(10, (uint8_t[]){ 0, 1, 1, 4, 7, 7, 4, 4, 0, 0 });
	hinted_add(&hinted, 7, 3, HINTS_REWRITE, 0);
	expect_kinds(10, (uint8_t[]){ 0, 1, 1, 4, 7, 7, 4, 3, 3, 3 });
	hinted_add(&hinted, 2, 4, HINTS_FORGET, 0);
	expect_kinds(10, (uint8_t[]){ 0, 1, 0, 0, 0, 0, 4, 3, 3, 3 });
	hinted_add(&hinted, 0, 10, HINTS_PIN_OFF, 0);
	assert_int_equal(hinted.nr, 0);
}

static void what_has_no_effect_is_not_kept(void **state)
{
	(void)state;
	hinted_add(&hinted, 0, 10, HINTS_PIN, 0);
	hinted_add(&hinted, 0, 10, HINTS_MERGE, 0);
	hinted_add(&hinted, 0, 10, HINTS_FREE, 0);
	hinted_add(&hinted, 0, 10, 200, 0);
	hinted_add(&hinted, 0, 0, HINTS_COLD, 0);
	hinted_add(&hinted, UINT64_MAX, 2, HINTS_COLD, 0);
	assert_int_equal(hinted.nr, 1);
	assert_int_equal(hinted_find(&hinted, 5)->kind, HINTS_PIN);
}

static void the_oldest_goes_when_there_are_too_many(void **state)
{
	(void)state;
	for (unsigned i = 0; i <= HINTED_MAX; i++)
		hinted_add(&hinted, 10 * (i ^ 1), 5, HINTS_PIN, 0);
	assert_int_equal(hinted.nr, HINTED_MAX);
	assert_null(hinted_find(&hinted, 10)); /* i = 0 */
	assert_non_null(hinted_find(&hinted, 0));
}

/* Against a simple table of pages, in any order. */
static void random_hints(void **state)
{
	static const uint8_t all[] = { HINTS_READ_MOSTLY, HINTS_PRIVATE,
				       HINTS_REWRITE,	  HINTS_COLD,
				       HINTS_PIN,	  HINTS_FORGET };
	uint8_t kinds[64] = { 0 };
	uint32_t x = 1;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t first, nr;
		uint8_t kind;

		x = x * 1664525 + 1013904223;
		first = x >> 10 & 63;
		nr = (uint32_t)min_u64((x >> 17 & 15) + 1, 64 - first);
		kind = all[(x >> 22) % ARRAY_SIZE(all)];
		hinted_add(&hinted, first, nr, kind, 0);
		memset(kinds + first, kind == HINTS_FORGET ? 0 : kind, nr);
		expect_kinds(64, kinds);
	}
}

static void others_follow_within_bounds(void **state)
{
	const uint64_t last = 100 + HINTED_FOLLOW + 49;
	struct hinted_range *r;
	uint64_t page = 0;
	unsigned nr = 0;

	(void)state;
	hinted_add(&hinted, 100, HINTED_FOLLOW + 50, HINTS_READ_MOSTLY, 0);
	assert_null(hinted_next(&hinted, &page));
	hinted_follow(hinted_find(&hinted, last), last, 0, 1);
	while ((r = hinted_next(&hinted, &page)) != NULL) {
		assert_int_equal(page, 100 + nr++);
		assert_int_equal(r->to, 1);
	}
	assert_int_equal(nr, HINTED_FOLLOW);
	/* Another decision, to the same node: it goes on. */
	hinted_follow(hinted_find(&hinted, last), last, 0, 1);
	while (hinted_next(&hinted, &page))
		nr++;
	assert_int_equal(nr, HINTED_FOLLOW + 49); /* it moved itself */
	hinted_add(&hinted, 0, 50, HINTS_COLD, 0);
	hinted_follow(hinted_find(&hinted, 1), 1, 0, 1);
	assert_null(hinted_next(&hinted, &page));
}

static void a_phase_stops_what_follows(void **state)
{
	uint64_t page;

	(void)state;
	hinted_add(&hinted, 0, 100, HINTS_PRIVATE, 1);
	hinted_follow(hinted_find(&hinted, 1), 1, 0, 1);
	assert_non_null(hinted_next(&hinted, &page));
	hinted_phase(&hinted);
	assert_null(hinted_next(&hinted, &page));
}

/* --- through the engine ---------------------------------------------------- */

static struct placement *engine;
static uint64_t ms;

static int start(void **state)
{
	static const uint32_t latency[] = { 300, 900, 900, 300 };
	struct placement_config c = { .pages = PAGES,
				      .nr_nodes = NODES,
				      .latency_ns = latency,
				      .move_ns = 8000 };
	struct diag d = { 0 };

	(void)state;
	ms = 1;
	assert_int_equal(policy_parse("migrate", NULL, &c.choice, &d), 0);
	return placement_create(&engine, &c);
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

static void miss(uint64_t page, uint8_t node, uint8_t kind)
{
	const struct access_record r = { .time_ns = ms * MS,
					 .page = page,
					 .weight = 128,
					 .node = node,
					 .kind = kind,
					 .class = ACCESS_MISS };

	placement_record(engine, &r);
}

/* Moves that the engine wants now; all are carried out. */
static unsigned take(uint64_t first, uint64_t end_page)
{
	struct placement_action a[64];
	unsigned all = 0, nr;

	while ((nr = placement_take(engine, a, ARRAY_SIZE(a))) > 0)
		for (unsigned i = 0; i < nr; i++, all++) {
			assert_in_range(a[i].page, first, end_page - 1);
			assert_int_equal(a[i].to, 1);
			placement_done(engine, &a[i], true, 1000);
		}
	return all;
}

static uint64_t figure(const _Atomic(uint64_t) *f)
{
	return atomic_load(f);
}

static void one_page_takes_its_range_along(void **state)
{
	const struct placement_figures *f = placement_figures(engine);

	(void)state;
	hint(1000, 500, HINTS_READ_MOSTLY, ACCESS_NO_NODE);
	assert_int_equal(take(0, PAGES), 0); /* it decides nothing */
	miss(1100, 1, POLICY_READ);
	assert_int_equal(take(1000, 1500), 500);
	assert_int_equal(figure(&f->hints), 1);
	assert_int_equal(figure(&f->hinted_pages), 499);
	assert_int_equal(figure(&f->reasons[POLICY_HINTED]), 499);
	assert_int_equal(figure(&f->moves), 500);
	/* Without a hint it is one page. */
	miss(5000, 1, POLICY_READ);
	assert_int_equal(take(5000, 5001), 1);
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
	miss(50, 1, POLICY_READ);
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
		cmocka_unit_test_setup(newer_hints_replace_older_ones, clean),
		cmocka_unit_test_setup(what_has_no_effect_is_not_kept, clean),
		cmocka_unit_test_setup(the_oldest_goes_when_there_are_too_many,
				       clean),
		cmocka_unit_test_setup(random_hints, clean),
		cmocka_unit_test_setup(others_follow_within_bounds, clean),
		cmocka_unit_test_setup(a_phase_stops_what_follows, clean),
		cmocka_unit_test_setup_teardown(one_page_takes_its_range_along,
						start, end),
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
