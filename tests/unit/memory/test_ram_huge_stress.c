/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations on guest RAM in huge pages against a copy of it, while a
 * thread collapses runs, and another one moves pages, as an agent does.
 * DISCO_STRESS_OPERATIONS says how many operations, a hundredth of it.
 */
#include <errno.h>
#include <numaif.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "disco/clock.h"
#include "disco/mix.h"
#include "tests/unit/memory/huge_world.h"

#define OPERATIONS 6000u
#define MOVE_PAGES 64u

static struct huge_world w;
static uint64_t seed, stale;

/* The collapser's job; handed over by its state. */
static struct {
	_Atomic(int) state; /* 0: none; 1: to do; 2: done; 3: end */
	uint64_t run;
	enum ram_huge_result how;
} job;

static uint64_t dice(uint64_t sides)
{
	return mix_u64(seed += MIX_STEP) % sides;
}

static uint64_t dice_run(uint64_t *page)
{
	*page = dice(PAGES);
	return 1 + dice(min_u64(PAGES - *page, dice(4) ? 8 : 700));
}

static void *collapser(void *arg)
{
	int state;

	(void)arg;
	while ((state = atomic_load(&job.state)) != 3) {
		if (state != 1) {
			(void)usleep(100);
			continue;
		}
		job.how = ram_huge_collapse(&w.view, w.pagemap, job.run);
		state = 1;
		(void)atomic_compare_exchange_strong(&job.state, &state, 2);
	}
	return NULL;
}

static _Atomic(bool) moving;

/* To the node that they are on, where there is one: the kernel looks at all. */
static void *mover(void *arg)
{
	uint64_t at = 0;

	(void)arg;
	while (atomic_load(&moving)) {
		void *pages[MOVE_PAGES];
		int nodes[MOVE_PAGES] = { 0 }, status[MOVE_PAGES];

		for (unsigned i = 0; i < MOVE_PAGES; i++)
			pages[i] = huge_world_page(&w, at++ * 37 % PAGES);
		(void)move_pages(0, MOVE_PAGES, pages, nodes, status,
				 MPOL_MF_MOVE);
		(void)usleep(200);
	}
	return NULL;
}

static void step_show(void)
{
	uint64_t page, nr = dice_run(&page);
	int err = huge_world_show(&w, page, nr);

	assert_true(err == 0 || err == -ENOSPC);
}

static void step_overwrite(void)
{
	uint64_t page, nr = dice_run(&page);
	int value = (int)dice(256);

	pmap_overwrite(w.pm, huge_world_page(&w, page), nr * PAGE_BYTES);
	memset(huge_world_page(&w, page), value, nr * PAGE_BYTES);
	memset(huge_world_shadow(&w, page), value, nr * PAGE_BYTES);
}

static void step_free(void)
{
	uint64_t page, nr = dice_run(&page);

	if (dice(3) == 0) {
		page -= page % RAM_HUGE_PAGES;
		nr = min_u64(RAM_HUGE_PAGES, PAGES - page);
	}
	if (pmap_free(w.pm, (gfn_t){ page }, nr) == 0)
		memset(huge_world_shadow(&w, page), 0, nr * PAGE_BYTES);
	else
		memcpy(huge_world_shadow(&w, page), huge_world_page(&w, page),
		       nr * PAGE_BYTES);
}

static void step_guest(void)
{
	uint64_t page, nr = dice_run(&page);
	bool writes = dice(2);

	for (uint64_t i = page; i < page + nr; i++) {
		uint64_t at = dice(PAGE_BYTES);
		uint8_t *real = huge_world_page(&w, i) + at;
		uint8_t *copy = huge_world_shadow(&w, i) + at;

		stale += *real != *copy;
		if (writes)
			*real = *copy = (uint8_t)dice(256);
	}
}

static void step_split(void)
{
	uint64_t page = dice(PAGES);

	if (pmap_is_ram(w.pm, page))
		pmap_split(w.pm, page);
}

static void step_sweep(void)
{
	assert_true(pmap_sweep(w.pm, w.pagemap, dice(PAGES), NULL) >= 0);
}

/* Time goes faster here, so that runs rest for a while and not for long. */
static void step_collapse(void)
{
	uint64_t now = clock_now_ns() + dice(2000) * 1000000000ull;
	int state = atomic_load(&job.state);

	if (state == 2) {
		pmap_collapsed(w.pm, job.run, job.how, now);
		state = 0;
		atomic_store(&job.state, 0);
	}
	if (state == 0 && pmap_next_candidate(w.pm, now, &job.run))
		atomic_store(&job.state, 1);
}

static void collapse_end(void)
{
	while (atomic_load(&job.state) == 1)
		(void)usleep(100);
	if (atomic_load(&job.state) == 2)
		pmap_collapsed(w.pm, job.run, job.how, clock_now_ns());
	atomic_store(&job.state, 0);
}

static void play(uint64_t start, uint64_t budget)
{
	static void (*const steps[])(
		void) = { step_show,  step_overwrite, step_free,
			  step_guest, step_guest,     step_split,
			  step_sweep, step_collapse,  step_collapse };
	const char *ops = getenv("DISCO_STRESS_OPERATIONS");
	/* Each is some system calls that change mappings of megabytes. */
	unsigned long nr = ops ? strtoul(ops, NULL, 10) / 100 : OPERATIONS;
	pthread_t threads[2];
	struct ram_huge_stats s;

	seed = start;
	stale = 0;
	huge_world_make(&w, budget);
	atomic_store(&job.state, 0);
	atomic_store(&moving, true);
	assert_int_equal(pthread_create(&threads[0], NULL, collapser, NULL), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, mover, NULL), 0);
	for (unsigned long i = 0; i < nr; i++) {
		steps[dice(ARRAY_SIZE(steps))]();
		if (dice(500) == 0) {
			collapse_end();
			huge_world_check(&w);
		}
	}
	collapse_end();
	atomic_store(&job.state, 3);
	atomic_store(&moving, false);
	(void)pthread_join(threads[0], NULL);
	(void)pthread_join(threads[1], NULL);
	assert_int_equal(stale, 0);
	huge_world_check(&w);
	ram_huge_get_stats(w.huge, &s);
	print_message(
		"# %lu operations: %lu splits, %lu collapses, %lu aborted\n",
		nr, s.splits, s.collapses, s.aborted);
	huge_world_end(&w);
}

static void nothing_is_stale(void **state)
{
	(void)state;
	play(1, UINT64_MAX);
}

static void nothing_is_stale_with_few_mappings(void **state)
{
	(void)state;
	play(2, 24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_stale),
		cmocka_unit_test(nothing_is_stale_with_few_mappings),
	};

	return cmocka_run_group_tests_name("ram_huge_stress", tests, NULL,
					   NULL);
}
