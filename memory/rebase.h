/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moving an overlay of guest RAM onto another copy of what it shows.
 *
 * 1. A page the guest has written is its private copy, and stays: the kernel
 *    says which (Linux Documentation/admin-guide/mm/pagemap.rst). In doubt a
 *    page counts as written.
 * 2. Mappings stay few: a run of unwritten pages that is shorter than
 *    REBASE_RUN_MIN is copied instead, so an overlay of n pages is never in
 *    more than 2 * n / (REBASE_RUN_MIN + 1) + 1 pieces.
 */
#ifndef DISCO_MEMORY_REBASE_H
#define DISCO_MEMORY_REBASE_H

#include "memory/guest_ram.h"

#define REBASE_RUN_MIN 16u /* pages */

/* One entry of /proc/PID/pagemap: is the page a private copy, or swapped? */
bool pagemap_written(uint64_t entry);

/* Pages in a row of the same kind; see pagemap_runs(). */
struct page_run {
	uint64_t first, nr; /* pages */
	bool written;
};

/**
 * pagemap_runs() - take entries in, give runs out
 * @run:   state, all-zero at first; the last run is left in it
 * @e:     @nr entries, the next ones
 * @each:  called for each run that has ended; not 0 stops
 *
 * Return: 0, or what @each returned.
 */
MUST_CHECK int pagemap_runs(struct page_run *run, const uint64_t *e, size_t nr,
			    int (*each)(void *arg, const struct page_run *run),
			    void *arg);

/**
 * ram_rebase() - show another copy of an overlay
 * @at, @bytes: as they were given to ram_overlay()
 * @pagemap:    /proc/self/pagemap
 * @fd, @off:   holds the same bytes as what is shown now
 *
 * Context: nobody writes to these pages meanwhile (vCPUs parked, no I/O).
 * Return:  0; -EFAULT; -EINVAL; -EIO a short pagemap; -errno of pread(),
 *          mmap() and madvise(): what was done until then stays, and every
 *          page shows what it showed before.
 */
MUST_CHECK int ram_rebase(const struct ram_view *view, gpa_t at, uint64_t bytes,
			  int pagemap, int fd, uint64_t off);

#endif
