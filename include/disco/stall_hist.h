/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Histogram, by powers of two, of how long a guest was held up. An agent counts
 * the times, and control adds the histograms up. All-zero is an empty one.
 */
#ifndef DISCO_STALL_HIST_H
#define DISCO_STALL_HIST_H

#include "disco/base.h"

#define STALL_BUCKETS 21u	   /* the last one has no upper bound */
#define STALL_MAX     (1ull << 53) /* counts and sum saturate at this value */

struct stall_hist {
	uint64_t counts[STALL_BUCKETS]; /* per bucket, not cumulative */
	uint64_t sum_ns;
};

/* The longest time that bucket @i counts, in ns: 16 us to 8.6 s. */
static inline uint64_t stall_bound_ns(unsigned i)
{
	return 1ull << (14 + i);
}

static inline void stall_add_capped(uint64_t *to, uint64_t more)
{
	*to = min_u64(*to + min_u64(more, STALL_MAX), STALL_MAX);
}

static inline void stall_hist_note(struct stall_hist *h, uint64_t ns)
{
	unsigned i = 0;

	while (i < STALL_BUCKETS - 1 && ns > stall_bound_ns(i))
		i++;
	stall_add_capped(&h->counts[i], 1);
	stall_add_capped(&h->sum_ns, ns);
}

/* @more may have any values, even hostile ones: the result saturates. */
static inline void stall_hist_merge(struct stall_hist *h,
				    const struct stall_hist *more)
{
	for (unsigned i = 0; i < STALL_BUCKETS; i++)
		stall_add_capped(&h->counts[i], more->counts[i]);
	stall_add_capped(&h->sum_ns, more->sum_ns);
}

#endif
