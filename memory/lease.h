/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases: how a worker keeps pages of a buffer cache in place while it uses
 * them, although the cache belongs to another process, and neither process
 * waits for the other.
 *
 *	presence map	one bit per block; the agent writes, workers read
 *	lease map	one bit per block; its worker writes, the agent reads
 *
 * Each map is a region (numa/region.h) of 64-bit words. Bit b of word w stands
 * for block 64 * w + b. All bits are zero at the start.
 *
 * ORDERING
 *  1. A block that lease_take() leased keeps its bytes until lease_drop():
 *     everything the agent wrote before presence_set() happens before what the
 *     worker does after lease_take() (release P, acquire P).
 *  2. Either the worker's lease_take() sees the block absent, or the agent's
 *     presence_evict() sees the lease, or both; it never happens that neither
 *     does (Dekker on two single-writer words, fences D). So nobody uses a
 *     block that presence_evict() allows to be punched.
 *  3. Everything the worker read before lease_drop() happens before what the
 *     agent does after a presence_evict() that saw the lease dropped (release
 *     L, acquire L).
 *
 * PROGRESS. All functions are wait-free: one pass over the words of the range,
 * no retry, whatever the other side does. An agent whose presence_evict() finds
 * a lease sets the presence bit again. A worker that looked in between requests
 * the block, and gets the answer that it is present.
 *
 * THE OTHER SIDE IS HOSTILE. A worker that lies in its lease map keeps pages
 * from being evicted, or loses its own pages. An agent that lies in its
 * presence map gives wrong data to guests of its own node. Nothing that is read
 * here is used as an address or a size.
 *
 *	who may call what
 *	worker		lease_*, presence_test: one thread per lease map
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

/*
 * Bytes of a map, a multiple of PAGE_BYTES; 0 if @nr_blocks is 0 or more than
 * LEASE_MAX_BLOCKS.
 */
size_t lease_map_bytes(uint64_t nr_blocks);

/*
 * Is the block's bit set? Acquire P. The result is only a hint unless the block
 * is leased. Context: any thread; wait-free.
 */
bool presence_test(const lease_word *map, uint64_t block);

/**
 * lease_take() - lease the present blocks at the start of a run
 * @lease:    the worker's own map
 * @presence: the agent's map
 * @first:    first block of the run, which lies inside both maps
 * @nr:       1 .. LEASE_RUN_MAX blocks, none of them leased by this map yet
 *
 * Context: the worker's thread; wait-free.
 * Return:  number of blocks, from @first on, that are leased now; the blocks
 *          after them are not. 0: the first block is absent.
 */
unsigned lease_take(lease_word *lease, const lease_word *presence,
		    uint64_t first, unsigned nr);

/*
 * Drop the leases of a run, all of which is leased. Context: the worker's
 * thread; wait-free.
 */
void lease_drop(lease_word *lease, uint64_t first, unsigned nr);

/* Publish blocks that were filled (release P). Context: the agent's thread. */
void presence_set(lease_word *presence, uint64_t first, unsigned nr);

/**
 * presence_evict() - make a block absent unless a worker uses it
 * @leases: @nr_leases lease maps, of all processes that may use the block
 *
 * Context: the agent's thread; wait-free.
 * Return:  true: the block is absent, and nobody has or can get a lease, so it
 *          may be punched; false: it is leased, and present as before (or
 *          absent, if it was absent).
 */
bool presence_evict(lease_word *presence, const lease_word *const *leases,
		    unsigned nr_leases, uint64_t block);

#endif
