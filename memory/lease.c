/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each word has one writer, which reads back what it wrote and stores the
 * changed word: no atomic read-modify-write is needed. Pairs of memory orders,
 * named as in the header:
 *
 *	P  presence_set(), presence_evict():  bytes of blocks; word (release)
 *	   lease_take(), presence_test():     word (acquire); bytes
 *	L  lease_drop(), lease_take():        bytes used; word (release)
 *	   presence_evict():                  lease words (acquire); punch
 *	D  lease_take():                      lease set; fence; presence
 *	   presence_evict():                  presence clear; fence; leases
 *	   One of the two fences is first in the order of all fences. The side
 *	   with the later fence sees the other side's store.
 *
 * Every store to a word is a release, not only a store that P or L needs for
 * its own block. A word covers 64 blocks, and a later relaxed store to it would
 * not continue the release sequence of an earlier one (C++20).
 */
#include "memory/lease.h"

#include "numa/atomic_ops.h"

#define WORD_BITS 64u

/* The part of a run that lies in one word. */
struct part {
	uint64_t word;
	uint64_t bits;
	unsigned nr;
	unsigned shift;
};

static struct part first_part(uint64_t block, unsigned nr)
{
	unsigned shift = (unsigned)(block % WORD_BITS);
	unsigned here = nr < WORD_BITS - shift ? nr : WORD_BITS - shift;

	return (struct part){
		.word = block / WORD_BITS,
		.bits = UINT64_MAX >> (WORD_BITS - here) << shift,
		.nr = here,
		.shift = shift,
	};
}

/* Change bits of a run in the caller's own map; release P or L. */
static void write_bits(lease_word *map, uint64_t first, unsigned nr, bool set)
{
	while (nr > 0) {
		struct part p = first_part(first, nr);
		uint64_t w = shared_load(&map[p.word], memory_order_relaxed);

		w = set ? w | p.bits : w & ~p.bits;
		shared_store(&map[p.word], w, memory_order_release);
		first += p.nr;
		nr -= p.nr;
	}
}

/* Number of present blocks from @first on, without a gap; acquire P. */
static unsigned present_prefix(const lease_word *presence, uint64_t first,
			       unsigned nr)
{
	unsigned there = 0;

	while (there < nr) {
		struct part p = first_part(first + there, nr - there);
		uint64_t absent =
			~shared_load(&presence[p.word], memory_order_acquire) &
			p.bits;

		if (absent)
			return there + (unsigned)__builtin_ctzll(absent) -
			       p.shift;
		there += p.nr;
	}
	return nr;
}

size_t lease_map_bytes(uint64_t nr_blocks)
{
	if (nr_blocks > LEASE_MAX_BLOCKS)
		return 0;
	return align_up((nr_blocks + 7) / 8, PAGE_BYTES);
}

bool presence_test(const lease_word *map, uint64_t block)
{
	return present_prefix(map, block, 1) == 1;
}

unsigned lease_take(lease_word *lease, const lease_word *presence,
		    uint64_t first, unsigned nr)
{
	unsigned there;

	/*
	 * Lease first, then look: a lease that is set after the look could come
	 * too late for an eviction. Leases of absent blocks are dropped again;
	 * meanwhile they can only keep the agent from evicting.
	 */
	write_bits(lease, first, nr, true);
	shared_fence(memory_order_seq_cst); /* D */
	there = present_prefix(presence, first, nr);
	write_bits(lease, first + there, nr - there, false);
	return there;
}

void lease_drop(lease_word *lease, uint64_t first, unsigned nr)
{
	write_bits(lease, first, nr, false);
}

void presence_set(lease_word *presence, uint64_t first, unsigned nr)
{
	write_bits(presence, first, nr, true);
}

/*
 * A block that is already absent stays absent whether it is leased or not,
 * since
 * @before has no bit for it.
 */
bool presence_evict(lease_word *presence, const lease_word *const *leases,
		    unsigned nr_leases, uint64_t block)
{
	struct part p = first_part(block, 1);
	lease_word *word = &presence[p.word];
	uint64_t before = shared_load(word, memory_order_relaxed);

	shared_store(word, before & ~p.bits, memory_order_release);
	shared_fence(memory_order_seq_cst); /* D */
	for (unsigned i = 0; i < nr_leases; i++) {
		if (shared_load(&leases[i][p.word], memory_order_acquire) &
		    p.bits) {
			shared_store(word, before, memory_order_release);
			return false;
		}
	}
	return true;
}
