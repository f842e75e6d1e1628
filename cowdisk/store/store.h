/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffer cache of one node, as its agent keeps it: one *store* per image,
 * with one limit for all stores of the node.
 *
 *	memory	a memfd on the node, with the image's bytes at the image's own
 *		offsets; a block that is absent is a hole, or is being filled
 *		or punched
 *	presence map	see memory/lease.h
 *
 * A store is filled by reads of the image with O_DIRECT through io_uring
 * (fetch.h). Where a ring or O_DIRECT is refused, it is filled by plain reads,
 * whose pages are then dropped from the kernel's cache. The image is never
 * written.
 *
 * INVARIANTS
 *  1. A presence bit is set only while the block holds the image's bytes. The
 *     part of the last block beyond the image's end is zeroes.
 *  2. At most one read of a block is under way: a request for a block that is
 *     being read waits for that read (two guests that miss the same block cause
 *     one read).
 *  3. A page is punched only after presence_evict() allowed it, and never
 *     while it is being filled.
 *  4. Present blocks and blocks being filled are never more than the limit,
 *     except after the limit was lowered, and then their number does not grow.
 *     A request that does not fit is refused (-ENOSPC), not delayed.
 *
 * Eviction: a clock over the blocks of all stores. A block that is leased, or
 * was requested since the hand passed it, stays for another round. For one
 * request the hand passes over 1 GiB of blocks at most, then there is no room;
 * for consecutive requests that find nothing but leases, over 2 MiB each.
 *
 * Replicas: when a worker asks for it (store_replicate()), a block that another
 * node's store holds is copied from there, memory to memory. Replicas take at
 * most a part of the limit (REPLICA_PART). They replace other replicas only,
 * and are evicted as all blocks are. An agent that takes a store over does not
 * know which blocks were replicas: they count as read.
 *
 * Read-ahead: when a link requests blocks sequentially, as many blocks as the
 * last request had are read ahead, at most CACHE_FILL_MAX. Read-ahead is not
 * answered, and is dropped when there is no room.
 *
 * Context of all functions: one thread, the agent's.
 */
#ifndef DISCO_COWDISK_STORE_H
#define DISCO_COWDISK_STORE_H

#include "cowdisk/base/cache_proto.h"
#include "memory/lease.h"

struct pool;	     /* the stores of a node */
struct store;	     /* the cache of one image */
struct store_reader; /* one disk of a worker, which requests and leases */
struct store_peer;   /* another node's store of the same image */

#define REPLICA_PART 2u /* replicas take at most 1/2 of the limit */

struct pool_stats {
	uint64_t limit_blocks;
	uint64_t present_blocks, filling_blocks;
	uint64_t asked_blocks;	/* by readers, without read-ahead */
	uint64_t joined_blocks; /* of them, those already being read */
	uint64_t read_bytes;	/* from images */
	uint64_t ahead_blocks;	/* read ahead */
	uint64_t evicted_blocks;
	uint64_t leased_blocks;	 /* passed over by eviction: leased */
	uint64_t looks;		 /* eviction steps: 64 blocks, or a store */
	uint64_t refused_blocks; /* no room */
	uint64_t failed_reads;
	uint64_t replica_blocks;    /* of those present; see REPLICA_PART */
	uint64_t replicated_blocks; /* copied from other nodes, in total */
};

/**
 * pool_create() - create a pool without stores
 * @limit_bytes: of all stores together; 0: pool_set_limit() sets it. Until then
 *               nothing is filled or evicted, since some readers that lease
 *               blocks may not be known yet
 * @depth:       reads under way at once, 1 .. 256
 * @out:         release with pool_destroy()
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int pool_create(uint64_t limit_bytes, unsigned depth,
			   struct pool **out);

/* Waits for reads under way; their done() is not called. NULL is accepted. */
void pool_destroy(struct pool *p);

/*
 * Set the limit. If it is lower, as many blocks are evicted as leases allow:
 * 1024 at once, the others in pool_turn(). Blocks that were leased at that time
 * are evicted when blocks are requested.
 */
void pool_set_limit(struct pool *p, uint64_t limit_bytes);

/**
 * pool_turn() - continue the evictions that pool_set_limit() began
 *
 * Evicts at most 1024 blocks. No request gets room until all are done.
 * Return: true: call again, before waiting for any event.
 */
