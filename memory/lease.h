/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases: how a worker keeps pages of a buffer cache in place while it uses
 * them, although the cache is another process's, and neither waits for the
 * other.
 *
 *	presence map	one bit a block; the agent writes, workers read
 *	lease map	one bit a block; its worker writes, the agent reads
 *
 * Each is a region (numa/region.h) of 64-bit words, bit b of word w for block
 * 64 * w + b, and starts as zeroes.
 *
 * ORDERING
 *  1. A block that lease_take() gave holds its bytes until lease_drop(): all
 *     the agent wrote before presence_set() happens before what the worker
 *     does after lease_take() (release P, acquire P).
 *  2. Either the worker's lease_take() sees the block absent, or the agent's
 *     presence_evict() sees the lease, or both: never neither (Dekker on two
 *     single-writer words, fences D). So what presence_evict() allows to be
 *     punched is used by nobody.
 *  3. All the worker read before lease_drop() happens before what the agent
 *     does after a presence_evict() that saw it dropped (release L, acquire L).
 *
 * PROGRESS. All of it is wait-free: one pass over the words of the range, no
 * retry, whatever the other side does. An evictor that loses to a lease puts
 * the bit back; a worker that looked in between asks for the block, and is
 * told that it is there.
 *
 * THE OTHER SIDE IS HOSTILE. A worker that lies in its lease map keeps pages
 * from being evicted, or loses its own; an agent that lies in its presence map
 * gives its own node's guests wrong data. Nothing read here is an address or a
 * size.
 *
 *	who may call what
 *	worker		lease_*, presence_test: one thread for each lease map
 *	agent		presence_set, presence_evict: its one thread
 *
 * Source: DESIGN 3, "lease protocol"; Dekker, in Dijkstra (1965). Checked by
 * tests/unit/memory/test_lease_model.c in all interleavings.
 */
#ifndef DISCO_MEMORY_LEASE_H
#define DISCO_MEMORY_LEASE_H

#include <stdatomic.h>

#include "disco/base.h"

#define LEASE_MAX_BLOCKS (1ull << 28) /* an image of 1 TiB */
#define LEASE_RUN_MAX	 512u	      /* blocks in one call */

typedef _Atomic(uint64_t) lease_word;

/* Bytes of a map, whole pages; 0: no blocks, or more than LEASE_MAX_BLOCKS. */
size_t lease_map_bytes(uint64_t nr_blocks);

/* Is the bit set? Acquire P. A hint unless the block is leased. */
bool presence_test(const lease_word *map, uint64_t block);

/**
 * lease_take() - lease the blocks of a run that are there
 * @lease:    own map
 * @presence: the agent's
 * @first:    with @nr, inside both maps
 * @nr:       1 .. LEASE_RUN_MAX; none of them leased by this map already
 *
 * Context: the worker's thread; wait-free.
 * Return:  how many blocks from @first on are leased now; those after it are
 *          not. 0: the first one is absent.
 */
unsigned lease_take(lease_word *lease, const lease_word *presence,
		    uint64_t first, unsigned nr);

/* Give a run back; all of it is leased. Context: as lease_take(). */
void lease_drop(lease_word *lease, uint64_t first, unsigned nr);

/* Publish blocks that were filled. Context: the agent's thread; release P. */
void presence_set(lease_word *presence, uint64_t first, unsigned nr);

/**
 * presence_evict() - make a block absent unless somebody uses it
 * @leases: @nr_leases lease maps of all who may use it
 *
 * Context: the agent's thread; wait-free.
 * Return:  true: absent, and nobody has or can get a lease: punch it. false:
 *          it is leased, and there as before (or absent, if it was).
 */
bool presence_evict(lease_word *presence, const lease_word *const *leases,
		    unsigned nr_leases, uint64_t block);

#endif
