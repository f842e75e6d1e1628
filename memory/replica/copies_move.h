/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves of pages of a memfd that one process has mapped several times
 * (ram_copies.h). move_pages(2) moves a page for who has no privilege only if no
 * other page table has it. So all mappings but one let go of it first: by
 * MADV_DONTNEED, which takes entries out of page tables and leaves the page in
 * the memfd, with its protection (userfaultfd's marks stay). Whoever accesses it
 * then has it mapped again, and may be early: then the page does not move.
 */
#ifndef DISCO_MEMORY_COPIES_MOVE_H
#define DISCO_MEMORY_COPIES_MOVE_H

#include "disco/limits.h"

#define COPIES_MOVE_PAGES 32u /* at once: who writes meanwhile may wait */

/**
 * copies_move() - move pages
 * @base:  where the mappings begin; the first one keeps the pages
 * @pages: @nr of them, at most COPIES_MOVE_PAGES, each within the mappings, none
 *         of them shown from elsewhere
 * @node:  the operating system's number
 * @moved: out, for each page: whether it is there now
 *
 * Context: one thread; takes milliseconds. A page that the kernel has pinned, or
 * that is accessed by another mapping meanwhile, stays.
 */
void copies_move(uint8_t *const *base, unsigned nr_maps, const uint64_t *pages,
		 unsigned nr, nodeid_t node, bool moved[COPIES_MOVE_PAGES]);

#endif
