/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps in guest RAM that is in huge pages: nothing but these is lost. */
#include <string.h>

#include "memory/sampling/page_traps.h"
#include "tests/unit/memory/huge_world.h"

static struct huge_world w;

static void traps_take_huge_pages_apart(void **state)
{
	uint64_t pages, end, run, now;
	struct page_traps_counts c;
	struct ram_huge_stats s;
	struct page_traps *traps;
	struct sampler sampler;

	(void)state;
	if (page_traps_probe())
		SKIP("no userfaultfd for this");
	huge_world_make(&w, UINT64_MAX);
	huge_world_write(&w, 2 * RAM_HUGE_PAGES, 2 * RAM_HUGE_PAGES, 7);
	pages = huge_world_pages(&w);
	assert_int_equal(page_traps_create(&traps, &w.view, w.pm), 0);
	sampler_init(&sampler, PAGES, 5);
	sampler_set(&sampler, SAMPLER_MAX_RATE, SAMPLER_MAX_SHARE,
		    clock_now_ns());
	end = wait_end_ns();
	/* The others of a huge page are mapped again when somebody uses them. */
	do {
		assert_true(clock_now_ns() < end);
		page_traps_turn(traps, &sampler, clock_now_ns());
		ram_huge_get_stats(w.huge, &s);
	} while (s.splits < 2);
	page_traps_get_counts(traps, &c);
	assert_true(c.set >= 2);
	assert_int_equal(c.failed, 0);
	assert_int_equal(s.splits, 2);
	assert_int_equal(huge_world_mapped(&w), 0);
	/* Taken away: this thread must not run into one. */
	sampler_set(&sampler, 0, 1, clock_now_ns());
	page_traps_turn(traps, &sampler, clock_now_ns());
	page_traps_destroy(traps);
	assert_int_equal(huge_world_pages(&w), pages);
	/*
	 * When it is over they are made again, as soon as the kernel can: it
	 * does not while somebody else holds one of their pages.
	 */
	now = clock_now_ns();
	end = wait_end_ns();
	do {
		assert_true(clock_now_ns() < end);
		huge_world_write(&w, 2 * RAM_HUGE_PAGES, 2 * RAM_HUGE_PAGES, 8);
		now += (RAM_HUGE_REST_S << RAM_HUGE_DOUBLINGS) * 1000000000ull;
		while (pmap_next_candidate(w.pm, now, &run))
			pmap_collapsed(
				w.pm, run,
				ram_huge_collapse(&w.view, w.pagemap, run),
				now);
		ram_huge_get_stats(w.huge, &s);
	} while (w.real && s.collapses < 2);
	if (w.real)
		assert_int_equal(huge_world_mapped(&w), 2 * RAM_HUGE_BYTES);
	huge_world_check(&w);
	huge_world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traps_take_huge_pages_apart),
	};

	return cmocka_run_group_tests_name("huge_traps", tests, NULL, NULL);
}
