/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "memory/lease.h"

#define WORDS  16u
#define BLOCKS (64 * WORDS)

/* Of one worker and of another one, and the agent's. */
static lease_word lease[WORDS], other[WORDS], presence[WORDS];

static int clear_maps(void **state)
{
	(void)state;
	memset(lease, 0, sizeof(lease));
	memset(other, 0, sizeof(other));
	memset(presence, 0, sizeof(presence));
	return 0;
}

/* Exactly these blocks are set, by a look at each bit. */
static void assert_only(const lease_word *map, uint64_t first, uint64_t nr)
{
	for (uint64_t b = 0; b < BLOCKS; b++)
		if (((map[b / 64] >> (b % 64)) & 1) !=
		    (b >= first && b < first + nr))
			fail_msg("block %u", (unsigned)b);
}

static void bytes_of_maps_are_whole_pages(void **state)
{
	(void)state;
	assert_int_equal(lease_map_bytes(0), 0);
	assert_int_equal(lease_map_bytes(1), PAGE_BYTES);
	assert_int_equal(lease_map_bytes(8 * PAGE_BYTES), PAGE_BYTES);
	assert_int_equal(lease_map_bytes(8 * PAGE_BYTES + 1), 2 * PAGE_BYTES);
	assert_int_equal(lease_map_bytes(LEASE_MAX_BLOCKS), MIB(32));
	assert_int_equal(lease_map_bytes(LEASE_MAX_BLOCKS + 1), 0);
	assert_int_equal(lease_map_bytes(UINT64_MAX), 0);
}

