/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffer cache as a worker uses it. For each disk and node it has the cache
 * memfd (read-only), the agent's presence map (read-only) and this worker's
 * lease map; and one link (cowdisk/base/cache_proto.h) to the agent of the
 * worker's node.
 *
 * Lookup: the nearest node first; lease_take(), one bit test per block.
 *
 * Hit: whole aligned pages of guest RAM are overlaid (memory/pmap.h) where the
 * budget allows; everything else is copied, under the lease.
 *
 * Miss: the agent is asked for the block, which is then looked up again. A
 * block that the agent cannot give, or not within CACHE_PATIENCE_NS, is read
 * from the file itself, as if there were no cache. After an agent was too late,
 * no request waits for it until it answers again.
 *
 * So a missing, slow, hostile or dead agent costs time, never data. The cache
 * is a struct io (io.h) between a disk and its files: reads of IO_BASE are
 * looked up, everything else passes through.
 *
 * Hot blocks: a block of another node that is used CACHE_HOT_USES times is
 * named to the agent (CACHE_REPLICATE), which may copy it to its own node. A
 * block that is still shown when cache_count_shown() runs counts as used. After
 * the copy, lookups find the block on the home node, and cache_nearer() shows
 * it from there.
 *
 * A block has one lease, however many users it has in this process. The number
 * of its users (overlaid pages, copies under way) is counted in private memory
 * of the worker.
 *
 * Context of all functions: the worker's I/O thread.
 */
#ifndef DISCO_COWDISK_CACHE_H
#define DISCO_COWDISK_CACHE_H

#include "cowdisk/base/io.h"
#include "disco/limits.h"
#include "memory/pmap.h"

#define CACHE_PATIENCE_NS 1000000000ull

/*
 * In pages: shorter runs are copied. A mapping costs as much as copying some
 * four pages (bench-cache), and uses up the budget. When a guest reads a tree
 * of files, 43 % of all runs are shorter, with 6 % of the pages.
 */
#define CACHE_RUN_MIN 4u

#define CACHE_HOT_USES 2u /* uses by this VM of a block of another node */

struct cache;

struct cache_stats {
	uint64_t hit_blocks;	  /* looked up, and present */
	uint64_t overlaid_blocks; /* of them, shown instead of copied */
	uint64_t missed_blocks;	  /* requested from the agent */
	uint64_t direct_blocks;	  /* read from the file after all */
	uint64_t remote_blocks;	  /* of those hit: on another node */
	uint64_t ref_blocks;	  /* shown by references, not by reads */
	uint64_t asked, lost;	  /* requests sent; not sent: ring was full */
	uint64_t late;	/* requests given up after CACHE_PATIENCE_NS */
	uint32_t depth; /* requests that the agent has not taken yet */
	bool linked;
};

/**
 * cache_create() - create a worker's cache, with nothing attached
 * @pm:  guest memory, which outlives the cache; NULL: everything is copied
 * @out: release with cache_destroy()
 *
 * Return: 0; -ENOMEM; -errno of timerfd_create().
 */
MUST_CHECK int cache_create(struct pmap *pm, struct cache **out);

/*
 * Destroy a cache, after the disks that use it. NULL is accepted. If pages of
 * it are still shown, @pm may then only be destroyed.
 */
void cache_destroy(struct cache *c);

/**
 * cache_attach() - attach the cache of a disk on a node
 * @disk:     0 .. VM_MAX_CACHED - 1; those from VM_MAX_DISKS on are images of
 *            other VMs, which only cache_find_image() leads to
 * @node:     a node's number. An earlier attachment of this disk and node is
 *            not looked up any more, and is released with its last page shown
 * @bytes:    size of the image, a multiple of 512
 * @memory:   memfd, align_up(@bytes, PAGE_BYTES) long, its size sealed as
 *            region_prepare() does it: a page that is cut off would kill the
 *            guest
 * @presence: region of lease_map_bytes() of its blocks
 * @lease:    region made by region_prepare(), of the same size: this worker
 *            becomes its writer
 *
 * All three descriptors are owned by the cache, also on error.
 *
 * Return: 0; -EINVAL, -EPROTO not what they should be; -EPERM the lease map
 * has another writer; -ENOMEM; -ENOSPC too many sources.
 */
MUST_CHECK int cache_attach(struct cache *c, unsigned disk, nodeid_t node,
			    uint64_t bytes, int memory, int presence,
			    int lease);

/*
 * What references to blocks of a disk are to name (vnet/refs.h), 0: there are to
 * be none. It stays until the next call. A disk beyond the table is ignored.
 */
void cache_set_image(struct cache *c, unsigned disk, uint64_t image);

/*
 * The image that pages of source @id of the pmap are blocks of, by the number of
 * cache_set_image(). Return: 0: no source of this cache, or of no such image.
 */
uint64_t cache_image_of(const struct cache *c, unsigned id);

/* Return: the disk of @image, which is not 0; VM_MAX_CACHED: there is none. */
unsigned cache_find_image(const struct cache *c, uint64_t image);

/* Blocks that were leased to be shown. */
struct cache_ref {
	const uint8_t *page; /* the first block's bytes; the others follow */
	unsigned id;	     /* of the source, for pmap_show() */
	void *source;	     /* private to the cache */
};

/**
 * cache_take_ref() - lease a run, to compare and to show it
 * @disk, @first: hostile: whatever a reference says
 * @nr:  blocks wanted, 1 .. LEASE_RUN_MAX
 * @ref: out; untouched if 0 is returned
 *
 * As cache_lookup(), but nothing is counted. A run that pmap_show() has shown
 * belongs to the pmap; others are released by cache_drop_ref(), before any other
 * function of the cache is called.
 *
 * Return: number of blocks, with one use each; 0: the first one is in no cache, or
 * the cache has no pmap.
 */
