/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations against a copy of guest memory, and against the kernel's
 * own account of what is mapped where.
 */
#include <errno.h>
#include <string.h>

#include "disco/mix.h"
#include "tests/unit/memory/pmap_world.h"

#define STEPS 4000u

static struct world w;
static uint8_t shadow[PAGES][PAGE_BYTES];
static uint64_t seed;
static bool joined;	    /* neighbours tend to continue each other */
static uint64_t next_index; /* otherwise */

static uint64_t dice(uint64_t sides)
{
	return mix_u64(seed += MIX_STEP) % sides;
}

static uint64_t dice_run(uint64_t *page)
{
	*page = dice(PAGES);
	return 1 + dice(min_u64(PAGES - *page, dice(4) ? 4 : 60));
}

static void step_show(void)
{
	uint64_t page, nr = dice_run(&page), index = page + dice(2) * PAGES;
	unsigned source = (unsigned)dice(NR_SOURCES);
	int err;

	if (!joined) {
		/* Nobody has the page before, nor the one after. */
		nr = 1;
		index = 2 * (next_index++ % (SOURCE_PAGES / 2));
	}
	err = world_show(&w, page, nr, source, index);
	assert_true(err == 0 || err == -ENOSPC);
	for (uint64_t i = 0; !err && i < nr; i++)
		source_bytes(source, index + i, shadow[page + i]);
}

static void step_overwrite(void)
{
	uint64_t bytes = (uint64_t)PAGES * PAGE_BYTES;
	uint64_t at = dice(bytes), nr = 1 + dice(min_u64(bytes - at, 50000));
	int value = (int)dice(256);

	if (dice(2))
		at -= at % PAGE_BYTES;
	pmap_overwrite(w.pm, w.view.hva + at, nr);
	memset(w.view.hva + at, value, nr);
	memset(&shadow[0][0] + at, value, nr);
}

static void step_free(void)
{
	static const uint8_t zero[PAGE_BYTES];
	uint64_t page, nr = dice_run(&page);
	int err = pmap_free(w.pm, (gfn_t){ page }, nr);

	assert_true(err == 0 || err == -ENOSPC);
	for (uint64_t i = page; i < page + nr; i++)
		if (!err || memcmp(world_page(&w, i), zero, PAGE_BYTES) == 0)
			memset(shadow[i], 0, PAGE_BYTES);
}

static void step_guest(void)
{
	uint64_t page, nr = dice_run(&page);
	bool writes = dice(2);

	for (uint64_t i = page; i < page + nr; i++) {
		uint64_t at = dice(PAGE_BYTES);

		assert_int_equal(world_page(&w, i)[at], shadow[i][at]);
		if (writes)
			world_page(&w, i)[at] = shadow[i][at] =
				(uint8_t)dice(256);
	}
}

static void step_sweep(void)
{
	assert_true(pmap_sweep(w.pm, w.pagemap, dice(PAGES), NULL) >= 0);
}

/* Sources but the last one have the same bytes. */
static unsigned other(void *arg, unsigned id, uint64_t index, uint64_t *nr)
{
	unsigned to = (unsigned)dice(NR_SOURCES);

	(void)arg;
	if (dice(2))
		*nr = 1 + dice(*nr);
	if (dice(4) == 0 || id == w.src[NR_SOURCES - 1].id)
		return dice(2) ? id : 0;
	if (to == NR_SOURCES - 1 || id == w.src[to].id)
		return id;
	for (uint64_t i = 0; i < *nr; i++)
		w.src[to].held[index + i]++;
	return w.src[to].id;
}

static void step_rebase(void)
{
	assert_int_equal(pmap_rebase(w.pm, w.pagemap, other, NULL), 0);
}

/* How often the kernel shows page @index of @source. */
static int shown(unsigned source, uint64_t index)
{
	int n = 0;

	for (unsigned i = 0; i < PAGES; i++)
		n += w.truth[i].source == source && w.truth[i].index == index &&
		     !w.truth[i].private;
	return n;
}

static void check(uint64_t budget)
{
	uint64_t mappings = world_mappings(&w);
	struct pmap_stats s;
	uint64_t held = 0;

	/* Sources hear of written pages by a full sweep at the latest. */
	assert_true(pmap_sweep(w.pm, w.pagemap, PAGES, NULL) >= 0);
	world_look(&w);
	for (unsigned i = 0; i < NR_SOURCES; i++)
		for (unsigned at = 0; at < SOURCE_PAGES; at++) {
			assert_int_equal(w.src[i].held[at], shown(i, at));
			held += (uint64_t)w.src[i].held[at];
		}
	pmap_get_stats(w.pm, &s);
	assert_int_equal(s.overlaid_pages, held);
	for (unsigned i = 0; i < PAGES; i++)
		if (w.truth[i].source != NR_SOURCES)
			assert_true(world_hole(&w, i));
	assert_true(mappings <= budget);
	assert_true(world_recount(&w) <= world_seen(&w));
	assert_true(world_seen(&w) <= mappings);
	if (!joined)
		assert_int_equal(world_recount(&w), mappings);
	assert_memory_equal(w.view.hva, shadow, sizeof(shadow));
}

static void play(uint64_t start, uint64_t budget)
{
	static void (*const steps[])(
		void) = { step_show, step_show,	 step_show,  step_overwrite,
			  step_free, step_guest, step_guest, step_sweep };
	seed = start;
	memset(shadow, 0, sizeof(shadow));
	world_make(&w, budget);
	for (unsigned i = 0; i < STEPS; i++) {
		steps[dice(ARRAY_SIZE(steps))]();
		if (dice(50) == 0)
			step_rebase();
		if (dice(40) == 0)
			check(budget);
	}
	check(budget);
	world_end(&w);
}

static void runs_that_join(void **state)
{
	(void)state;
	joined = true;
	for (unsigned i = 0; i < 3; i++)
		play(i, UINT64_MAX);
}

static void pages_apart(void **state)
{
	(void)state;
	joined = false;
	play(11, UINT64_MAX);
}

static void few_mappings(void **state)
{
	(void)state;
	joined = true;
	play(21, 20);
	joined = false;
	play(22, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_that_join),
		cmocka_unit_test(pages_apart),
		cmocka_unit_test(few_mappings),
	};

	return cmocka_run_group_tests_name("pmap_random", tests, NULL, NULL);
}
