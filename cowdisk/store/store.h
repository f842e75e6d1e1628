/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffer cache of one node, as its agent keeps it: a *store* an image,
 * all stores of a node under one limit.
 *
 *	memfd	the image's bytes at the image's own offsets, on the node; a
 *		block that is absent is a hole, or being filled or punched
 *	presence map	see memory/lease.h
 *
 * Filled by reads of the image with O_DIRECT through io_uring (fetch.c); where
 * a ring or O_DIRECT is refused, by plain reads, whose pages are then dropped
 * from the kernel's cache. The image is never written.
 *
 * INVARIANTS
 *  1. A presence bit is set only while the block holds the image's bytes; the
 *     part of the last block beyond the image's end is zeroes.
 *  2. A block is read by one request at a time: who asks for it meanwhile
 *     waits for that one (two guests that miss the same block cause one read).
 *  3. A page is punched only after presence_evict() allowed it, and never
 *     while it is being filled.
 *  4. Filled blocks and those being filled are never more than the limit,
 *     but after it was made smaller, and then no more than before; what does
 *     not fit is refused (-ENOSPC), not waited for.
 *
 * Eviction: a clock over the blocks of all stores; a block that somebody
 * leases or has asked for since the hand came by gets another round. For one
 * request the hand goes over 1 GiB of blocks at most, then there is no room;
 * for requests in a row, where it finds nothing but leases, over 2 MiB each.
 *
 * Replicas: a block that another node's store holds is copied from there when a
 * worker asks for that (store_replicate()), memory to memory. They are at most
 * a part of the limit (REPLICA_PART), and take the place of nothing but other
 * replicas; they are evicted as all blocks are. After a new agent has taken a
 * store over nobody knows which they were: they count as read.
 *
 * Read-ahead: when a link asks for blocks in a row, as many again as the last
 * ones are read, at most CACHE_FILL_MAX; not answered, given up for lack of
 * room.
 *
 * Threads: one, the agent's.
 */
#ifndef DISCO_COWDISK_STORE_H
#define DISCO_COWDISK_STORE_H

#include "cowdisk/base/cache_proto.h"
#include "memory/lease.h"

struct pool;	     /* the stores of a node */
struct store;	     /* an image */
struct store_reader; /* whoever asks and leases: a disk of a worker */
struct store_peer;   /* the same image's store of another node */

#define REPLICA_PART 2u /* of the limit: 1 / so much is for replicas */

struct pool_stats {
	uint64_t limit_blocks;
	uint64_t present_blocks, filling_blocks;
	uint64_t asked_blocks;	/* by readers, read-ahead not counted */
	uint64_t joined_blocks; /* of them: were being read for another */
	uint64_t read_bytes;	/* from images */
	uint64_t ahead_blocks;	/* read ahead */
	uint64_t evicted_blocks;
	uint64_t leased_blocks;	 /* eviction passed over, for a lease */
	uint64_t looks;		 /* of eviction, at 64 blocks or at a store */
	uint64_t refused_blocks; /* no room */
	uint64_t failed_reads;
	uint64_t replica_blocks;    /* of those present; see REPLICA_PART */
	uint64_t replicated_blocks; /* copied from other nodes, ever */
};

/**
 * pool_create() - no stores yet
 * @limit_bytes: of all stores together; 0: pool_set_limit() tells, and until
 *               then nothing is filled and nothing evicted, as not all who
 *               lease blocks are known yet
 * @depth:       reads under way at once, 1 .. 256
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int pool_create(uint64_t limit_bytes, unsigned depth,
			   struct pool **out);

/* Waits for reads under way; their done() are not called. NULL is fine. */
void pool_destroy(struct pool *p);

/* Evicts down to a smaller one as far as leases allow, 1024 blocks now, others
 * in pool_turn(); what was leased then, when somebody asks for blocks. */
void pool_set_limit(struct pool *p, uint64_t limit_bytes);

