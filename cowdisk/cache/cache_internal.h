/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of a worker's cache share:
 *
 *	cache.c		life of the cache, the order of lookup, moves
 *	cache_source.c	one disk on one node: leases and the number of users
 *	cache_hot.c	blocks of other nodes that are used repeatedly
 *	cache_link.c	requests, answers, and the waiting readers
 *	cache_io.c	the files of a disk, behind the lookup
 *	cache_hold.c	one node's blocks of a disk, for mapping
 *	cache_refs.c	images by number, and blocks that frames refer to
 *
 * Context of all functions: the worker's I/O thread.
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
 * INVARIANT: a block's bit in the lease map is 1 if and only if uses[block] >
 * 0; nr_leased is the number of such blocks.
 */
struct cache_source {
	struct pmap_source shown; /* its fd, of the memory, is owned */
	struct region_view memory;
	struct region_view presence; /* hostile */
	struct region lease;	     /* [A: worker/agent, see lease.h] */
	/* Per block. Cannot overflow, because guests have fewer pages. */
	uint32_t *uses;
	uint8_t *heat; /* per block: uses from afar; NULL: none yet */
	uint64_t nr_blocks, nr_leased;
	unsigned id; /* in the pmap; 0: there is no pmap */
	unsigned disk;
	nodeid_t node;
	uint64_t serial;	   /* not 0; unique */
	struct cache_source *next; /* of the disk, or of the retired ones */
};

/* As cache_attach(), but the source is not in any list yet. */
MUST_CHECK int source_create(struct pmap *pm, uint64_t bytes, int memory,
			     int presence, int lease,
			     struct cache_source **out);
/* NULL is accepted. If pages are shown, @pm may then only be destroyed. */
void source_destroy(struct pmap *pm, struct cache_source *s);

/* Lease and use a run. Return: number of blocks from @first; 0: absent. */
unsigned source_take(struct cache_source *s, uint64_t first, unsigned nr);
/* Reduce the number of uses of each block by one. */
void source_put(struct cache_source *s, uint64_t first, unsigned nr);
/* Is the block present? The result is a hint. */
bool source_has(const struct cache_source *s, uint64_t block);
/**
 * source_next_leased() - find the next run of leased blocks
 * @first: in: where to begin; out: the first block of the run
 * Return: length of the run, at most @max; 0: none up to the end.
 */
unsigned source_next_leased(const struct cache_source *s, uint64_t *first,
			    unsigned max);
/* Number of absent blocks, from @first on, at most @nr. */
unsigned source_lacks(const struct cache_source *s, uint64_t first,
		      unsigned nr);
/*
 * Take the run from @first on, or find how long it is absent. @nr: in: blocks
 * wanted; out: number of blocks. Return: true: they were taken; false: they are
 * absent, and *@nr is at least 1.
 */
bool source_take_or_lack(struct cache_source *s, uint64_t first, uint64_t *nr);

/* --- readers that wait for the agent --- */

#define CACHE_MAX_WAITS CACHE_LINK_SLOTS
#define CACHE_ROUNDS	3u /* requests without a gain before the file is read */

enum wait_state { WAIT_FREE, WAIT_ASKED, WAIT_READY };

/* Receives waits that became ready; its owner continues them. */
struct cache_queue {
	unsigned disk;
	int event_fd; /* written to when a wait becomes ready */
	STAILQ_HEAD(cache_waits, cache_wait) ready;
};

/* One reader for which a request was sent to the agent. */
struct cache_wait {
	enum wait_state state;
	bool last;   /* the agent cannot do more: look up, then read the file */
	bool direct; /* read the file without a lookup */
	uint32_t tag;
	unsigned rounds; /* requests in a row that gained no block */
	uint64_t deadline_ns;
	struct cache_queue *q;
	void *what;		       /* its owner's data */
	STAILQ_ENTRY(cache_wait) link; /* in the free list, or the ready one */
};

struct cache_io {
	struct io io;
	struct cache *c;
	struct cache_queue q;
	struct io *under;
	bool own_event; /* q.event_fd is owned, because @under has none */
};

struct cache_link {
	struct region own;
	struct region_view peer; /* hostile */
	int wake_tx, wake_rx;
	struct chan_tx tx;
	struct chan_rx rx;
	uint64_t nr_unanswered;
	bool silent; /* an answer was late, and none has come since */
};

struct cache {
	struct pmap *pm; /* NULL: copies only */
	nodeid_t home;	 /* NODE_AUTO: not known yet */
	struct cache_source *disks[VM_MAX_CACHED]; /* in order of lookup */
	uint64_t bytes[VM_MAX_CACHED];		   /* of the image */
	uint64_t images[VM_MAX_CACHED]; /* cache_set_image(); 0: none */
	struct cache_source *retired;	/* still shown, but not looked up */
	struct cache_source *by_id[PMAP_MAX_SOURCES];
	struct cache_link *link; /* NULL: none */
	int epoll_fd, timer_fd;
	uint64_t timer_ns; /* when the timer expires; UINT64_MAX: it is off */
	uint64_t patience_ns;
	unsigned run_min;     /* CACHE_RUN_MIN; smaller in tests */
	uint32_t generation;  /* for tags */
	uint64_t last_serial; /* for sources */
	unsigned nr_waits;    /* not free */
	struct cache_wait waits[CACHE_MAX_WAITS];
	struct cache_waits free;
	struct cache_stats stats;
};

/* Take the run from @first on, one use per block. Return: blocks; 0: absent. */
unsigned cache_take(struct cache *c, unsigned disk, uint64_t first, unsigned nr,
		    struct cache_source **from);
/* Number of blocks from @first on that no node has; a hint. */
unsigned cache_absent(const struct cache *c, unsigned disk, uint64_t first,
		      unsigned nr);
/* The home node's source; NULL: it has none, or the home is not known yet. */
struct cache_source *cache_home_source(const struct cache *c, unsigned disk);
/* Is a request to the agent useful? It fills the home node's memory only. */
bool cache_can_ask(const struct cache *c, unsigned disk);
/* Count a use of a run of @s, which is not the home node's source. */
void cache_used_afar(struct cache *c, struct cache_source *s, uint64_t first,
		     unsigned nr);
/* Release the retired sources that are not shown any more. */
void cache_reap(struct cache *c);

/**
 * link_ask() - ask the agent to fill blocks, and wait
 * @w:     from link_wait_get(), free or ready
 * @nr:    1 .. CACHE_FILL_MAX
 *
 * Return: true: @w will become ready, in the list of its queue; false: it will
 * not, so read the file.
 */
MUST_CHECK bool link_ask(struct cache *c, struct cache_wait *w, uint64_t first,
			 unsigned nr);
/*
 * Announce blocks that will be read soon. Return: false: no agent takes
 * requests, or not now.
 */
bool link_ahead(struct cache *c, unsigned disk, uint64_t first, unsigned nr);
/*
 * Name blocks that are used from another node. Return: as link_ahead(); these
 * requests use at most half of the ring.
 */
bool link_replicate(struct cache *c, unsigned disk, uint64_t first,
		    unsigned nr);
/* Return: NULL: too many readers wait. */
struct cache_wait *link_wait_get(struct cache *c, struct cache_queue *q,
				 void *what);
void link_wait_put(struct cache *c, struct cache_wait *w);
/* Take the next ready wait of a queue. NULL: there is none. */
struct cache_wait *link_wait_next(struct cache_queue *q);
/* Stop waiting for the agent: the waits of one queue, or all if NULL. */
void link_give_up(struct cache *c, const struct cache_queue *q);

#endif
