/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What has been counted of each page of a VM: 8 bytes per page, in chunks of 512
 * pages that are allocated when one of their pages is counted first. That is
 * 0.2 % of the memory that is in use.
 *
 * Of the nodes that miss in a page the two with most misses are kept, by the
 * algorithm of Misra and Gries: a third one's misses are taken from both others'
 * counts, and it takes the place of one that has none left. So a node with more
 * than a third of a page's misses is always among the two, and no count is too
 * high; it may be too low by a third of all misses.
 *
 * Counts grow old by chunk, when one of its pages is counted first in a period:
 * a page that is not counted costs nothing.
 */
#ifndef DISCO_MEMORY_PLACEMENT_COUNTERS_H
#define DISCO_MEMORY_PLACEMENT_COUNTERS_H

#include "disco/base.h"
#include "disco/limits.h"
#include "disco/policy.h"

#define COUNTERS_CHUNK	  512u	 /* pages */
#define COUNTERS_MOST	  16383u /* misses by one node */
#define COUNTERS_MAX_PAGE (VM_MAX_MEMORY / PAGE_BYTES)

struct page_counters;

/**
 * page_counters_create() - counters of a VM
 * @out:   released with page_counters_destroy()
 * @pages: 1 .. COUNTERS_MAX_PAGE
 * @age:   what becomes of counts with each period
 *
 * Context: any thread. Return: 0; -EINVAL; -ENOMEM.
 */
MUST_CHECK int page_counters_create(struct page_counters **out, uint64_t pages,
				    enum policy_age age);

/* NULL is accepted. */
void page_counters_destroy(struct page_counters *c);

/* One access. */
struct page_access {
	uint64_t page;
	uint32_t weight; /* misses that it stands for; 0 is as 1 */
	uint8_t node;	 /* 0 .. POLICY_MAX_NODES - 1 */
	uint8_t kind;	 /* enum policy_kind */
};

/**
 * page_counters_add() - count an access
 * @period: number of the period, which does not go back
 * @rest:   number of the POLICY_REST_NS that has begun
 * @out:    the page as it is then, but for its home and flags, which are 0
 *
 * Context: the owner's thread. Takes 0.5 us at most, when a chunk grows old.
 * Return: 0; -ERANGE no such page or node; -ENOMEM. @out is untouched then.
 */
MUST_CHECK int page_counters_add(struct page_counters *c,
				 const struct page_access *a, uint32_t period,
				 uint32_t rest, struct policy_page *out);

/*
 * The page was tried; @moved: it has moved. Its counts go on.
 * Return: whether it had moved before, less than some POLICY_REST_NS ago.
 */
bool page_counters_moved(struct page_counters *c, uint64_t page, bool moved);

/* Bytes in use. */
uint64_t page_counters_bytes(const struct page_counters *c);

#endif
