/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters of pages: values worked out by hand, growing old, limits; and the
 * promise of Misra and Gries against counts that forget nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory/placement/counters.h"
#include "tests/unit/support.h"

#define PAGES 2000u

static struct page_counters *counters;

static void make(enum policy_age age)
{
	page_counters_destroy(counters);
	assert_int_equal(page_counters_create(&counters, PAGES, age), 0);
}

static int end(void **state)
{
	(void)state;
	page_counters_destroy(counters);
	counters = NULL;
	return 0;
}

static struct policy_page add_at(uint64_t page, uint8_t node, uint32_t weight,
				 enum policy_kind kind, uint32_t period,
				 uint32_t rest)
{
	struct page_access a = { .page = page,
				 .weight = weight,
				 .node = node,
				 .kind = (uint8_t)kind };
	struct policy_page p;

	assert_int_equal(page_counters_add(counters, &a, period, rest, &p), 0);
	return p;
}

static struct policy_page add(uint64_t page, uint8_t node, uint32_t weight)
{
	return add_at(page, node, weight, POLICY_READ, 7, 3);
}

static void expect(struct policy_page p, uint8_t x, uint32_t a, uint8_t y,
		   uint32_t b)
{
	assert_int_equal(p.nodes[0], x);
	assert_int_equal(p.counts[0], a);
	assert_int_equal(p.nodes[1], y);
	assert_int_equal(p.counts[1], b);
}

static void two_nodes_are_kept_larger_first(void **state)
{
	struct policy_page p;

	(void)state;
	make(POLICY_RESET);
	p = add(5, 63, 10);
	expect(p, 63, 10, POLICY_NO_NODE, 0);
	assert_int_equal(p.previous, POLICY_NO_NODE);
	assert_int_equal(p.page, 5);
	assert_int_equal(p.node, 63);
	p = add(5, 0, 4);
	expect(p, 63, 10, 0, 4);
	assert_int_equal(p.previous, 63);
	p = add(5, 0, 7);
	expect(p, 0, 11, 63, 10);
	assert_int_equal(p.previous, 0);
	expect(add(6, 1, 0), 1, 1, POLICY_NO_NODE, 0);
	expect(add(5, 63, 0), 0, 11, 63, 11);
}

static void a_third_node_takes_from_both(void **state)
{
	(void)state;
	make(POLICY_RESET);
	add(1, 1, 10);
	add(1, 2, 5);
	expect(add(1, 3, 3), 1, 7, 2, 2);
	expect(add(1, 3, 2), 1, 5, POLICY_NO_NODE, 0);
	expect(add(1, 3, 9), 3, 9, 1, 5);
	expect(add(1, 2, 11), 2, 6, 3, 4);
	/* Both go, and the new one takes the place of the first. */
	make(POLICY_RESET);
	add(1, 1, 4);
	add(1, 2, 4);
	expect(add(1, 3, 6), 3, 2, POLICY_NO_NODE, 0);
}

static void counts_are_reset_by_period(void **state)
{
	struct policy_page p;

	(void)state;
	make(POLICY_RESET);
	add_at(1, 1, 100, POLICY_WRITE, 10, 0);
	p = add_at(1, 1, 1, POLICY_READ, 10, 0);
	expect(p, 1, 101, POLICY_NO_NODE, 0);
	assert_int_equal(p.writes, 100);
	p = add_at(2, 1, 1, POLICY_WRITE, 11, 0); /* of the same chunk */
	assert_int_equal(p.writes, 1);
	p = add_at(1, 2, 1, POLICY_READ, 11, 0);
	expect(p, 2, 1, POLICY_NO_NODE, 0);
	assert_int_equal(p.writes, 0);
	assert_int_equal(p.previous, 1);
}

static void counts_are_halved_by_period(void **state)
{
	(void)state;
	make(POLICY_HALVE);
	add_at(1, 1, 100, POLICY_READ, 10, 0);
	add_at(1, 2, 40, POLICY_READ, 10, 0);
	expect(add_at(1, 1, 1, POLICY_READ, 11, 0), 1, 51, 2, 20);
	expect(add_at(1, 1, 1, POLICY_READ, 14, 0), 1, 7, 2, 2);
	expect(add_at(1, 2, 1, POLICY_READ, 1000, 0), 2, 1, POLICY_NO_NODE, 0);
	/* Numbers of periods wrap round. */
	add_at(1, 2, 7, POLICY_READ, UINT32_MAX, 0);
	expect(add_at(1, 2, 1, POLICY_READ, 0, 0), 2, 4, POLICY_NO_NODE, 0);
}

