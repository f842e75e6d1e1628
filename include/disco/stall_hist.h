/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a guest was held up, by powers of two: what an agent counts and
 * control adds up. All-zero is an empty one.
 */
#ifndef DISCO_STALL_HIST_H
#define DISCO_STALL_HIST_H

#include "disco/base.h"

#define STALL_BUCKETS 21u	   /* the last has no bound */
#define STALL_MAX     (1ull << 53) /* of a count, and of the sum: then it stays */

struct stall_hist {
	uint64_t counts[STALL_BUCKETS]; /* of that bucket alone */
	uint64_t sum_ns;
};

/* The longest time that counts into bucket @i: 16 us to 8.6 s. */
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

/* @more may say anything: the result is within STALL_MAX. */
static inline void stall_hist_merge(struct stall_hist *h,
				    const struct stall_hist *more)
{
	for (unsigned i = 0; i < STALL_BUCKETS; i++)
		stall_add_capped(&h->counts[i], more->counts[i]);
	stall_add_capped(&h->sum_ns, more->sum_ns);
}

#endif
