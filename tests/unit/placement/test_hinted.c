/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest says of its pages: ranges that newer hints cut, groups that are
 * counted as one page and go as runs, and hints that accesses contradict.
 */
#include <string.h>

#include "memory/placement/hinted.h"
#include "tests/unit/support.h"

static struct hinted hinted;

static int clean(void **state)
{
	(void)state;
	hinted = (struct hinted){ 0 };
	return 0;
}

/* All of them at once. */
static void add(uint64_t first, uint64_t pages, uint8_t kind, uint8_t node)
{
	hinted_add(&hinted, first, pages, kind, node, 0);
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
	add(2, 6, HINTS_COLD, 0);
	expect_kinds(10, (uint8_t[]){ 0, 0, 4, 4, 4, 4, 4, 4, 0, 0 });
	add(4, 2, HINTS_PIN, 0);
	expect_kinds(10, (uint8_t[]){ 0, 0, 4, 4, 7, 7, 4, 4, 0, 0 });
	assert_int_equal(hinted.nr, 3);
	add(1, 2, HINTS_READ_MOSTLY, 0);
	expect_kinds(10, (uint8_t[]){ 0, 1, 1, 4, 7, 7, 4, 4, 0, 0 });
	add(7, 3, HINTS_REWRITE, 0);
	expect_kinds(10, (uint8_t[]){ 0, 1, 1, 4, 7, 7, 4, 3, 3, 3 });
	add(2, 4, HINTS_FORGET, 0);
	expect_kinds(10, (uint8_t[]){ 0, 1, 0, 0, 0, 0, 4, 3, 3, 3 });
	add(0, 10, HINTS_PIN_OFF, 0);
	assert_int_equal(hinted.nr, 0);
}

static void what_has_no_effect_is_not_kept(void **state)
{
	(void)state;
	add(0, 10, HINTS_PIN, 0);
	add(0, 10, HINTS_MERGE, 0);
	add(0, 10, HINTS_FREE, 0);
	add(0, 10, 200, 0);
	add(0, 0, HINTS_COLD, 0);
	add(UINT64_MAX, 2, HINTS_COLD, 0);
	assert_int_equal(hinted.nr, 1);
	assert_int_equal(hinted_find(&hinted, 5)->kind, HINTS_PIN);
}

static void the_oldest_goes_when_there_are_too_many(void **state)
{
	(void)state;
	for (unsigned i = 0; i <= HINTED_MAX; i++)
		add(10 * (i ^ 1), 5, HINTS_PIN, 0);
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
		add(first, nr, kind, 0);
		memset(kinds + first, kind == HINTS_FORGET ? 0 : kind, nr);
		expect_kinds(64, kinds);
	}
}

static struct hinted_group *group(uint64_t page)
{
	struct hinted_range *r = hinted_find(&hinted, page);

	assert_non_null(r);
	return hinted_group_of(&hinted, r);
}

static bool judge(uint64_t page, uint8_t node, uint8_t home, uint8_t kind,
		  uint64_t period)
{
	const struct access_record r = { .page = page,
					 .weight = 100,
					 .node = node,
					 .home = home,
					 .kind = kind };
	struct hinted_range *h = hinted_find(&hinted, page);

	assert_non_null(h);
	return hinted_judge(&hinted, h, &r, period, true) &&
	       hinted_group_of(&hinted, h) &&
	       hinted_asks(hinted_group_of(&hinted, h), &r);
}

static struct policy_page as_page(uint64_t page)
{
	const struct access_record r = { .page = page, .node = 1 };
	struct policy_page p;

	hinted_as_page(group(page), &r, &p);
	return p;
}

/* Pages of a range that may go, and the first of them. */
static uint64_t peek(uint64_t page, uint64_t now_ns, uint64_t *first)
{
	return hinted_peek(&hinted, hinted_find(&hinted, page), now_ns, first);
}

static void a_group_is_counted_as_one_page(void **state)
{
	struct policy_page p;

	(void)state;
	/* Two ranges of one group. */
	add(0, 60, HINTS_READ_MOSTLY, 0);
	add(70, 30, HINTS_READ_MOSTLY, 0);
	assert_ptr_equal(group(5), group(99));
	assert_int_equal(group(5)->pages, 90);
	assert_int_equal(as_page(5).nodes[0], POLICY_NO_NODE);
	assert_true(judge(5, 1, 0, POLICY_READ, 7));
	assert_int_equal(as_page(5).previous, POLICY_NO_NODE);
	assert_true(judge(17, 1, 0, POLICY_READ, 7));
	assert_true(judge(80, 1, 0, POLICY_READ, 7));
	assert_false(judge(99, 0, 0, POLICY_WRITE, 7)); /* at home */
	p = as_page(1);
	assert_int_equal(p.nodes[0], 1);
	assert_int_equal(p.counts[0], 300);
	assert_int_equal(p.nodes[1], 0);
	assert_int_equal(p.counts[1], 100);
	assert_int_equal(p.writes, 100);
	assert_int_equal(p.previous, 1);
	/* A third node takes its misses from both. */
	assert_true(judge(2, 2, 0, POLICY_READ, 7));
	p = as_page(1);
	assert_int_equal(p.counts[0], 200);
	assert_int_equal(p.nodes[1], POLICY_NO_NODE);
	/* A period later half of them are left; much later none. */
	assert_true(judge(2, 3, 0, POLICY_READ, 8));
	p = as_page(1);
	assert_int_equal(p.counts[0], 100);
	assert_int_equal(p.nodes[1], 3);
	assert_int_equal(p.writes, 50);
	assert_true(judge(2, 3, 0, POLICY_READ, 8000));
	p = as_page(1);
	assert_int_equal(p.nodes[0], 3);
	assert_int_equal(p.counts[0], 100);
	assert_int_equal(p.nodes[1], POLICY_NO_NODE);
}