static void bits_are_where_they_belong(void **state)
{
	const struct {
		uint64_t first;
		unsigned nr;
	} runs[] = {
		{ 0, 1 },    { 63, 1 },	   { 64, 1 },	 { BLOCKS - 1, 1 },
		{ 63, 2 },   { 0, 64 },	   { 64, 64 },	 { 1, 64 },
		{ 127, 66 }, { 3, 61 },	   { 0, 512 },	 { 37, 512 },
		{ 63, 65 },  { 512, 512 }, { 511, 512 }, { 100, 7 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(runs); i++) {
		uint64_t first = runs[i].first;
		unsigned nr = runs[i].nr;

		clear_maps(state);
		presence_set(presence, first, nr);
		assert_only(presence, first, nr);
		assert_int_equal(lease_take(lease, presence, first, nr), nr);
		assert_only(lease, first, nr);
		assert_only(presence, first, nr);
		lease_drop(lease, first, nr);
		assert_only(lease, 0, 0);
	}
}

static void only_what_comes_before_a_hole_is_leased(void **state)
{
	(void)state;
	presence_set(presence, 0, 512);
	presence_set(presence, 512, 512);
	for (unsigned hole = 30; hole < 30 + 400; hole++) {
		assert_true(presence_evict(presence, NULL, 0, hole));
		assert_int_equal(lease_take(lease, presence, 30, 512),
				 hole - 30);
		assert_only(lease, 30, hole - 30);
		if (hole > 30)
			lease_drop(lease, 30, hole - 30);
		assert_only(lease, 0, 0);
		presence_set(presence, hole, 1);
	}
	assert_only(presence, 0, BLOCKS);
}

static void blocks_after_the_run_do_not_count(void **state)
{
	(void)state;
	presence_set(presence, 60, 8);
	assert_int_equal(lease_take(lease, presence, 60, 8), 8);
	lease_drop(lease, 60, 8);
	assert_int_equal(lease_take(lease, presence, 60, 9), 8);
	lease_drop(lease, 60, 8);
	assert_int_equal(lease_take(lease, presence, 59, 9), 0);
	assert_only(lease, 0, 0);
}

static void neighbours_stay_leased(void **state)
{
	(void)state;
	presence_set(presence, 0, 130);
	assert_int_equal(lease_take(lease, presence, 0, 10), 10);
	assert_int_equal(lease_take(lease, presence, 10, 110), 110);
	assert_int_equal(lease_take(lease, presence, 120, 20), 10);
	assert_only(lease, 0, 130);
	lease_drop(lease, 64, 66);
	assert_only(lease, 0, 64);
	lease_drop(lease, 0, 63);
	assert_only(lease, 63, 1);
}

static void presence_is_of_one_block(void **state)
{
	(void)state;
	presence_set(presence, 62, 3);
	assert_false(presence_test(presence, 61));
	for (uint64_t b = 62; b < 65; b++)
		assert_true(presence_test(presence, b));
	assert_false(presence_test(presence, 65));
	assert_true(presence_evict(presence, NULL, 0, 63));
	assert_false(presence_test(presence, 63));
	assert_true(presence_test(presence, 62));
}

static void any_lease_keeps_a_block(void **state)
{
	const lease_word *const maps[] = { lease, other };

	(void)state;
	presence_set(presence, 0, 512);
	assert_int_equal(lease_take(lease, presence, 63, 1), 1);
	assert_int_equal(lease_take(other, presence, 63, 2), 2);
	assert_false(presence_evict(presence, maps, 2, 63));
	assert_false(presence_evict(presence, maps, 2, 64));
	assert_only(presence, 0, 512);

	lease_drop(lease, 63, 1);
	assert_false(presence_evict(presence, maps, 2, 63));
	assert_true(presence_evict(presence, maps, 1, 63));
	assert_false(presence_test(presence, 63));
	presence_set(presence, 63, 1);
	lease_drop(other, 63, 2);
	assert_true(presence_evict(presence, maps, 2, 63));
	assert_true(presence_evict(presence, maps, 2, 62));
	assert_true(presence_evict(presence, maps, 2, 64));
	for (uint64_t b = 0; b < 512; b++)
		assert_int_equal(presence_test(presence, b), b < 62 || b > 64);
}

static void absent_stays_absent(void **state)
{
	const lease_word *const maps[] = { lease };

	(void)state;
	assert_true(presence_evict(presence, maps, 1, 5));
	assert_only(presence, 0, 0);
	/* A worker in the middle of a lease_take() that is about to fail. */
	lease[0] = 1 << 5;
	assert_false(presence_evict(presence, maps, 1, 5));
	assert_only(presence, 0, 0);
}

static void nobody_to_ask(void **state)
{
	(void)state;
	presence_set(presence, 0, 1);
	assert_int_equal(lease_take(lease, presence, 0, 1), 1);
	assert_true(presence_evict(presence, NULL, 0, 0));
	assert_only(presence, 0, 0);
	assert_only(lease, 0, 1);
}

#define PAIRS 1000000

/* Said, not judged: the machine has other work. */
static void cost_of_one_block(void **state)
{
	struct timespec a, b;
	uint64_t got = 0;

	(void)state;
	presence_set(presence, 0, 512);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (uint64_t i = 0; i < PAIRS; i++) {
		got += lease_take(lease, presence, i % 512, 1);
		lease_drop(lease, i % 512, 1);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_int_equal(got, PAIRS);
	print_message("# lease_take() and lease_drop(): %.1f ns\n",
		      ((double)(b.tv_sec - a.tv_sec) * 1e9 +
		       (double)(b.tv_nsec - a.tv_nsec)) /
			      PAIRS);
}

#define TEST(f) cmocka_unit_test_setup(f, clear_maps)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bytes_of_maps_are_whole_pages),
		TEST(bits_are_where_they_belong),
		TEST(only_what_comes_before_a_hole_is_leased),
		TEST(blocks_after_the_run_do_not_count),
		TEST(neighbours_stay_leased),
		TEST(presence_is_of_one_block),
		TEST(any_lease_keeps_a_block),
		TEST(absent_stays_absent),
		TEST(nobody_to_ask),
		TEST(cost_of_one_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
