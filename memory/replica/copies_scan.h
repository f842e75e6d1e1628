/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which pages of a guest with views are worth a copy: those that more than one
 * view has touched, and for the views that have none and whose node they are not
 * on.
 *
 * Each view has a mapping of its own (ram_copies.h), so the kernel's page tables
 * say who has touched a page: KVM maps it through the mapping of the view whose
 * vCPU did. They do not say how often, or when, or whether it was read; that it
 * is not written is proven by the trial before a copy is made.
 *
 * Context of all functions: one thread.
 */
#ifndef DISCO_MEMORY_COPIES_SCAN_H
#define DISCO_MEMORY_COPIES_SCAN_H

#include "disco/limits.h"

#define COPIES_SCAN_PAGES 512u /* that one call looks at */

struct copies_scan {
	int pagemap; /* descriptor of /proc/self/pagemap; owned; -1: none */
	unsigned nr_views;
	const uint8_t *base[VM_MAX_VIEWS]; /* of each view's mapping */
	/* One bit per page: it shows a copy. Read by the calling thread. */
	const uint64_t *shown[VM_MAX_VIEWS];
	nodeid_t nodes[VM_MAX_VIEWS]; /* NODE_AUTO: not known */
	uint64_t nr_pages;
	uint64_t at; /* the next page */
};

struct copies_found {
	uint64_t page;
	uint64_t views; /* one bit each, not 0 */
};

/**
 * copies_scan_next() - look at the next pages; after the last, from the first on
 * @out: what was found
 *
 * At most COPIES_SCAN_PAGES loads of page tables per view, and one call of
 * move_pages(2), where nodes are known. Return: number of entries in @out;
 * -errno of pread(2).
 */
MUST_CHECK int copies_scan_next(struct copies_scan *s,
				struct copies_found out[COPIES_SCAN_PAGES]);

#endif
