/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of a worker's cache share:
 *
 *	cache.c		life of the cache, the order of lookup, moving house
 *	cache_source.c	one disk on one node: leases and how often each is used
 *	cache_hot.c	blocks of other nodes that are used again and again
 *	cache_link.c	requests, answers, and what waits for them
 *	cache_io.c	the files of a disk, looked up first
 *	cache_hold.c	one node's blocks of a disk, for who maps them
 *
 * All of it: the worker's I/O thread.
 */
#ifndef DISCO_COWDISK_CACHE_INTERNAL_H
#define DISCO_COWDISK_CACHE_INTERNAL_H

#include <sys/queue.h>

#include "cowdisk/cache/cache.h"
#include "cowdisk/base/cache_proto.h"
#include "memory/lease.h"
#include "numa/region.h"

/* --- one disk on one node --- */

/*
 * INVARIANT: a block's bit in the lease map is 1 while uses[block] > 0, and
 * only then; nr_leased blocks are.
 */
struct cache_source {
	struct pmap_source shown; /* its fd: of the memory, owned */
	struct region_view memory;
	struct region_view presence; /* hostile */
	struct region lease;	     /* [A: worker/agent, see lease.h] */
	uint32_t *uses; /* a block; cannot overflow: guests have fewer pages */
	uint8_t *heat;	/* a block: uses from afar; NULL: none yet */
	uint64_t nr_blocks, nr_leased;
	unsigned id; /* in the pmap; 0: there is none */
	unsigned disk;
	nodeid_t node;
	uint64_t serial;	   /* not 0, no other's */
	struct cache_source *next; /* of the disk, or retired */
};

/* As cache_attach(); not in any list yet. */
MUST_CHECK int source_create(struct pmap *pm, uint64_t bytes, int memory,
			     int presence, int lease,
			     struct cache_source **out);
/* NULL is fine. Pages that are shown: @pm may be destroyed only. */
void source_destroy(struct pmap *pm, struct cache_source *s);

/* Lease and use a run. Return: how many from @first on; 0: absent. */
unsigned source_take(struct cache_source *s, uint64_t first, unsigned nr);
/* One use less of each. */
void source_put(struct cache_source *s, uint64_t first, unsigned nr);
/* A hint. */
bool source_has(const struct cache_source *s, uint64_t block);
/**
 * source_next_leased() - the next run of leased blocks
 * @first: in: where to begin; out: where the run does
 * Return: its length, at most @max; 0: none up to the end.
 */
unsigned source_next_leased(const struct cache_source *s, uint64_t *first,
			    unsigned max);
/* Blocks from @first on, of @nr, that it lacks. */
unsigned source_lacks(const struct cache_source *s, uint64_t first,
		      unsigned nr);
/* @nr: in: blocks wanted; out: true: so many were taken; false: lacks so many,
 * at least 1. */
bool source_take_or_lack(struct cache_source *s, uint64_t first, uint64_t *nr);

/* --- what waits --- */

#define CACHE_MAX_WAITS CACHE_LINK_SLOTS
#define CACHE_ROUNDS	3u /* asked and not there: then it is read */

enum wait_state { WAIT_FREE, WAIT_ASKED, WAIT_READY };

/* Where what waits comes back to; its owner goes on with it. */
struct cache_queue {
	unsigned disk;
	int event_fd; /* written to when something is ready */
	STAILQ_HEAD(cache_waits, cache_wait) ready;
};

/* Somebody for whom the agent was asked for something. */
struct cache_wait {
	enum wait_state state;
	bool last;   /* the agent cannot do more: look, then read */
	bool direct; /* do not even look */
	uint32_t tag;
	unsigned rounds; /* in a row, without a block gained */
	uint64_t deadline_ns;
	struct cache_queue *q;
	void *what;		       /* its owner's */
	STAILQ_ENTRY(cache_wait) link; /* free, or ready */
};

struct cache_io {
	struct io io;
	struct cache *c;
	struct cache_queue q;
	struct io *under;
	bool own_event; /* under has none */
};

struct cache_link {
	struct region own;
	struct region_view peer; /* hostile */
	int wake_tx, wake_rx;
	struct chan_tx tx;
	struct chan_rx rx;
	uint64_t nr_unanswered;
	bool silent; /* was late, and has said nothing since */
};

struct cache {
	struct pmap *pm;			  /* NULL: copies only */
	nodeid_t home;				  /* NODE_AUTO: nobody said */
	struct cache_source *disks[VM_MAX_DISKS]; /* in order of lookup */
	uint64_t bytes[VM_MAX_DISKS];		  /* of the image */
	struct cache_source *retired; /* shown, but not looked at any more */
	struct cache_source *by_id[PMAP_MAX_SOURCES];
	struct cache_link *link; /* NULL: none */
	int epoll_fd, timer_fd;
	uint64_t timer_ns; /* what it is set to; UINT64_MAX: it is not */
	uint64_t patience_ns;
	unsigned run_min;     /* CACHE_RUN_MIN; tests: less */
	uint32_t generation;  /* of tags */
	uint64_t last_serial; /* of sources */
	unsigned nr_waits;    /* not free */
	struct cache_wait waits[CACHE_MAX_WAITS];
	struct cache_waits free;
	struct cache_stats stats;
};

/* The run from @first on; 0: absent everywhere. One use each. */
unsigned cache_take(struct cache *c, unsigned disk, uint64_t first, unsigned nr,
		    struct cache_source **from);
/* Blocks from @first on that are nowhere; a hint. */
unsigned cache_absent(const struct cache *c, unsigned disk, uint64_t first,
		      unsigned nr);
/* The home node's. NULL: it has none, or nobody said which node that is. */
struct cache_source *cache_home_source(const struct cache *c, unsigned disk);
/* Does it help a disk to ask? The agent fills the home node's memory. */
bool cache_can_ask(const struct cache *c, unsigned disk);
/* A run of it was used; it is not the home node's. */
void cache_used_afar(struct cache *c, struct cache_source *s, uint64_t first,
		     unsigned nr);
/* Release what retired and is not shown any more. */
void cache_reap(struct cache *c);

/**
 * link_ask() - have blocks filled, and wait
 * @w:     of link_wait_get(), free or ready
 * @nr:    1 .. CACHE_FILL_MAX
 *
 * Return: true: @w comes back as ready, in its disk's list; false: it does
 * not, read the file.
 */
MUST_CHECK bool link_ask(struct cache *c, struct cache_wait *w, uint64_t first,
			 unsigned nr);
/* Will be read soon. Return: false: no agent listens, or not now. */
bool link_ahead(struct cache *c, unsigned disk, uint64_t first, unsigned nr);
/* Are used from another node. Return: the same; half of the ring is not for
 * these. */
bool link_replicate(struct cache *c, unsigned disk, uint64_t first,
		    unsigned nr);
/* Return: NULL: too many wait. */
struct cache_wait *link_wait_get(struct cache *c, struct cache_queue *q,
				 void *what);
void link_wait_put(struct cache *c, struct cache_wait *w);
/* The next one that is ready. NULL: none is. */
struct cache_wait *link_wait_next(struct cache_queue *q);
/* Nothing waits for the agent any more: of one queue, or of all if NULL. */
void link_give_up(struct cache *c, const struct cache_queue *q);

#endif
