/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chooses how many pages one move_pages(2) takes: as many as fit into the time
 * for which a guest may be held up, judged by the last call. A pure function.
 */
#ifndef DISCO_MONITOR_AGENT_PLACING_BATCH_H
#define DISCO_MONITOR_AGENT_PLACING_BATCH_H

#include "disco/base.h"

#define BATCH_FIRST 16u
#define BATCH_MAX   512u /* the next page may be 25 times as slow: reclaim */

/**
 * batch_next() - size of the next batch
 * @pages:    size of the last one, 1 .. BATCH_MAX
 * @took_ns:  duration of the last one
 * @bound_ns: how long one batch may take
 *
 * Aims at a quarter of the bound, and at most doubles the size: a machine that
 * becomes four times slower from one batch to the next keeps the bound.
 *
 * Return: 1 .. BATCH_MAX.
 */
static inline unsigned batch_next(unsigned pages, uint64_t took_ns,
				  uint64_t bound_ns)
{
	uint64_t each = took_ns / pages + 1;
	uint64_t fit = max_u64(bound_ns / 4 / each, 1);

	return (unsigned)min_u64(min_u64(fit, 2 * (uint64_t)pages), BATCH_MAX);
}

#endif