static void only_who_may_have_it_is_asked_for(void **state)
{
	(void)state;
	add(0, 10, HINTS_PRIVATE, 1);
	assert_true(judge(1, 1, 0, POLICY_WRITE, 0));
	assert_false(judge(1, 2, 0, POLICY_WRITE, 0));
	add(0, 10, HINTS_REWRITE, 0);
	assert_false(judge(1, 1, 0, POLICY_WRITE, 0));
	add(0, 10, HINTS_PIN, 0);
	assert_false(judge(1, 1, 0, POLICY_READ, 0));
}

static void hints_of_one_kind_in_a_row_are_a_group(void **state)
{
	uint64_t at = 5 * HINTED_JOIN_NS;

	(void)state;
	hinted_add(&hinted, 0, 10, HINTS_READ_MOSTLY, 0, at);
	hinted_add(&hinted, 20, 10, HINTS_READ_MOSTLY, 0, at);
	hinted_add(&hinted, 40, 10, HINTS_PRIVATE, 1, at);
	hinted_add(&hinted, 60, 10, HINTS_PRIVATE, 1, at + HINTED_JOIN_NS);
	hinted_add(&hinted, 80, 10, HINTS_PRIVATE, 0, at + HINTED_JOIN_NS);
	hinted_add(&hinted, 90, 10, HINTS_PRIVATE, 0,
		   at + 2 * HINTED_JOIN_NS + 1);
	hinted_add(&hinted, 100, 10, HINTS_COLD, 0, at);
	assert_ptr_equal(group(0), group(20));
	assert_ptr_not_equal(group(0), group(40));
	assert_ptr_equal(group(40), group(60));
	assert_ptr_not_equal(group(40), group(80));
	assert_ptr_not_equal(group(80), group(90));
	assert_null(group(100));
	/* Not by chance of a vCPU whose node is not known. */
	hinted_add(&hinted, 200, 10, HINTS_PRIVATE, ACCESS_NO_NODE, 100 * at);
	hinted_add(&hinted, 220, 10, HINTS_READ_MOSTLY, 0, 100 * at);
	assert_ptr_not_equal(group(200), group(220));
	add(200, 100, HINTS_FORGET, 0);
	hinted_add(&hinted, 80, 10, HINTS_PRIVATE, 0, at + HINTED_JOIN_NS);
	hinted_add(&hinted, 90, 10, HINTS_PRIVATE, 0,
		   at + 2 * HINTED_JOIN_NS + 1);
	/* Neighbours of a group are one range; those of others are not. */
	assert_int_equal(hinted.nr, 7);
	hinted_add(&hinted, 100, 10, HINTS_PRIVATE, 0,
		   at + 2 * HINTED_JOIN_NS + 1);
	assert_int_equal(hinted.nr, 6);
	assert_int_equal(group(90)->pages, 20);
	assert_int_equal(group(90)->nr, 1);
	/* It is contradicted as one. */
	for (unsigned i = 0; i < HINTED_LOOKS; i++)
		if (hinted_find(&hinted, 0))
			(void)judge(i % 2 ? 0 : 20, 1, 0, POLICY_WRITE, 0);
	assert_null(hinted_find(&hinted, 0));
	assert_null(hinted_find(&hinted, 20));
	assert_non_null(hinted_find(&hinted, 40));
	assert_int_equal(hinted.dropped, 1);
}

/* What groups say of their ranges is so, whatever comes. */
static void groups_are_what_their_ranges_are(void **state)
{
	uint64_t pages[HINTED_GROUPS], nr[HINTED_GROUPS], now = 0;
	uint32_t x = 7;

	(void)state;
	for (unsigned i = 0; i < 30000; i++) {
		x = x * 1664525 + 1013904223;
		now += (x >> 28) == 0 ? 2 * HINTED_JOIN_NS : 0;
		hinted_add(&hinted, x >> 8 & 0x3fff, (x >> 3 & 7) + 1,
			   x >> 25 & 1 ? HINTS_READ_MOSTLY : HINTS_PRIVATE,
			   x >> 26 & 1, now);
		if (i % 100)
			continue;
		memset(pages, 0, sizeof(pages));
		memset(nr, 0, sizeof(nr));
		for (unsigned k = 0; k < hinted.nr; k++) {
			const struct hinted_range *r = &hinted.ranges[k];

			assert_true(k == 0 || r[-1].end <= r->first);
			assert_true(r->first < r->end);
			pages[r->group] += r->end - r->first;
			nr[r->group]++;
		}
		for (unsigned k = 0; k < HINTED_GROUPS; k++) {
			assert_int_equal(hinted.groups[k].pages, pages[k]);
			assert_int_equal(hinted.groups[k].nr, nr[k]);
		}
	}
	assert_true(hinted.nr > 100);
}

