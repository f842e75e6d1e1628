/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What DAMON knows of a VM's memory at one time, a *snapshot*: regions of pages, and
 * in how many looks each was found accessed (memory/sampling/damon.h). And which
 * pages are named for it: DAMON takes all pages of a region for alike, and a
 * snapshot would be as many records as the VM has pages. So of the accessed pages
 * of a snapshot each STRIDE-th is named, where the stride is the smallest power of
 * two that leaves HEAT_PAGES, and one more per region at most. A page stands for
 * itself alone. Two snapshots in a row name the same pages, as policies want two
 * accesses that agree; then others follow.
 *
 * Pure: no clock, no system call. One thread.
 */
#ifndef DISCO_MEMORY_SOURCES_HEAT_H
#define DISCO_MEMORY_SOURCES_HEAT_H

#include "disco/base.h"

#define HEAT_REGIONS 1000u /* of a snapshot */
#define HEAT_PAGES   1024u /* that are named, of a snapshot */

struct heat_region {
	uint64_t page; /* the first one; of the VM */
	uint32_t pages;
	uint32_t accesses; /* looks that found one */
};

/* All-zero: no snapshot. */
struct heat_map {
	struct heat_region next[HEAT_REGIONS], now[HEAT_REGIONS];
	unsigned nr_next, nr_now;
	uint64_t period_ns; /* of the looks of .now; 0: there was none yet */
	uint64_t snapshots; /* so far */
	uint64_t stride, phase;
	unsigned at;   /* region whose pages are named now */
	uint64_t page; /* of it: the next one that may be */
};

/**
 * heat_map_add() - a part of a snapshot
 * @pages:   of the VM; a region beyond is left out, as is one that begins before
 *	     the end of the one before it
 * @strange: increased by these, and by regions beyond HEAT_REGIONS
 */
void heat_map_add(struct heat_map *h, const struct heat_region *r, unsigned nr,
		  uint64_t pages, uint64_t *strange);

/* It is complete, and takes the place of the last. @period_ns: as above, not 0. */
void heat_map_end(struct heat_map *h, uint64_t period_ns);

/* A page that was accessed. Return: false: all of this snapshot were named. */
MUST_CHECK bool heat_map_next(struct heat_map *h, uint64_t *page,
			      uint32_t *accesses);

#endif