static void moves_are_forgotten_by_rest(void **state)
{
	struct policy_page p;

	(void)state;
	make(POLICY_HALVE);
	/* Where nothing was ever counted, it is noted as well. */
	assert_int_equal(page_counters_moves(counters, 1, 0), 0);
	assert_false(page_counters_moved(counters, 1, true, 0, 0));
	assert_int_equal(page_counters_moves(counters, 1, 0), 1);
	assert_int_equal(page_counters_moves(counters, 1, 1), 0);
	assert_int_equal(page_counters_moves(counters, PAGES, 0), 0);
	add_at(1, 1, 1, POLICY_READ, 1, 1);
	/* One that could not move has not moved before. */
	assert_false(page_counters_moved(counters, 1, false, 0, 0));
	assert_false(page_counters_moved(counters, 1, true, 0, 0));
	assert_true(page_counters_moved(counters, 1, false, 0, 0));
	for (unsigned i = 0; i < 20; i++)
		assert_true(page_counters_moved(counters, 1, true, 0, 0));
	p = add_at(1, 1, 1, POLICY_READ, 1, 1);
	assert_int_equal(p.moves, POLICY_MOVES_MAX);
	assert_int_equal(p.moved, 3);
	p = add_at(1, 1, 1, POLICY_READ, 2, 1);
	assert_int_equal(p.moves, POLICY_MOVES_MAX);
	assert_int_equal(p.moved, 0);
	p = add_at(1, 1, 1, POLICY_READ, 2, 5);
	assert_int_equal(p.moves, POLICY_MOVES_MAX - 4);
	p = add_at(1, 1, 1, POLICY_READ, 2, 500);
	assert_int_equal(p.moves, 0);
	assert_false(page_counters_moved(counters, PAGES, true, 0, 0));
	assert_false(page_counters_moved(counters, UINT64_MAX, true, 0, 0));
}

static void counts_stop_at_their_limits(void **state)
{
	struct policy_page p;

	(void)state;
	make(POLICY_RESET);
	add_at(1, 1, UINT32_MAX, POLICY_WRITE, 1, 1);
	p = add_at(1, 1, UINT32_MAX, POLICY_WRITE, 1, 1);
	expect(p, 1, COUNTERS_MOST, POLICY_NO_NODE, 0);
	assert_int_equal(p.writes, 255);
	expect(add_at(1, 62, UINT32_MAX, POLICY_READ, 1, 1), 1, COUNTERS_MOST,
	       62, COUNTERS_MOST);
}

static void what_there_is_not_is_refused(void **state)
{
	struct page_access a = { .page = PAGES };
	struct policy_page p;

	(void)state;
	make(POLICY_RESET);
	assert_int_equal(page_counters_add(counters, &a, 0, 0, &p), -ERANGE);
	a.page = UINT64_MAX;
	assert_int_equal(page_counters_add(counters, &a, 0, 0, &p), -ERANGE);
	a = (struct page_access){ .node = POLICY_MAX_NODES };
	assert_int_equal(page_counters_add(counters, &a, 0, 0, &p), -ERANGE);
	assert_int_equal(page_counters_create(&counters, 0, POLICY_RESET),
			 -EINVAL);
	assert_int_equal(page_counters_create(&counters, COUNTERS_MAX_PAGE + 1,
					      POLICY_RESET),
			 -EINVAL);
}

/* 16 bytes per 512 pages, and 8 bytes for each page of a chunk in use. */
static void memory_is_taken_when_it_is_used(void **state)
{
	uint64_t empty;

	(void)state;
	make(POLICY_RESET);
	empty = page_counters_bytes(counters);
	assert_true(empty < 200);
	add(0, 1, 1);
	add(511, 1, 1);
	assert_int_equal(page_counters_bytes(counters) - empty, 4096);
	add(1999, 1, 1);
	assert_int_equal(page_counters_bytes(counters) - empty, 8192);
}

