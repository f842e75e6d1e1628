/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A token bucket: a number of units per second, in bursts of 100 ms' worth.
 *
 * The bucket does not store its level, but the time at which it will be full
 * again. So nothing has to refill it, and it may be idle for any time without
 * attention. Fractions of a nanosecond are kept, so that the rate is exact over
 * any time.
 *
 *  R1  In any span of t ns in which the bucket is asked, the units taken amount
 *      to at most t + burst_ns worth, plus the debt of the last one (R2).
 *  R2  A request that is larger than the bucket goes when the bucket is full,
 *      and leaves a debt: the next request waits until the debt is paid and its
 *      own units have accumulated.
 *  R3  An idle bucket is full burst_ns after its debt was paid.
 *
 * Pure functions of their arguments: the caller provides the time.
 * Context: one thread at a time.
 */
#ifndef DISCO_MONITOR_RATE_H
#define DISCO_MONITOR_RATE_H

#include "disco/base.h"

#define RATE_MAX      (1ull << 40) /* units per second */
#define RATE_BURST_NS 100000000u

struct rate {
	uint64_t per_second; /* 0: no limit */
	uint64_t burst_ns;   /* size of the bucket, as the time to fill it */
	uint64_t full_at;    /* time at which it is full, in ns */
	uint64_t rest;	     /* fraction of full_at, in 1/per_second ns */
};

/**
 * rate_init() - set up a full bucket
 * @per_second: 1 .. RATE_MAX; 0: no limit
 */
void rate_init(struct rate *r, uint64_t per_second);

/**
 * rate_wait_ns() - time until @n units may go, if no others go before
 * @n:   0: the result is 0, whatever the debt
 * @now: ns, of a clock that never goes back
 *
 * Return: ns; 0: they may go now.
 */
uint64_t rate_wait_ns(const struct rate *r, uint64_t n, uint64_t now);

/* Take @n units, whether or not they should have waited. */
void rate_take(struct rate *r, uint64_t n, uint64_t now);

#endif
