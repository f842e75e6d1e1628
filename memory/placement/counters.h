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

#include <errno.h>

#include "disco/base.h"
#include "disco/limits.h"
#include "disco/policy.h"

#define COUNTERS_CHUNK	  512u	 /* pages */
#define COUNTERS_MOST	  16383u /* misses by one node */
#define COUNTERS_MAX_PAGE (VM_MAX_MEMORY / PAGE_BYTES)

/*
 * One page, as it is stored: 0 is a page of which nothing was counted.
 *
 *	bits	what
 *	0..13	misses of the first node
 *	14..27	misses of the second one, at most as many
 *	28..33	the first node, if it has misses
 *	34..39	the second one, if it has
 *	40..47	writes
 *	48..53	node of the last access
 *	54	whether there was one
 *	55..58	moves of late
 *	59..60	moves in this period
 *	61	whether one of the moves of late has succeeded
 */
#define PAGE_BITS(word, first, nr) ((word) >> (first) & ((1ull << (nr)) - 1))
#define PAGE_FIRST		   (1ull << 0)	/* one miss of the first node */
#define PAGE_SECOND		   (1ull << 14) /* of the second one */
#define PAGE_FIRST_NODE		   28
#define PAGE_SECOND_NODE	   34
#define PAGE_WRITE		   (1ull << 40)
#define PAGE_LAST_NODE		   48
#define PAGE_HAS_LAST		   (1ull << 54)
#define PAGE_NODE		   (POLICY_MAX_NODES - 1ull)
#define PAGE_WRITES_MOST	   255u

struct page_chunk {
	uint64_t *words;       /* COUNTERS_CHUNK; NULL: nothing counted */
	uint32_t period, rest; /* that they are of */
};

/* Read by others than counters.c in page_counters_add() alone. */
struct page_counters {
	uint64_t pages, nr_chunks, in_use;
	enum policy_age age;
	struct page_chunk chunks[];
};

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

/* The page is going to be counted soon: fetch what that takes. Any number. */
void page_counters_expect(const struct page_counters *c, uint64_t page);

/*
 * The page was written, from a node that nobody knows: its writes grow by @weight,
 * and nothing else of it changes. @page, @period, @rest: as of page_counters_add().
 * Return: 0; -ERANGE; -ENOMEM.
 */
MUST_CHECK int page_counters_written(struct page_counters *c, uint64_t page,
				     uint32_t weight, uint32_t period,
				     uint32_t rest);

/*
 * The page was tried; @moved: it has moved. Its counts go on. @period, @rest: as
 * of page_counters_add(), for a page near which nothing was counted yet; where
 * there is no memory for that, it is not noted.
 * Return: whether it had moved before, less than some POLICY_REST_NS ago.
 */
bool page_counters_moved(struct page_counters *c, uint64_t page, bool moved,
			 uint32_t period, uint32_t rest);

/*
 * Moves of late, as of struct policy_page, by the @rest that has begun.
 */
uint32_t page_counters_moves(const struct page_counters *c, uint64_t page,
			     uint32_t rest);

/* Bytes in use. */
uint64_t page_counters_bytes(const struct page_counters *c);

/* --- one access ------------------------------------------------------------ */

/*
 * A chunk of which nothing was counted in this period and rest yet: its words
 * grow old, or there are none. Return: 0; -ENOMEM.
 */
MUST_CHECK int page_chunk_age(struct page_counters *c, struct page_chunk *ch,
			      uint32_t period, uint32_t rest);

/* The word of a page of @c, as old as it is now. Return: 0; -ENOMEM. */
static inline MUST_CHECK int page_word_now(struct page_counters *c,
					   uint64_t page, uint32_t period,
					   uint32_t rest, uint64_t **at)
{
	struct page_chunk *ch = &c->chunks[page / COUNTERS_CHUNK];

	if (!ch->words || ch->period != period || ch->rest != rest) {
		int err = page_chunk_age(c, ch, period, rest);

		if (err)
			return err;
	}
	*at = &ch->words[page % COUNTERS_CHUNK];
	return 0;
}