unsigned cache_take_ref(struct cache *c, unsigned disk, uint64_t first,
			unsigned nr, struct cache_ref *ref);
/* Release @nr blocks from @first on, all of them of that run. */
void cache_drop_ref(const struct cache_ref *ref, uint64_t first, unsigned nr);
/* @nr blocks are shown now: as overlaid_blocks, they are looked after. */
void cache_shown_ref(struct cache *c, unsigned nr);

/*
 * Stop looking blocks up in the cache of a disk on a node, which no agent fills
 * or evicts any more. It is released with its last page that is shown. A cache
 * that is not attached is accepted.
 */
void cache_detach(struct cache *c, unsigned disk, nodeid_t node);

/*
 * Set the order of lookup: @node first, then the other nodes in the order in
 * which they were attached.
 */
void cache_set_home(struct cache *c, nodeid_t node);

/**
 * cache_link() - set up the link to an agent, in place of any earlier link
 * @own:     region made by region_prepare(): this worker becomes its writer
 * @peer:    the agent's region
 * @wake_tx: written to wake the agent
 * @wake_rx: readable when the agent has answered
 *
 * All four descriptors are owned by the cache, also on error. Requests that the
 * earlier agent has not answered are read from the file.
 *
 * Return: 0; -errno of region_take() and region_attach().
 */
MUST_CHECK int cache_link(struct cache *c, int own, int peer, int wake_tx,
			  int wake_rx);

/*
 * Drop the link: misses are read from the file. The cache does so itself when
 * the agent breaks the protocol or closes its end of @wake_rx.
 */
void cache_unlink(struct cache *c);

/*
 * Readable when cache_ready() has something to do (an epoll of wake_rx and of
 * the timer of late requests). The descriptor is the same for the life of the
 * cache.
 */
int cache_event_fd(const struct cache *c);
void cache_ready(struct cache *c);

/**
 * cache_io() - put the cache of one disk in front of the disk's files
 * @under: files of the same disk; owned by @out after success
 * @out:   its complete() does what cache_ready() has found for this disk; its
 *         event_fd is that of @under, which must accept writes, or one of its
 *         own
 *
 * Return: 0; -EINVAL @disk; -ENOMEM; -errno of eventfd().
 */
MUST_CHECK int cache_io(struct cache *c, unsigned disk, struct io *under,
			struct io **out);

/**
 * cache_lookup() - lease a run from the nearest node that has its first block
 * @nr:   blocks wanted, 1 .. LEASE_RUN_MAX
 * @page: out: the first block's bytes; the others follow
 *
 * Return: number of blocks leased, with one use each, to be released by
 * cache_put(). 0: the first block is absent.
 */
unsigned cache_lookup(struct cache *c, unsigned disk, uint64_t first,
		      unsigned nr, const uint8_t **page);
void cache_put(struct cache *c, unsigned disk, const uint8_t *page,
	       unsigned nr);

/**
 * cache_memory() - get the home node's cache memory of a disk, for mapping
 * @fd: out: the memory, owned by the cache, with block i at page i; untouched
 *      if 0 is returned
 *
 * Return: a number that no other attachment of this cache ever has, on any
 * node; 0: the home node has no cache of the disk.
 */
uint64_t cache_memory(const struct cache *c, unsigned disk, int *fd);

/**
 * cache_hold() - lease a run from one attachment, and from no other
 * @memory: the attachment, as cache_memory() numbered it
 * @nr:     blocks wanted, 1 .. LEASE_RUN_MAX
 *
 * Return: number of blocks leased, with one use each, to be released by
 * cache_let_go() before any other function of the cache is called. 0: the first
 * block is absent, or the memory is not attached any more.
 */
unsigned cache_hold(struct cache *c, unsigned disk, uint64_t memory,
		    uint64_t first, unsigned nr);
void cache_let_go(struct cache *c, unsigned disk, uint64_t memory,
		  uint64_t first, unsigned nr);

/* Is a block present? The result is a hint. */
bool cache_has(const struct cache *c, unsigned disk, uint64_t memory,
	       uint64_t block);

/**
 * cache_rehome() - choose where to show pages from after a move
 * @arg: the cache
 *
 * A callback for pmap_rebase(). Chooses the same block on the home node if it
 * is present there, else none. Returns @id if @id is the home node's source, or
 * no source of the cache.
 */
unsigned cache_rehome(void *arg, unsigned id, uint64_t index, uint64_t *nr);

/**
 * cache_prefetch() - request all blocks that are shown from other nodes
 *
 * Called before a move ends, so that cache_rehome() finds the blocks. The new
 * home node has been set, attached and linked. The requests are hints, and end
 * when the ring of requests is full; further calls request the blocks that have
 * not arrived.
 */
void cache_prefetch(struct cache *c);

/**
 * cache_count_shown() - count blocks that are shown from another node as used
 *
 * Counts one use of each such block that the home node lacks, because a mapped
 * page is read without a request. When it is called repeatedly, blocks that
 * stay shown become hot.
 *
 * Return: true: something is shown from another node, and may come nearer.
 */
bool cache_count_shown(struct cache *c);

/* Would cache_nearer() move this page? The result is a hint; leases nothing. */
bool cache_is_nearer(const struct cache *c, unsigned id, uint64_t index);

/**
 * cache_nearer() - choose the home node for pages where it has them
 *
 * A callback for pmap_bring(). As cache_rehome(), but pages that the home node
 * lacks stay where they are.
 */
unsigned cache_nearer(void *arg, unsigned id, uint64_t index, uint64_t *nr);

void cache_get_stats(const struct cache *c, struct cache_stats *out);

#endif
