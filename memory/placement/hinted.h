/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest has said of ranges of its pages, for the placement engine. Hints
 * nominate, and never decide: counters do, and a hint that they contradict is
 * dropped.
 *
 *	hint			effect			contradicted by
 *	READ_MOSTLY		the range follows	writes
 *	PRIVATE to a node	the range follows	accesses by other nodes
 *	REWRITE			no replica		-
 *	COLD			stays where it is	accesses
 *	PIN			stays where it is	-
 *
 * "Follows": when a policy has decided, by what was counted, to move one page of
 * the range, the others come after it to that node, HINTED_FOLLOW pages for
 * each such decision. So a range is in place long before each of its pages has
 * been missed often enough.
 *
 * Ranges do not overlap: a newer one takes the place of older ones. There are
 * HINTED_MAX at most; then the oldest goes.
 *
 * No clock, no system call; one thread.
 */
#ifndef DISCO_MEMORY_PLACEMENT_HINTED_H
#define DISCO_MEMORY_PLACEMENT_HINTED_H

#include "guest-hints/abi/hints_abi.h"
#include "memory/placement/access.h"

#define HINTED_MAX	 128u
#define HINTED_FOLLOW	 4096u /* pages: 16 MiB */
#define HINTED_LOOKS	 8u    /* before a hint is dropped */
#define HINTED_NOT_MOVED UINT8_MAX

struct hinted_range {
	uint64_t first, end;	    /* pages of the VM */
	uint64_t next;		    /* page that follows next */
	uint64_t moved;		    /* that they follow: it has moved itself */
	uint64_t credit;	    /* pages that may follow */
	uint64_t age;		    /* when it was hinted: a count */
	uint32_t agree, contradict; /* accesses since */
	uint8_t kind;		    /* enum hints_kind */
	uint8_t node;		    /* PRIVATE: index; ACCESS_NO_NODE */
	uint8_t from, to;	    /* of those that follow */
};

/* All-zero: none. */
struct hinted {
	struct hinted_range ranges[HINTED_MAX]; /* by first */
	unsigned nr;
	uint64_t age;
	uint64_t dropped; /* contradicted, in total */
};

/**
 * hinted_add() - a range is hinted
 * @kind: enum hints_kind; PIN_OFF and FORGET end what was said before; a kind
 *        that has no effect here is ignored
 * @node: HINTS_PRIVATE: index of the vCPU's node; else ignored
 */
void hinted_add(struct hinted *h, uint64_t first, uint64_t pages, uint8_t kind,
		uint8_t node);

/* The range of a page; NULL: none. Valid until the next call but this. */
struct hinted_range *hinted_find(struct hinted *h, uint64_t page);

/**
 * hinted_judge() - a page of a range was accessed
 *
 * Return: whether the hint still holds; else it was dropped.
 */
bool hinted_judge(struct hinted *h, struct hinted_range *r,
		  const struct access_record *a);

/* A page of a range moves: the others follow, if it is that kind of hint. */
void hinted_follow(struct hinted_range *r, uint64_t page, uint8_t from,
		   uint8_t to);

/**
 * hinted_next() - the next page that follows another
 * @page: out. Return: its range; NULL: none follows now.
 */
struct hinted_range *hinted_next(struct hinted *h, uint64_t *page);

/* Whether there is one. */
bool hinted_waits(const struct hinted *h);

/* A phase begins or ends: what was counted for and against is over. */
void hinted_phase(struct hinted *h);

#endif
