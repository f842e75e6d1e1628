/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/agent/segment_figures.h"

#include <errno.h>
#include <numaif.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/agent/segment_engine.h"
#include "monitor/agent/segment_home.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

#define LOOK_PAGES 512u	  /* per call of move_pages(2) */
#define MOST_PAGES 16384u /* per count */
#define MOST_HELD  65536u

static void figure_set(_Atomic(uint64_t) *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

/* The kernel only knows of pages that are in this process's tables. */
static void figures_look_up_run(struct segment_home *g, uint64_t at,
				uint64_t nr, uint64_t nodes[MAX_NODES])
{
	void *pages[LOOK_PAGES];
	int status[LOOK_PAGES];

	if (nr == 0 || madvise((void *)(uintptr_t)(g->base + at),
			       nr * PAGE_BYTES, MADV_POPULATE_READ) < 0)
		return;
	for (uint64_t i = 0; i < nr; i++)
		pages[i] = (void *)(uintptr_t)(g->base + at + i * PAGE_BYTES);
	if (g->engine)
		segment_engine_look_up(g->engine, pages[0], at / PAGE_BYTES,
				       nr);
	if (move_pages(0, nr, pages, NULL, status, 0) < 0)
		return;
	for (uint64_t i = 0; i < nr; i++)
		for (unsigned n = 0; n < g->nr_nodes; n++)
			if (g->node_numbers[n] == status[i])
				nodes[n]++;
}

/*
 * Of these pages, those that have memory: a hole would be filled by looking at it.
 * By mincore(2), as SEEK_HOLE goes on to the next hole of the segment, which may be
 * its end.
 */
static void figures_look_up_piece(struct segment_home *g, uint64_t at,
				  uint64_t nr, uint64_t nodes[MAX_NODES])
{
	uint8_t *base = (uint8_t *)(uintptr_t)g->base;
	unsigned char there[LOOK_PAGES];
	uint64_t first = 0, end;

	if (mincore(base + at, nr * PAGE_BYTES, there) < 0)
		return;
	for (; first < nr; first = end) {
		for (end = first; end < nr && there[end] & 1; end++)
			;
		figures_look_up_run(g, at + first * PAGE_BYTES, end - first,
				    nodes);
		for (; end < nr && !(there[end] & 1); end++)
			;
	}
}

static void figures_look_up(struct segment_home *g, uint64_t nodes[MAX_NODES])
{
	uint64_t at = 0, seen = 0;

	while (seen < MOST_PAGES && at < g->bytes) {
		off_t data = lseek(g->fd, (off_t)at, SEEK_DATA);
		uint64_t nr;

		if (data < 0 || (uint64_t)data >= g->bytes)
			return;
		at = (uint64_t)data;
		nr = min_u64((g->bytes - at) / PAGE_BYTES, LOOK_PAGES);
		figures_look_up_piece(g, at, nr, nodes);
		at += nr * PAGE_BYTES;
		seen += nr;
	}
}

static void figures_count_held(const struct segment_home *g,
			       uint64_t held[HOME_MAX_HOLDERS])
{
	uint32_t page = g->home.lists[HOME_SHARED].first;

	for (unsigned i = 0; i < MOST_HELD && page != HOME_NONE; i++) {
		uint64_t left = g->pages[page].held;

		for (; left; left &= left - 1)
			held[__builtin_ctzll(left)]++;
		page = g->pages[page].next;
	}
}

void segment_figures_count(struct segment_home *g)
{
	struct segment_figures *f = g->shown.base;
	uint64_t nodes[MAX_NODES] = { 0 }, held[HOME_MAX_HOLDERS] = { 0 };

	figures_look_up(g, nodes);
	figures_count_held(g, held);
	for (unsigned n = 0; n < MAX_NODES; n++) {
		if (nodes[n] > nodes[g->main_node])
			g->main_node = (uint8_t)n;
		figure_set(&f->pages[n], nodes[n]);
	}
	for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++)
		figure_set(&f->held[i], held[i]);
}

void segment_figures_publish(struct segment_home *g)
{
	const struct home_stats *s = &g->home.stats;
	struct segment_figures *f = g->shown.base;

	figure_set(&f->protected_pages, s->protected_pages);
	figure_set(&f->shared_pages, s->shared_pages);
	figure_set(&f->replicated, s->replicated);
	figure_set(&f->collapsed, s->collapsed);
	figure_set(&f->reclaimed, s->reclaimed);
	figure_set(&f->disproved, s->disproved);
	figure_set(&f->writes, s->writes);
	figure_set(&f->late, s->late);
	for (unsigned n = 0; n < MAX_NODES; n++)
		figure_set(&f->copies[n], s->copies[n]);
	figure_set(&f->magic, SEGMENT_FIGURES_MAGIC);
}