bool pool_turn(struct pool *p);

/* Readable when reads have ended; then call pool_ready(). -1: never. */
int pool_event_fd(const struct pool *p);
void pool_ready(struct pool *p);

void pool_get_stats(const struct pool *p, struct pool_stats *out);

/**
 * store_open() - open the cache of an image
 * @image:    readable; best with O_DIRECT
 * @bytes:    size of the image, a multiple of 512
 * @memory:   memfd, align_up(@bytes, PAGE_BYTES) long, bound to the node. An
 *            earlier agent may have filled it: it holds the blocks of the
 *            presence map; a block that was left half done counts as present
 *            until it is evicted
 * @presence: memfd of lease_map_bytes() of its blocks; no other process
 *            writes it now
 * @out:      release with store_close()
 *
 * All three descriptors are owned by the store, also on error.
 * Return: 0; -EINVAL sizes do not fit; -ENOMEM; -errno of fstat(), mmap().
 */
MUST_CHECK int store_open(struct pool *p, int image, uint64_t bytes, int memory,
			  int presence, struct store **out);

/*
 * Close a store, whose readers are gone. Waits for its reads; done() of other
 * stores' requests may be called meanwhile. NULL is accepted.
 */
void store_close(struct store *s);

/**
 * store_reader_add() - add a reader, which may request and lease blocks
 * @lease: region of lease_map_bytes() of the image's blocks; owned by the
 *         reader, also on error
 * @out:   release with store_reader_remove()
 *
 * Return: 0; -ENOMEM; -errno of region_attach().
 */
MUST_CHECK int store_reader_add(struct store *s, int lease,
				struct store_reader **out);

/*
 * Remove a reader that uses no block any more. Its outstanding requests are not
 * answered. NULL is accepted.
 */
void store_reader_remove(struct store_reader *r);

/**
 * store_fill() - make blocks present
 * @first, @nr: the range; checked by this function
 * @done:       called once, from inside this call, pool_ready() or
 *              store_close(). The first @nr_there blocks are present, unless
 *              they were evicted again. @err: 0, or why not all of them: -EIO
 *              and others of the read, -ENOSPC no room, -ENOMEM. It must not
 *              call functions of this header
 * @arg, @tag:  passed to @done
 *
 * Return: 0; otherwise @done is not called: -EINVAL outside of the image;
 * -EAGAIN too many requests are waiting; -ENOMEM.
 */
MUST_CHECK int store_fill(struct store_reader *r, uint64_t first, uint32_t nr,
			  void (*done)(void *arg, uint32_t tag,
				       uint32_t nr_there, int err),
			  void *arg, uint32_t tag);

/*
 * Read blocks ahead, if there is room. Return: 0; -EINVAL outside of the image.
 */
MUST_CHECK int store_ahead(struct store_reader *r, uint64_t first, uint32_t nr);

/**
 * store_peer_add() - add another node's store of the image, to copy from
 * @memory:   that store's memfd, for reading; as long as this store's, with its
 *            size sealed
 * @presence: that store's presence map, for reading
 * @lease:    region made by region_prepare(), of the presence map's size. This
 *            agent becomes its writer. The other agent reads it already
 * @out:      owned by the store; store_peer_remove() releases it earlier
 *
 * All three descriptors are owned by the peer, also on error.
 *
 * Return: 0; -EPROTO not what they should be; -EPERM the lease map has another
 * writer; -ENOMEM; -errno of mmap().
 * writer; -ENOMEM; -errno of mmap().
 */
MUST_CHECK int store_peer_add(struct store *s, int memory, int presence,
			      int lease, struct store_peer **out);

/* Remove a peer; afterwards nothing of it is leased. NULL is accepted. */
void store_peer_remove(struct store_peer *p);

/**
 * store_replicate() - copy blocks from other nodes' stores, if there is room
 *
 * Skips blocks that no node holds, that are present or being read here, and
 * those that an earlier agent left half done. Does not read the image.
 *
 * Context: copies up to CACHE_FILL_MAX blocks before it returns.
 * Return: 0; -EINVAL outside of the image.
 */
MUST_CHECK int store_replicate(struct store_reader *r, uint64_t first,
			       uint32_t nr);

#endif
