/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest RAM in huge pages, one source to show over it, and a copy of what the
 * guest must see.
 */
#ifndef TESTS_HUGE_WORLD_H
#define TESTS_HUGE_WORLD_H

#include "memory/pmap.h"
#include "tests/unit/support.h"

#define RUNS	   10u
#define TAIL_PAGES 56u
#define PAGES	   (RUNS * RAM_HUGE_PAGES + TAIL_PAGES)
#define FIRST_RUN  1u /* of those that may be huge */

struct huge_world {
	int ram, pagemap, src_fd;
	bool real; /* the kernel does give huge pages */
	struct ram_view view;
	struct pmap *pm;
	struct ram_huge *huge;
	struct pmap_source src;
	unsigned id;
	uint64_t budget;
	uint64_t shown; /* pages of the source: show() less gone() */
	uint8_t *shadow;
};

/* Skips the test where the kernel has no huge pages at all. */
void huge_world_make(struct huge_world *w, uint64_t budget);
void huge_world_end(struct huge_world *w);

uint8_t *huge_world_page(const struct huge_world *w, uint64_t page);
uint8_t *huge_world_shadow(const struct huge_world *w, uint64_t page);

/* The guest writes a byte of each of these pages; the copy follows. */
void huge_world_write(struct huge_world *w, uint64_t page, uint64_t nr,
		      uint8_t value);

/* pmap_show() of the source's pages of the same numbers; the copy follows. */
int huge_world_show(struct huge_world *w, uint64_t page, uint64_t nr);

/* Pages of the RAM file that have memory. */
uint64_t huge_world_pages(const struct huge_world *w);

/* Bytes of the view that huge pages are mapped for, by /proc/self/smaps. */
uint64_t huge_world_mapped(const struct huge_world *w);

/* What the guest sees, holes, mappings: all as it must be. */
void huge_world_check(struct huge_world *w);

#endif