static void a_group_goes_as_far_as_it_is_paid_for(void **state)
{
	struct hinted_range *a, *b;
	struct hinted_group *g;
	uint64_t page;

	(void)state;
	add(100, 20, HINTS_READ_MOSTLY, 0);
	add(130, 30, HINTS_READ_MOSTLY, 0);
	a = hinted_find(&hinted, 100);
	b = hinted_find(&hinted, 130);
	g = group(100);
	assert_int_equal(peek(100, 0, &page), 0);
	hinted_go(g, POLICY_MOVE, 0, 1, 22);
	assert_int_equal(peek(100, 0, &page), 20);
	assert_int_equal(page, 100);
	assert_int_equal(hinted_waits(&hinted, 0), 22);
	assert_false(judge(100, 1, 0, POLICY_READ, 0)); /* some may go */
	hinted_advance(&hinted, a, 20);
	assert_int_equal(peek(100, 0, &page), 0);
	assert_int_equal(peek(130, 0, &page), 2);
	hinted_advance(&hinted, b, 2);
	/* More accesses pay for more pages, of which 22 went. */
	assert_true(judge(100, 1, 0, POLICY_READ, 0));
	hinted_go(g, POLICY_MOVE, 0, 1, 30);
	assert_int_equal(peek(130, 0, &page), 8);
	assert_int_equal(page, 132);
	hinted_go(g, POLICY_MOVE, 0, 1, 1000);
	assert_int_equal(peek(130, 0, &page), 28);
	assert_int_equal(hinted_waits(&hinted, 0), 28);
	g->waits_ns = 5;
	assert_int_equal(peek(130, 4, &page), 0);
	assert_int_equal(hinted_waits(&hinted, 4), 0);
	assert_int_equal(peek(130, 5, &page), 28);
	hinted_advance(&hinted, b, 28);
	/* All went: what is still far is no matter of the group. */
	assert_false(judge(100, 1, 0, POLICY_READ, 0));
	assert_true(judge(100, 2, 1, POLICY_READ, 0));
	hinted_go(g, POLICY_MOVE, 1, 2, 7);
	assert_int_equal(peek(100, 0, &page), 7);
	assert_int_equal(page, 100);
	/* It is cut. */
	add(90, 20, HINTS_COLD, 0);
	assert_int_equal(peek(115, 0, &page), 7);
	assert_int_equal(page, 110);
	hinted_phase(&hinted);
	assert_int_equal(hinted_waits(&hinted, 0), 0);
	assert_true(judge(115, 2, 1, POLICY_READ, 0));
}

static void copies_are_made_for_one_node_after_another(void **state)
{
	struct hinted_range *r;
	struct hinted_group *g;

	(void)state;
	add(0, 50, HINTS_READ_MOSTLY, 0);
	r = hinted_find(&hinted, 0);
	g = group(0);
	assert_true(judge(1, 1, 0, POLICY_READ, 0));
	hinted_go(g, POLICY_REPLICATE, 0, 1, 20);
	hinted_advance(&hinted, r, 20);
	assert_false(judge(1, 2, 0, POLICY_READ, 0));
	assert_true(judge(1, 1, 0, POLICY_READ, 0));
	hinted_go(g, POLICY_REPLICATE, 0, 1, 50);
	hinted_advance(&hinted, r, 30);
	assert_true(judge(1, 2, 0, POLICY_READ, 0));
	hinted_go(g, POLICY_REPLICATE, 0, 2, 20);
	hinted_advance(&hinted, r, 20);
	/* Node 2 stops reading: others do not wait for it for ever. */
	assert_false(judge(1, 3, 0, POLICY_READ, 0));
	assert_true(judge(1, 3, 0, POLICY_READ, 100));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(newer_hints_replace_older_ones, clean),
		cmocka_unit_test_setup(what_has_no_effect_is_not_kept, clean),
		cmocka_unit_test_setup(the_oldest_goes_when_there_are_too_many,
				       clean),
		cmocka_unit_test_setup(random_hints, clean),
		cmocka_unit_test_setup(a_group_is_counted_as_one_page, clean),
		cmocka_unit_test_setup(hints_of_one_kind_in_a_row_are_a_group,
				       clean),
		cmocka_unit_test_setup(groups_are_what_their_ranges_are, clean),
		cmocka_unit_test_setup(only_who_may_have_it_is_asked_for,
				       clean),
		cmocka_unit_test_setup(a_group_goes_as_far_as_it_is_paid_for,
				       clean),
		cmocka_unit_test_setup(
			copies_are_made_for_one_node_after_another, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
