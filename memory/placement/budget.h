/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much time moves between two nodes may take: a share of all time, after a
 * burst. A token bucket as one number, when all moves so far are paid for (GCRA
 * of ATM).
 *
 * No clock; one thread.
 */
#ifndef DISCO_MEMORY_PLACEMENT_BUDGET_H
#define DISCO_MEMORY_PLACEMENT_BUDGET_H

#include "disco/base.h"

#define BUDGET_SHARE 250u /* permille of the time, for each pair of nodes */
#define BUDGET_BURST 200u /* ms of moves at once */

struct budget_limit {
	uint64_t share;	   /* permille, 1 .. 1000 */
	uint64_t burst_ms; /* at least 1 */
};

/**
 * budget_pay() - pay for moves between two nodes
 * @paid_ns: of that pair; 0: nothing was moved yet. Grows by what is paid
 * @now_ns:  does not go back
 * @move_ns: that one page takes
 * @pages:   that are to be moved
 *
 * Return: for how many of them there is time now. The last one of a burst may
 * take more time than is left.
 */
static inline uint64_t budget_pay(uint64_t *paid_ns,
				  const struct budget_limit *l, uint64_t now_ns,
				  uint64_t move_ns, uint64_t pages)
{
	uint64_t end = now_ns + l->burst_ms * 1000000 * 1000 / l->share;
	uint64_t each = move_ns * 1000 / l->share;
	uint64_t from = max_u64(*paid_ns, now_ns);

	if (*paid_ns > end)
		return 0;
	if (each)
		pages = min_u64(pages, (end - from) / each + 1);
	*paid_ns = from + pages * each;
	return pages;
}

/* Of what was paid just now: as if it had been for one page less. */
static inline void budget_refund(uint64_t *paid_ns,
				 const struct budget_limit *l, uint64_t move_ns)
{
	*paid_ns -= min_u64(*paid_ns, move_ns * 1000 / l->share);
}

#endif
