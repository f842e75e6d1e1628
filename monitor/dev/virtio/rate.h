/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A token bucket: so many units a second, in bursts of 100 ms' worth.
 *
 * What is kept is not the level but the time at which the bucket is full
 * again: nothing has to be filled up, and an idle bucket needs no attention,
 * for however long. Fractions of a nanosecond are carried on, so that the rate
 * is exact over any time.
 *
 *  R1  In any span of t ns that a bucket is asked in, units taken come to at
 *      most t + burst_ns worth, beside the last one's debt (R2).
 *  R2  What is larger than the bucket goes when the bucket is full, and leaves
 *      a debt: the next one waits until that is paid and its own share is in.
 *  R3  A bucket left alone is full burst_ns after its debt was paid.
 *
 * Pure functions of what they are given: the caller brings the clock.
 * Threads: whoever owns the struct, one at a time.
 */
#ifndef DISCO_MONITOR_RATE_H
#define DISCO_MONITOR_RATE_H

#include "disco/base.h"

#define RATE_MAX      (1ull << 40) /* units a second */
#define RATE_BURST_NS 100000000u

struct rate {
	uint64_t per_second; /* 0: no limit */
	uint64_t burst_ns;   /* what the bucket holds, as time to fill it */
	uint64_t full_at;    /* when it is full, ns; in the past: it is */
	uint64_t rest;	     /* of a ns, in 1/per_second; part of full_at */
};

/**
 * rate_init() - a full bucket
 * @per_second: 1 .. RATE_MAX; 0: whatever comes goes
 */
void rate_init(struct rate *r, uint64_t per_second);

/**
 * rate_wait_ns() - how long until @n units may go, if nothing else does
 * @n:   0: nothing to wait for, whatever the debt
 * @now: ns, of a clock that never goes back
 *
 * Return: ns; 0: now.
 */
uint64_t rate_wait_ns(const struct rate *r, uint64_t n, uint64_t now);

/* @n units go, whether or not they should have waited. */
void rate_take(struct rate *r, uint64_t n, uint64_t now);

#endif
