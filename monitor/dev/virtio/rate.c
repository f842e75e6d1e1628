/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/virtio/rate.h"

#define NS_PER_S    1000000000u
#define MAX_COST_NS (1ull << 61) /* 73 years; full_at cannot wrap */

/* Time that fills @n units in, with the fraction carried on in @rest. */
static uint64_t cost_ns(const struct rate *r, uint64_t n, uint64_t *rest)
{
	unsigned __int128 parts = (unsigned __int128)n * NS_PER_S + *rest;

	*rest = (uint64_t)(parts % r->per_second);
	parts /= r->per_second;
	return parts > MAX_COST_NS ? MAX_COST_NS : (uint64_t)parts;
}

void rate_init(struct rate *r, uint64_t per_second)
{
	*r = (struct rate){ .per_second = per_second,
			    .burst_ns = RATE_BURST_NS };
	/* One unit always fits. */
	if (per_second)
		r->burst_ns =
			max_u64(RATE_BURST_NS, (NS_PER_S - 1) / per_second + 1);
}

uint64_t rate_wait_ns(const struct rate *r, uint64_t n, uint64_t now)
{
	uint64_t rest = r->rest, cost;

	if (!r->per_second || n == 0 || r->full_at <= now)
		return 0;
	cost = cost_ns(r, n, &rest);
	/* More than it ever holds: full is all it can be. */
	if (cost >= r->burst_ns)
		return r->full_at - now;
	if (r->full_at - now <= r->burst_ns - cost)
		return 0;
	return r->full_at - now - (r->burst_ns - cost);
}

void rate_take(struct rate *r, uint64_t n, uint64_t now)
{
	if (!r->per_second || n == 0)
		return;
	r->full_at = max_u64(r->full_at, now);
	r->full_at += cost_ns(r, n, &r->rest);
}
