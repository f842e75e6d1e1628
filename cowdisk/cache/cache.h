/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffer cache as a worker uses it: for each disk and node the cache
 * memfd (read-only), the agent's presence map (read-only) and this worker's
 * lease map; and a link (cowdisk/base/cache_proto.h) to the agent of its node.
 *
 * lookup: nearest node first; lease_take(), one bit test a block.
 * hit: whole aligned pages of guest RAM are overlaid (memory/pmap.h) where the
 * budget allows, everything else is copied, under the lease.
 * miss: asked of the agent, then looked up again; what the agent cannot give,
 * or not in CACHE_PATIENCE_NS, is read from the file itself, as if there were
 * no cache. One that was too late is not waited for until it says something.
 *
 * So a missing, slow, hostile or dead agent costs time, never data. It sits
 * under a disk as a struct io (io.h) on top of another one: reads of IO_BASE
 * are looked up, everything else passes through.
 *
 * hot: a block that is used CACHE_HOT_USES times from another node, or is still
 * shown when cache_count_shown() looks, is named to the agent
 * (CACHE_REPLICATE), which may copy it to its own node. From then on lookups
 * find it there, and cache_nearer() shows it from there.
 *
 * A block has one lease, whoever uses it here; how often it is used (overlaid
 * pages, copies under way) is counted beside, in memory of the worker alone.
 *
 * Threads: one, the worker's I/O thread.
 */
#ifndef DISCO_COWDISK_CACHE_H
#define DISCO_COWDISK_CACHE_H

#include "cowdisk/base/io.h"
#include "disco/limits.h"
#include "memory/pmap.h"

#define CACHE_PATIENCE_NS 1000000000ull

/*
 * Pages: shorter runs are copied. A mapping costs as much as copying some four
 * pages (bench-cache), and takes of the budget; of a guest that reads a tree of
 * files such runs are 43 % of all, and 6 % of the pages.
 */
#define CACHE_RUN_MIN 4u

#define CACHE_HOT_USES 2u /* of this VM, of a block of another node */

struct cache;

struct cache_stats {
	uint64_t hit_blocks;	  /* looked up, and there */
	uint64_t overlaid_blocks; /* of them, shown instead of copied */
	uint64_t missed_blocks;	  /* asked of the agent */
	uint64_t direct_blocks;	  /* read from the file after all */
	uint64_t remote_blocks;	  /* of those hit: on another node */
	uint64_t asked, lost;	  /* requests sent; refused, ring was full */
	uint64_t late;	/* requests given up after CACHE_PATIENCE_NS */
	uint32_t depth; /* requests not taken by the agent yet */
	bool linked;
};

/**
 * cache_create() - a worker's cache, with nothing attached
 * @pm:  guest memory; NULL: everything is copied. Outlives the cache
 * @out: release with cache_destroy()
 *
 * Return: 0; -ENOMEM; -errno of timerfd_create().
 */
MUST_CHECK int cache_create(struct pmap *pm, struct cache **out);

/*
 * After the disks that use it; NULL is fine. Pages may be shown still: then
 * nothing but pmap_destroy() may follow for @pm.
 */
void cache_destroy(struct cache *c);

/**
 * cache_attach() - the cache of a disk on a node
 * @disk:     0 .. VM_MAX_DISKS - 1
 * @node:     a node's number; an attachment it had before goes when the last
 *            page of it does, and is not looked at any more
 * @bytes:    of the image, a multiple of 512
 * @memory:   memfd, align_up(@bytes, PAGE_BYTES) long, its size sealed (as
 *            region_prepare() does it: a page cut off would kill the guest)
 * @presence: region of lease_map_bytes() of its blocks
 * @lease:    region made by region_prepare(), of the same size: this worker
 *            becomes its writer
 *
 * All three are owned by the cache, success or not.
 *
 * Return: 0; -EINVAL, -EPROTO not what they should be; -EPERM the lease map
 * has another writer; -ENOMEM; -ENOSPC too many sources.
 */
MUST_CHECK int cache_attach(struct cache *c, unsigned disk, nodeid_t node,
			    uint64_t bytes, int memory, int presence,
			    int lease);

/*
 * Not looked at any more: nobody fills it, nor takes anything away. It is gone
 * with the last page of it that is shown. One that is not attached is fine.
 */
void cache_detach(struct cache *c, unsigned disk, nodeid_t node);

/* The order of lookup: this node first, then the others in order of coming. */
void cache_set_home(struct cache *c, nodeid_t node);

