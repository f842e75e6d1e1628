/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest has said of ranges of its pages, for the placement engine. Hints
 * nominate, and never decide: counters do, and a hint that they contradict is
 * dropped.
 *
 *	hint			effect			contradicted by
 *	READ_MOSTLY		the range is one unit	writes
 *	PRIVATE to a node	the range is one unit	accesses by other nodes
 *	REWRITE			no replica		-
 *	COLD			stays where it is	accesses
 *	PIN			stays where it is	-
 *
 * ONE UNIT. A guest's memory is in pieces: what its program hints as one is many
 * ranges. Hints of one kind, and one node, that come within HINTED_JOIN_NS of each
 * other are a group. The guest has said that the pages of a group are used alike. So
 * their accesses are added up, and the policy is asked about the group as if it were
 * one page: hinted_as_page(). That answers long before any of its pages has been
 * missed often enough by itself. When the policy wants it elsewhere, its pages go
 * there in order, as runs (hinted_peek(), hinted_advance()), as many of them as the
 * accesses of the group pay for: hinted_go(). More accesses pay for more. A group
 * that is contradicted is dropped as one, too.
 *
 * Ranges do not overlap: a newer one takes the place of older ones. There are
 * HINTED_MAX at most; then the oldest goes. The same goes for groups.
 *
 * No clock, no system call; one thread. What takes time in proportion to HINTED_MAX:
 * hinted_add(), some microseconds, and the end of a group.
 */
#ifndef DISCO_MEMORY_PLACEMENT_HINTED_H
#define DISCO_MEMORY_PLACEMENT_HINTED_H

#include "guest-hints/abi/hints_abi.h"
#include "memory/placement/access.h"

#define HINTED_MAX	 2048u
#define HINTED_GROUPS	 64u
#define HINTED_JOIN_NS	 1000000000ull
#define HINTED_LOOKS	 8u /* before a hint is dropped */
#define HINTED_NOT_MOVED UINT8_MAX

struct hinted_range {
	uint64_t first, end; /* pages of the VM */
	uint64_t next;	     /* page that goes next, in that round */
	uint64_t age;	     /* when it was hinted: a count */
	uint32_t agree,
		contradict; /* accesses since; in a group: of the group */
	uint32_t round;	    /* of the group */
	uint8_t group;	    /* HINTED_GROUPS: it is of none */
	uint8_t kind;	    /* enum hints_kind */
};

struct hinted_group {
	uint64_t pages, nr;	    /* of its ranges; how many. 0: it is free */
	uint64_t went;		    /* pages that went, or were passed over */
	uint64_t credit;	    /* pages that may go now */
	uint64_t waits_ns;	    /* until then there is no time for moves */
	uint64_t joined_ns;	    /* when it got its last range */
	uint64_t period;	    /* that the counts are of */
	uint32_t agree, contradict; /* accesses since */
	uint32_t round;		    /* of moves to one node */
	/*
	 * Misses of all its pages, by the two nodes that miss most, as of a page
	 * (counters.h), and those of them that were writes.
	 */
	uint32_t counts[POLICY_TOP], writes;
	uint8_t nodes[POLICY_TOP]; /* meaningful where counts are not 0 */
	uint8_t last, previous;	   /* nodes of the last two; POLICY_NO_NODE */
	uint8_t kind;		   /* enum hints_kind */
	uint8_t node;		   /* PRIVATE: index; ACCESS_NO_NODE */
	uint8_t from, to;	   /* of pages that go */
	uint8_t action; /* enum policy_action: what becomes of them */
};

/* All-zero: none. */
struct hinted {
	struct hinted_range ranges[HINTED_MAX]; /* by first */
	unsigned nr;
	uint64_t age;
	uint64_t dropped; /* contradicted, in total */
	unsigned latest;  /* group that was made last */
	struct hinted_group groups[HINTED_GROUPS];
};

/**
 * hinted_add() - a range is hinted
 * @kind:   enum hints_kind; PIN_OFF and FORGET end what was said before; a kind
 *	    that has no effect here is ignored
 * @node:   HINTS_PRIVATE: index of the vCPU's node; else ignored
 * @now_ns: of any clock
 */
void hinted_add(struct hinted *h, uint64_t first, uint64_t pages, uint8_t kind,
		uint8_t node, uint64_t now_ns);

/* The range of a page; NULL: none. Valid until the next call but this. */
struct hinted_range *hinted_find(struct hinted *h, uint64_t page);

/* Its group; NULL: it is of none. */
struct hinted_group *hinted_group_of(struct hinted *h,
				     const struct hinted_range *r);

/**
 * hinted_judge() - a page of a range was accessed
 * @period: number of the period; does not go back
 * @halve:  with each period counts are halved, else they begin anew
 *
 * Return: whether the hint still holds; else it, or its group, was dropped.
 */
bool hinted_judge(struct hinted *h, struct hinted_range *r,
		  const struct access_record *a, uint64_t period, bool halve);

/*
 * Whether the policy is to be asked about a group: this access was from afar, and no
 * page that was decided on before is left. A group that all went to a node is asked
 * about no more for that node: what is still far from there is a matter of single
 * pages. While one node gets its copies, others wait.
 */
bool hinted_asks(const struct hinted_group *g, const struct access_record *a);

/*
 * The group as a page, with the access that hinted_judge() has just got. Its number
 * and home are those of the page that was accessed; flags are 0.
 */
void hinted_as_page(const struct hinted_group *g, const struct access_record *a,
		    struct policy_page *out);

/**
 * hinted_go() - the policy wants the group on another node
 * @action: POLICY_MOVE or POLICY_REPLICATE
 * @pages:  of it that are paid for, with those that went there before
 */
void hinted_go(struct hinted_group *g, uint8_t action, uint8_t from, uint8_t to,
	       uint64_t pages);

/*
 * How many pages of a range may go at this time, from *@page on. 0: it has nothing
 * to do.
 */
uint64_t hinted_peek(struct hinted *h, const struct hinted_range *r,
		     uint64_t now_ns, uint64_t *page);

/* So many of them go, or are passed over: each of them is paid for once. */
void hinted_advance(struct hinted *h, struct hinted_range *r, uint64_t pages);

/*
 * Pages of all groups that may go now. Of a group that was cut they may be fewer than
 * its ranges have, and never more: so nobody waits for pages that there are not.
 */
uint64_t hinted_waits(const struct hinted *h, uint64_t now_ns);

/* A phase begins or ends: what was counted for and against is over. */
void hinted_phase(struct hinted *h);

#endif
