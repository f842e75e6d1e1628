/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest RAM, sources that count, and what the kernel says is mapped where.
 */
#ifndef TESTS_PMAP_WORLD_H
#define TESTS_PMAP_WORLD_H

#include <sys/types.h>

#include "memory/pmap.h"
#include "tests/unit/support.h"

#define PAGES	     400u
#define NR_SOURCES   3u
#define SOURCE_PAGES 1200u

struct world_source {
	struct pmap_source s;
	unsigned id;
	ino_t inode;
	int held[SOURCE_PAGES]; /* shown, less gone */
	unsigned told;		/* calls of gone() */
};

/* A page of the view, by /proc/self/maps and pagemap. */
struct truth {
	unsigned source; /* NR_SOURCES: RAM */
	uint64_t index;	 /* page of that file */
	bool private;
	bool first; /* of its mapping */
};

struct world {
	int ram, pagemap;
	struct ram_view view;
	struct pmap *pm;
	struct world_source src[NR_SOURCES];
	struct truth truth[PAGES];
};

void world_make(struct world *w, uint64_t budget);
void world_end(struct world *w);

uint8_t *world_page(struct world *w, uint64_t page);

/* The bytes of page @index, the same in all sources but for the last one. */
void source_bytes(unsigned source, uint64_t index, uint8_t out[PAGE_BYTES]);

/* pmap_show() with holds. */
int world_show(struct world *w, uint64_t page, uint64_t nr, unsigned source,
	       uint64_t index);

/* Ask the kernel: fills w->truth. */
void world_look(struct world *w);

/* Boundaries between mappings, as /proc/self/maps has them. */
uint64_t world_seen(const struct world *w);

/* Boundaries between pages that do not continue each other. */
uint64_t world_recount(const struct world *w);

uint64_t world_mappings(struct world *w);

/* Is the page of the RAM memfd a hole? */
bool world_hole(const struct world *w, uint64_t page);

#endif