/* Whatever the order: a node with more than a third of the misses is there. */
static void a_node_with_a_third_is_kept(void **state)
{
	(void)state;
	srandom(22);
	for (unsigned round = 0; round < 3000; round++) {
		uint32_t exact[8] = { 0 }, total = 0;
		struct policy_page p = { 0 };

		make(POLICY_RESET);
		for (long n = random() % 300; n >= 0; n--) {
			uint32_t weight = 1 + (uint32_t)random() % 20;
			uint8_t node = (uint8_t)(random() % 3 ? random() % 8
							      : round % 8);

			p = add(9, node, weight);
			exact[node] += weight;
			total += weight;
		}
		for (uint8_t node = 0; node < 8; node++) {
			uint32_t have = policy_count_of(&p, node);

			assert_true(have <= exact[node]);
			assert_true(have + total / 3 >= exact[node]);
			if (exact[node] > total / 3)
				assert_true(have > 0 ||
					    exact[node] * 3 <= total);
		}
	}
}

/* --- fields, each by itself ------------------------------------------------ */

/* A page as the words have it, unpacked, and each rule one line after another. */
struct plain_page {
	uint32_t counts[2], writes, period;
	uint8_t nodes[2], previous;
};

static void plain_age(struct plain_page *m, bool halve, uint32_t period)
{
	uint32_t by = period - m->period;

	by = halve && by < 31 ? by : by ? 31 : 0;
	m->counts[0] >>= by;
	m->counts[1] >>= by;
	m->writes >>= by;
	m->period = period;
}

static void plain_miss(struct plain_page *m, uint8_t node, uint32_t weight)
{
	uint32_t i, both;

	for (i = 0; i < 2 && !(m->counts[i] && m->nodes[i] == node); i++)
		;
	if (i == 2) {
		both = (uint32_t)min_u64(weight, m->counts[1]);
		m->counts[0] -= both;
		m->counts[1] -= both;
		weight -= both;
		i = m->counts[0] ? 1 : 0;
		if (!weight || m->counts[i])
			return;
		m->nodes[i] = node;
	}
	m->counts[i] = (uint32_t)min_u64((uint64_t)m->counts[i] + weight,
					 COUNTERS_MOST);
	if (m->counts[1] > m->counts[0]) {
		struct plain_page was = *m;

		m->counts[0] = was.counts[1];
		m->counts[1] = was.counts[0];
		m->nodes[0] = was.nodes[1];
		m->nodes[1] = was.nodes[0];
	}
}

static void plain_compare(const struct plain_page *m, struct policy_page p)
{
	expect(p, m->counts[0] ? m->nodes[0] : POLICY_NO_NODE, m->counts[0],
	       m->counts[1] ? m->nodes[1] : POLICY_NO_NODE, m->counts[1]);
	assert_int_equal(p.writes, m->writes);
	assert_int_equal(p.previous, m->previous);
}

static void words_are_as_their_fields(void **state)
{
	uint32_t random = 3, period = 0;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct plain_page pages[40] = { 0 };

		make(round % 2 ? POLICY_HALVE : POLICY_RESET);
		for (unsigned i = 0; i < 40; i++)
			pages[i].previous = POLICY_NO_NODE;
		for (unsigned i = 0; i < 20000; i++) {
			uint32_t page = (random = random * 1664525u + 1) >> 20;
			uint32_t draw = (random = random * 1664525u + 1) >> 8;
			uint32_t most = round % 3 ? 30 : 9000;
			struct plain_page *m = &pages[page % 40];
			uint32_t weight = 1 + draw / 16 % most;
			uint8_t node = (uint8_t)(draw % (2 + round % 5) * 9);
			bool write = draw >> 20 & 1;

			period += draw % 97 == 0 ? 1 + draw / 97 % 16 : 0;
			plain_age(m, round % 2, period);
			plain_miss(m, node, weight);
			if (write)
				m->writes = (uint32_t)min_u64(
					m->writes + weight, PAGE_WRITES_MOST);
			plain_compare(m,
				      add_at(page % 40 * 37, node, weight,
					     write ? POLICY_WRITE : POLICY_READ,
					     period, 0));
			m->previous = node;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_nodes_are_kept_larger_first),
		cmocka_unit_test(a_third_node_takes_from_both),
		cmocka_unit_test(counts_are_reset_by_period),
		cmocka_unit_test(counts_are_halved_by_period),
		cmocka_unit_test(moves_are_forgotten_by_rest),
		cmocka_unit_test(counts_stop_at_their_limits),
		cmocka_unit_test(what_there_is_not_is_refused),
		cmocka_unit_test(memory_is_taken_when_it_is_used),
		cmocka_unit_test(a_node_with_a_third_is_kept),
		cmocka_unit_test(words_are_as_their_fields),
	};

	return cmocka_run_group_tests_name("counters", tests, NULL, end);
}