/**
 * pool_turn() - go on with what pool_set_limit() began
 *
 * Evicts 1024 blocks at most. Until it is done, no request gets room.
 * Return: true: call again, before waiting for anything.
 */
bool pool_turn(struct pool *p);

/* Readable when reads have ended: pool_ready(). -1: reads never wait. */
int pool_event_fd(const struct pool *p);
void pool_ready(struct pool *p);

void pool_get_stats(const struct pool *p, struct pool_stats *out);

/**
 * store_open() - the cache of an image
 * @image:    readable; best with O_DIRECT
 * @bytes:    of the image, a multiple of 512
 * @memory:   memfd, align_up(@bytes, PAGE_BYTES) long, bound to the node;
 *            holds what the presence map says (a former agent's); what
 *            that one left half done counts as present until it is evicted
 * @presence: memfd of lease_map_bytes() of its blocks; no other process
 *            writes it now
 *
 * All three are owned by the store, success or not.
 * Return: 0; -EINVAL sizes do not fit; -ENOMEM; -errno of fstat(), mmap().
 */
MUST_CHECK int store_open(struct pool *p, int image, uint64_t bytes, int memory,
			  int presence, struct store **out);

/*
 * Its readers are gone. Waits for its reads; done() of other stores' may be
 * called meanwhile. NULL is fine.
 */
void store_close(struct store *s);

/**
 * store_reader_add() - who may lease blocks
 * @lease: region of lease_map_bytes() of the image's blocks; owned, success
 *         or not
 *
 * Return: 0; -ENOMEM; -errno of region_attach().
 */
MUST_CHECK int store_reader_add(struct store *s, int lease,
				struct store_reader **out);

/* It uses nothing any more. Its requests are not answered. NULL is fine. */
void store_reader_remove(struct store_reader *r);

/**
 * store_fill() - have blocks there
 * @first, @nr: checked by this function
 * @done:       called once, now or from pool_ready() or store_close(): the
 *              first @nr_there blocks are there, as far as nobody evicts them
 *              again; @err: 0 or why not all: -EIO and others of the read,
 *              -ENOSPC no room, -ENOMEM. Calls nothing of this header
 *
 * Return: 0; -EINVAL outside of the image (@done is not called); -EAGAIN too
 * many requests are waiting (not called); -ENOMEM.
 */
MUST_CHECK int store_fill(struct store_reader *r, uint64_t first, uint32_t nr,
			  void (*done)(void *arg, uint32_t tag,
				       uint32_t nr_there, int err),
			  void *arg, uint32_t tag);

/* Read ahead, if there is room. Return: 0; -EINVAL outside of the image. */
MUST_CHECK int store_ahead(struct store_reader *r, uint64_t first, uint32_t nr);

/**
 * store_peer_add() - another node's store of the image, to copy from
 * @memory:   its memfd, for reading, as long as this store's, its size sealed
 * @presence: its presence map, for reading
 * @lease:    region made by region_prepare(), of the presence map's size: this
 *            agent becomes its writer. The other agent looks at it already
 * @out:      the store's; store_peer_remove() ends it sooner
 *
 * All three are owned by the peer, success or not.
 *
 * Return: 0; -EPROTO not what they should be; -EPERM the lease map has another
 * writer; -ENOMEM; -errno of mmap().
 */
MUST_CHECK int store_peer_add(struct store *s, int memory, int presence,
			      int lease, struct store_peer **out);

/* From now on it leases nothing. NULL is fine. */
void store_peer_remove(struct store_peer *p);

/**
 * store_replicate() - have copies of what other nodes hold, if there is room
 *
 * What nobody holds is left alone, as is what is here, being read, or what a
 * former agent left half done. Reads nothing of the image.
 *
 * Context: copies up to CACHE_FILL_MAX blocks before it returns.
 * Return: 0; -EINVAL outside of the image.
 */
MUST_CHECK int store_replicate(struct store_reader *r, uint64_t first,
			       uint32_t nr);

#endif