static inline uint64_t page_word_write(uint64_t w, uint32_t weight)
{
	return w + min_u64(weight, PAGE_WRITES_MOST - PAGE_BITS(w, 40, 8)) *
			   PAGE_WRITE;
}

/* A node that has none of the two places takes the one that is free. */
uint64_t page_word_take(uint64_t w, uint8_t node, uint32_t weight);

/* The larger count is kept first. */
uint64_t page_word_swap(uint64_t w);

/* Misra and Gries, with weights. */
static inline uint64_t page_word_miss(uint64_t w, uint8_t node, uint32_t weight)
{
	uint32_t first = (uint32_t)PAGE_BITS(w, 0, 14);
	uint32_t second = (uint32_t)PAGE_BITS(w, 14, 14), both;

	if (first && PAGE_BITS(w, PAGE_FIRST_NODE, 6) == node)
		return w + min_u64(weight, COUNTERS_MOST - first) * PAGE_FIRST;
	if (second && PAGE_BITS(w, PAGE_SECOND_NODE, 6) == node) {
		second += (uint32_t)min_u64(weight, COUNTERS_MOST - second);
		w = (w & ~(COUNTERS_MOST * PAGE_SECOND)) | second * PAGE_SECOND;
		return second > first ? page_word_swap(w) : w;
	}
	/* A third one; 0 unless both places are taken. */
	both = (uint32_t)min_u64(weight, second);
	w -= both * (PAGE_FIRST + PAGE_SECOND);
	return weight > both ? page_word_take(w, node, weight - both) : w;
}

static inline void page_word_show(uint64_t w, const struct page_access *a,
				  struct policy_page *out)
{
	uint32_t first = (uint32_t)PAGE_BITS(w, 0, 14);
	uint32_t second = (uint32_t)PAGE_BITS(w, 14, 14);

	*out = (struct policy_page){
		.page = a->page,
		.node = a->node,
		.previous = w & PAGE_HAS_LAST
				    ? (uint8_t)PAGE_BITS(w, PAGE_LAST_NODE, 6)
				    : POLICY_NO_NODE,
		.kind = a->kind,
		.moves = (uint8_t)PAGE_BITS(w, 55, 4),
		.moved = (uint8_t)PAGE_BITS(w, 59, 2),
		.nodes = { first ? (uint8_t)PAGE_BITS(w, PAGE_FIRST_NODE, 6)
				 : POLICY_NO_NODE,
			   second ? (uint8_t)PAGE_BITS(w, PAGE_SECOND_NODE, 6)
				  : POLICY_NO_NODE },
		.counts = { first, second },
		.writes = (uint32_t)PAGE_BITS(w, 40, 8),
	};
}

/**
 * page_counters_add() - count an access
 * @period: number of the period, which does not go back
 * @rest:   number of the POLICY_REST_NS that has begun
 * @out:    the page as it is then, but for its home and flags, which are 0
 *
 * Inline, as each record needs it once, and as nothing is unpacked that it does
 * not change.
 *
 * Context: the owner's thread. Takes 0.5 us at most, when a chunk grows old.
 * Return: 0; -ERANGE no such page or node; -ENOMEM. @out is untouched then.
 */
MUST_CHECK static inline int page_counters_add(struct page_counters *c,
					       const struct page_access *a,
					       uint32_t period, uint32_t rest,
					       struct policy_page *out)
{
	uint32_t weight = a->weight ? a->weight : 1;
	uint64_t *at, w;
	int err;

	if (a->page >= c->pages || a->node >= POLICY_MAX_NODES)
		return -ERANGE;
	err = page_word_now(c, a->page, period, rest, &at);
	if (err)
		return err;
	w = page_word_miss(*at, a->node, weight);
	if (a->kind == POLICY_WRITE)
		w = page_word_write(w, weight);
	page_word_show(w, a, out);
	w &= ~(PAGE_NODE << PAGE_LAST_NODE);
	*at = w | PAGE_HAS_LAST | (uint64_t)a->node << PAGE_LAST_NODE;
	return 0;
}

#endif
