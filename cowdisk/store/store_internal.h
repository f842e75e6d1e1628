/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the store share. The life of a block:
 *
 *	absent	--fill-->  filling  --read-->  present  --evicted-->  absent
 *	   ^                  |                                         |
 *	   +----- failed -----+                                       (hole)
 *
 *		    held	filling		presence bit
 *	absent	    -		-		-
 *	filling	    -		x		-
 *	present	    x		-		x
 *	left over   x		-		-
 *
 * A replica, a block that is copied from another node's store, goes from absent
 * to present at once.
 *
 * Left over: a page whose presence bit an earlier agent had cleared, or not set
 * yet, when it died. A worker may still lease it and use it. So it is evicted
 * like the others, or read once more (which changes no byte of a page that was
 * whole).
 */
#ifndef DISCO_COWDISK_STORE_INTERNAL_H
#define DISCO_COWDISK_STORE_INTERNAL_H

#include <sys/queue.h>

#include "cowdisk/base/bit_tree.h"
#include "cowdisk/store/fetch.h"
#include "cowdisk/store/store.h"
#include "numa/region.h"

#define POOL_WAITS_MAX 4096u /* requests that wait, of all stores */
#define READ_TRIES     16u   /* reads in a row that yield no whole block */
#define EVICT_LOOKS    4096u /* words per request: 1 GiB of cache */
#define LOOKS_PAID     8u    /* looks that each request pays: store_evict.c */
#define EVICT_BLOCKS   1024u /* blocks evicted for one request, in one turn */
#define SHRINK_LOOKS   1024u /* looks in one turn of shrinking */

/* A request that waits for reads; a member of its store's list. */
struct store_wait {
	LIST_ENTRY(store_wait) link;
	struct store_reader *reader;
	uint64_t first;
	uint32_t nr;
	uint32_t there; /* number of blocks, from @first, that did not fail */
	int err;	/* of the first block after those */
	bool starting;	/* its reads are being started: it is not done yet */
	uint64_t pending[CACHE_FILL_MAX / 64]; /* blocks that are being read */
	void (*done)(void *arg, uint32_t tag, uint32_t nr_there, int err);
	void *arg;
	uint32_t tag;
};

/* A run that is being read, or that waits for its turn. */
struct store_read {
	struct fetch_job job;
	STAILQ_ENTRY(store_read) link; /* in the queue of waiting reads */
	struct store *store;
	uint64_t first; /* the part that is left, in blocks */
	uint32_t nr;
	unsigned tries;
};

struct store_reader {
	struct store *store;
	struct region_view lease;
	uint64_t next;	/* block after those requested last */
	uint64_t ahead; /* block after those read ahead; @next or more */
	uint32_t row;	/* sequential blocks so far, at most CACHE_FILL_MAX */
};

struct store_peer {
	struct store *store;
	LIST_ENTRY(store_peer) link;
	int fd;				     /* of its memory, for reading */
	struct region_view memory, presence; /* hostile */
	/* [A: this agent / the peer's, memory/lease.h] */
	struct region lease;
	bool lies; /* it called a hole a block: it is not used any more */
};

struct store {
	struct pool *pool;
	LIST_ENTRY(store) link;
	int image, memory;
	bool direct;
	uint64_t bytes, nr_blocks;
	uint8_t *base;	      /* all of memory, read-write */
	lease_word *presence; /* [A: this agent / workers: memory/lease.h] */
	struct bit_tree held;
	struct bit_tree replicas; /* of those held */
	uint64_t *filling;	  /* one bit per block */
	uint64_t *referenced;	  /* requested since the hand passed */
	/* Two arrays of nr_readers, with room for readers_size. */
	struct store_reader **readers;
	const lease_word **leases;
	unsigned nr_readers, readers_size;
	LIST_HEAD(store_waits, store_wait) waits;
	LIST_HEAD(store_peers, store_peer) peers;
	unsigned nr_reads; /* in the fetcher */
};

/* Which blocks the hand of a clock passes over. */
enum clock_of { CLOCK_ALL, CLOCK_REPLICAS, NR_CLOCKS };

struct clock_hand {
	struct store *store; /* NULL: no stores */
	uint64_t block;
	uint32_t purse; /* looks that may find nothing; at most EVICT_LOOKS */
};

struct pool {
	struct fetcher *fetcher;
	uint64_t limit; /* blocks */
	bool limited;	/* the limit is known; before, nothing comes or goes */
	unsigned depth, nr_reads;
	unsigned nr_waits;
	LIST_HEAD(store_list, store) stores;
	struct clock_hand hands[NR_CLOCKS];
	bool shrinking;		/* pool_turn() evicts until the limit is met */
	unsigned shrink_rounds; /* rounds of the hand so far */
	STAILQ_HEAD(store_reads, store_read) queue; /* waiting for a turn */
	struct pool_stats stats; /* limit_blocks is not kept here */
};

/* pool_create() on a given fetcher, which the pool owns, also on error. */
MUST_CHECK int pool_create_on(struct fetcher *fetcher, uint64_t limit_bytes,
			      unsigned depth, struct pool **out);

/* --- store_evict.c --- */

/*
 * Make room for @want blocks. Uses at most EVICT_LOOKS looks, and on average at
 * most LOOKS_PAID that find nothing. Return: number of blocks that there is
 * room for, at most @want; 0 while the pool shrinks.
 */
uint32_t pool_make_room(struct pool *p, uint32_t want);

/*
 * The same for replicas: evicts replicas only, and gives no more room than
 * their part of the limit.
 */
uint32_t pool_make_replica_room(struct pool *p, uint32_t want);

/* Punch blocks whose read failed; one that cannot be punched is left over. */
void store_discard(struct store *s, uint64_t first, uint32_t nr);

/* Punch a hole. Return: 0; -errno: the pages are unchanged. */
MUST_CHECK int store_punch(struct store *s, uint64_t first, uint64_t nr);

/* --- store_fill.c --- */

/* May this range be requested? */
bool store_run_sane(const struct store *s, uint64_t first, uint32_t nr);

/*
 * If block @last is the image's last one, zero its part beyond the image's end.
 */
void store_clear_tail(struct store *s, uint64_t last);

/* Drop the reads that wait for their turn, then wait for those under way. */
void store_stop_reads(struct store *s);

/* Drop the requests of a reader, or of all readers if NULL, unanswered. */
void store_drop_waits(struct store *s, const struct store_reader *r);

#endif