/**
 * cache_link() - talk to another agent from now on
 * @own:     region made by region_prepare(): this worker becomes its writer
 * @peer:    the agent's region
 * @wake_tx: written to wake the agent
 * @wake_rx: readable when the agent has answered
 *
 * All four are owned by the cache, success or not. Requests that the old
 * agent had not answered are read from the file.
 *
 * Return: 0; -errno of region_take() and region_attach().
 */
MUST_CHECK int cache_link(struct cache *c, int own, int peer, int wake_tx,
			  int wake_rx);

/*
 * No agent any more: misses are read from the file. The cache does so itself
 * when the agent breaks the protocol or closes its end of @wake_rx.
 */
void cache_unlink(struct cache *c);

/*
 * Readable when cache_ready() has something to do; the same for the life of
 * the cache (an epoll of wake_rx and of the timer of late requests).
 */
int cache_event_fd(const struct cache *c);
void cache_ready(struct cache *c);

/**
 * cache_io() - the cache of one disk, as files under it
 * @under: of the same disk; owned by @out, on error the caller's still
 * @out:   complete() does what cache_ready() has found for this disk; its
 *         event_fd is that of @under, which stands being written to, or one
 *         of its own
 *
 * Return: 0; -EINVAL @disk; -ENOMEM; -errno of eventfd().
 */
MUST_CHECK int cache_io(struct cache *c, unsigned disk, struct io *under,
			struct io **out);

/**
 * cache_lookup() - lease a run, from the nearest node that has it
 * @nr:   blocks wanted, 1 .. LEASE_RUN_MAX
 * @page: out: the first block's bytes; the others follow
 *
 * Return: how many are leased, one use each: cache_put() them. 0: absent.
 */
unsigned cache_lookup(struct cache *c, unsigned disk, uint64_t first,
		      unsigned nr, const uint8_t **page);
void cache_put(struct cache *c, unsigned disk, const uint8_t *page,
	       unsigned nr);

/**
 * cache_memory() - what the home node has of a disk, for who maps it
 * @fd: out: its memory, the cache's; block i is at i pages. Untouched if 0
 *
 * Return: a number that no other attachment of this cache ever has, on any
 * node; 0: the home node has none.
 */
uint64_t cache_memory(const struct cache *c, unsigned disk, int *fd);

/**
 * cache_hold() - lease a run from one attachment, and no other
 * @memory: cache_memory() of it
 * @nr:     blocks wanted, 1 .. LEASE_RUN_MAX
 *
 * Return: how many are leased, one use each: cache_let_go() of them, and
 * nothing of the cache in between. 0: absent, or not attached any more.
 */
unsigned cache_hold(struct cache *c, unsigned disk, uint64_t memory,
		    uint64_t first, unsigned nr);
void cache_let_go(struct cache *c, unsigned disk, uint64_t memory,
		  uint64_t first, unsigned nr);

/* Is a block there? A hint. */
bool cache_has(const struct cache *c, unsigned disk, uint64_t memory,
	       uint64_t block);

/**
 * cache_rehome() - where pages that are shown should be shown from now on
 *
 * For pmap_rebase(): the same block on the home node when it is there, else
 * none; @id if that is the home node's, or no source of the cache. @arg: the
 * cache.
 */
unsigned cache_rehome(void *arg, unsigned id, uint64_t index, uint64_t *nr);

/**
 * cache_prefetch() - ask the agent for all that is shown from other nodes
 *
 * Before a move ends: hints, so that cache_rehome() finds them. The new home
 * has been set, attached and linked. Until the ring of requests is full: may be
 * called again, and asks for what has not come.
 */
void cache_prefetch(struct cache *c);

/**
 * cache_count_shown() - what is shown from another node is in use
 *
 * One use of each such block that the home node lacks: a page that is mapped is
 * read without anybody being asked. Called now and then, it makes what stays
 * shown hot.
 *
 * Return: true: something is shown from another node, and may come nearer.
 */
bool cache_count_shown(struct cache *c);

/* Would cache_nearer() show the page from elsewhere? A hint; leases nothing. */
bool cache_is_nearer(const struct cache *c, unsigned id, uint64_t index);

/**
 * cache_nearer() - show pages from the home node, where it has them
 *
 * For pmap_bring(). As cache_rehome(), but what home has not got stays where
 * it is.
 */
unsigned cache_nearer(void *arg, unsigned id, uint64_t index, uint64_t *nr);

void cache_get_stats(const struct cache *c, struct cache_stats *out);

#endif
