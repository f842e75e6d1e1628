/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which page of guest RAM is looked at next, and when.
 *
 * ORDER. A round is a random permutation of all pages: each page comes exactly
 * once, whatever it is used for, and neighbours do not come together. The next
 * round is another permutation. A permutation is computed, not stored: a Feistel
 * network over the smallest even number of bits that the pages fit, walked until
 * it yields a page. So the cost of a page does not grow with memory, and nothing
 * goes over all of it at once.
 *
 * TIME. Pages are due at a constant rate. What was not taken in time is not made
 * up for beyond SAMPLER_BURST_NS. Work that was done for it is paid for at its
 * share of a CPU: before it is, nothing is due.
 *
 * Pure: no clock, no system call. One thread.
 */
#ifndef DISCO_MEMORY_SAMPLER_H
#define DISCO_MEMORY_SAMPLER_H

#include "disco/base.h"

#define SAMPLER_BURST_NS  100000000ull
#define SAMPLER_MAX_RATE  100000u /* pages per second */
#define SAMPLER_MAX_SHARE 500u	  /* permille of a CPU */
#define SAMPLER_MAX_PAGES (1ull << 40)
#define SAMPLER_NR_KEYS	  4u

struct sampler {
	uint64_t pages, seed;
	uint64_t round, at; /* of the permutation: number, next position */
	uint64_t keys[SAMPLER_NR_KEYS];
	unsigned half_bits;
	uint64_t ns_per_page; /* 0: it is off */
	uint32_t share;	      /* permille of a CPU */
	uint64_t paid_ns;     /* pages are paid for up to then */
	uint64_t cpu_paid_ns; /* as above, of CPU time */
};

/* @pages: 1 .. SAMPLER_MAX_PAGES. It is off. */
void sampler_init(struct sampler *s, uint64_t pages, uint64_t seed);

/*
 * @rate: pages per second, 0: off; @share: permille, of no meaning if it is off.
 * Larger ones are cut.
 */
void sampler_set(struct sampler *s, uint32_t rate, uint32_t share,
		 uint64_t now_ns);

/* The next page. */
uint64_t sampler_next(struct sampler *s);

/* How many pages are due. */
unsigned sampler_due(const struct sampler *s, uint64_t now_ns);

/* @pages of those that were due were taken, and so much CPU time was spent. */
void sampler_spend(struct sampler *s, uint64_t now_ns, unsigned pages,
		   uint64_t cpu_ns);

#endif
