/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/sampling/sampler.h"

#include <assert.h>

#include "disco/mix.h"

static uint64_t sampler_mix(uint64_t x)
{
	return mix_u64(x + MIX_STEP);
}

static void sampler_begin_round(struct sampler *s)
{
	uint64_t x = sampler_mix(s->seed ^ sampler_mix(s->round));

	s->at = 0;
	for (unsigned i = 0; i < SAMPLER_NR_KEYS; i++)
		s->keys[i] = x = sampler_mix(x);
}

void sampler_init(struct sampler *s, uint64_t pages, uint64_t seed)
{
	assert(pages && pages <= SAMPLER_MAX_PAGES);
	*s = (struct sampler){ .pages = pages, .seed = seed, .half_bits = 1 };
	while (1ull << 2 * s->half_bits < pages)
		s->half_bits++;
	sampler_begin_round(s);
}

void sampler_set(struct sampler *s, uint32_t rate, uint32_t share,
		 uint64_t now_ns)
{
	rate = (uint32_t)min_u64(rate, SAMPLER_MAX_RATE);
	/* Off: what it costs to end is paid for at the share of before. */
	if (rate)
		s->share =
			(uint32_t)min_u64(max_u64(share, 1), SAMPLER_MAX_SHARE);
	s->ns_per_page = rate ? 1000000000ull / rate : 0;
	s->paid_ns = max_u64(s->paid_ns, now_ns);
	s->cpu_paid_ns = max_u64(s->cpu_paid_ns, now_ns);
}

/* Each step can be undone, so that no two positions have one image. */
static uint64_t sampler_permute(const struct sampler *s, uint64_t x)
{
	uint64_t mask = (1ull << s->half_bits) - 1;
	uint64_t left = x >> s->half_bits, right = x & mask;

	for (unsigned i = 0; i < SAMPLER_NR_KEYS; i++) {
		uint64_t next = left ^ (sampler_mix(right ^ s->keys[i]) & mask);

		left = right;
		right = next;
	}
	return left << s->half_bits | right;
}

/*
 * Positions beyond the pages are left out. There are at most three times as many
 * of these as pages, two for the smallest memory.
 */
uint64_t sampler_next(struct sampler *s)
{
	uint64_t size = 1ull << 2 * s->half_bits, page;

	do {
		if (s->at == size) {
			s->round++;
			sampler_begin_round(s);
		}
		page = sampler_permute(s, s->at++);
	} while (page >= s->pages);
	return page;
}

unsigned sampler_due(const struct sampler *s, uint64_t now_ns)
{
	if (!s->ns_per_page || now_ns < s->cpu_paid_ns || now_ns <= s->paid_ns)
		return 0;
	return (unsigned)(min_u64(now_ns - s->paid_ns, SAMPLER_BURST_NS) /
			  s->ns_per_page);
}

void sampler_spend(struct sampler *s, uint64_t now_ns, unsigned pages,
		   uint64_t cpu_ns)
{
	uint64_t oldest = now_ns > SAMPLER_BURST_NS ? now_ns - SAMPLER_BURST_NS
						    : 0;

	s->paid_ns = max_u64(s->paid_ns, oldest) + pages * s->ns_per_page;
	if (s->share)
		s->cpu_paid_ns = max_u64(s->cpu_paid_ns, now_ns) +
				 cpu_ns * 1000 / s->share;
}
