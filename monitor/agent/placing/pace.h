/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When an agent moves pages that its engines have decided on. Pure functions:
 * benches model an agent by them (bench/hints.c).
 *
 * Moves are gathered until there are so many, or for so long: move_pages(2) asks
 * all CPUs to empty their lists of pages (lru_add_drain_all()) once per call,
 * which is a millisecond in a lab, and 0.1 ms for each of 128 pages at once. In
 * one turn they take some time at most, so that the agent's other work waits for
 * some milliseconds only; where there are many left, the next turn is at once.
 */
#ifndef DISCO_MONITOR_AGENT_PLACING_PACE_H
#define DISCO_MONITOR_AGENT_PLACING_PACE_H

#include "disco/base.h"

#define PACE_TURN_NS   20000000ull /* from one turn to the next */
#define PACE_MOVES_NS  10000000ull /* of a turn */
#define PACE_GATHER    64u	   /* pages */
#define PACE_GATHER_NS 100000000ull
#define PACE_ACTIONS   128u /* that are taken at once */
#define PACE_RUN       512u /* pages of hinted ranges that are taken at once */

/* All-zero: nothing waits. */
struct pace {
	bool gathering; /* moves, until then */
	uint64_t until_ns;
};

/* Is the next turn to be at once? @pending: pages that wait */
static inline bool pace_hurries(uint64_t pending)
{
	return pending >= PACE_GATHER;
}

/* Are moves that were decided to be made now? */
static inline bool pace_is_due(struct pace *p, uint64_t pending,
			       uint64_t now_ns)
{
	if (pending && !p->gathering)
		p->until_ns = now_ns + PACE_GATHER_NS;
	p->gathering = pending > 0;
	return pace_hurries(pending) || (pending && now_ns >= p->until_ns);
}

/* Some were made: those that are left are gathered anew. */
static inline void pace_made(struct pace *p)
{
	p->gathering = false;
}

#endif
