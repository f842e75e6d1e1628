/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The finalizer of SplitMix64: a permutation of 64-bit numbers of which each bit
 * of the argument changes half of the result. Of a counter that is increased by
 * MIX_STEP it makes that generator (Steele, Lea, Flood, OOPSLA'14; S. Vigna's
 * constants, public domain). No hash against an adversary.
 */
#ifndef DISCO_MIX_H
#define DISCO_MIX_H

#include <stdint.h>

#define MIX_STEP 0x9e3779b97f4a7c15ull

static inline uint64_t mix_u64(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

#endif
