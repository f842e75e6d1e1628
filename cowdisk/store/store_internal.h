/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the store share. The life of a block:
 *
 *	absent	--fill-->  filling  --read-->  there  --evicted-->  absent
 *	   ^                  |                                       |
 *	   +----- failed -----+                                     (hole)
 *
 *		    held	filling		presence bit
 *	absent	    -		-		-
 *	filling	    -		x		-
 *	there	    x		-		x
 *	left over   x		-		-
 *
 * There is also what was copied from another node's store, a replica: from
 * absent to there at once.
 *
 * Left over: a page whose bit a former agent had cleared, or not set yet, when
 * it died. Whoever had leased it uses it still, so it is evicted like the
 * others, or read once more (which changes no byte of a page that was whole).
 */
#ifndef DISCO_COWDISK_STORE_INTERNAL_H
#define DISCO_COWDISK_STORE_INTERNAL_H

#include <sys/queue.h>

#include "cowdisk/base/bit_tree.h"
#include "cowdisk/store/fetch.h"
#include "cowdisk/store/store.h"
#include "numa/region.h"

#define POOL_WAITS_MAX 4096u /* requests that wait, of all stores */
#define READ_TRIES     16u   /* reads in a row that bring no whole block */
#define EVICT_LOOKS    4096u /* for one request, at words: 1 GiB of cache */
#define LOOKS_PAID     8u    /* by each: see store_evict.c */
#define EVICT_BLOCKS   1024u /* evicted for one request, in one turn */
#define SHRINK_LOOKS   1024u /* in one turn */

/* A request that waits for reads. In its store's list. */
struct store_wait {
	LIST_ENTRY(store_wait) link;
	struct store_reader *reader;
	uint64_t first;
	uint32_t nr;
	uint32_t there; /* the first so many have not failed */
	int err;	/* of the one after those */
	bool starting;	/* its reads are: it is not over yet */
	uint64_t pending[CACHE_FILL_MAX / 64]; /* blocks that are being read */
	void (*done)(void *arg, uint32_t tag, uint32_t nr_there, int err);
	void *arg;
	uint32_t tag;
};

/* A run that is being read, or waits for its turn. */
struct store_read {
	struct fetch_job job;
	STAILQ_ENTRY(store_read) link; /* while it waits */
	struct store *store;
	uint64_t first; /* what is left of it, in blocks */
	uint32_t nr;
	unsigned tries;
};

struct store_reader {
	struct store *store;
	struct region_view lease;
	uint64_t next;	/* block after those asked for last */
	uint64_t ahead; /* after those read ahead; @next or more */
	uint32_t row;	/* blocks asked for in a row, at most CACHE_FILL_MAX */
};

struct store_peer {
	struct store *store;
	LIST_ENTRY(store_peer) link;
	int fd;				     /* of its memory, for reading */
	struct region_view memory, presence; /* hostile */
	/* [A: this agent / the peer's, memory/lease.h] */
	struct region lease;
	bool lies; /* said that a hole is a block: not asked any more */
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
	uint64_t *filling;	  /* a bit a block */
	uint64_t *referenced;	  /* asked for since the hand came by */
	/* Two arrays of nr_readers, with room for readers_size. */
	struct store_reader **readers;
	const lease_word **leases;
	unsigned nr_readers, readers_size;
	LIST_HEAD(store_waits, store_wait) waits;
	LIST_HEAD(store_peers, store_peer) peers;
	unsigned nr_reads; /* given to the fetcher */
};

/* Which blocks a hand of the clock goes over. */
enum clock_of { CLOCK_ALL, CLOCK_REPLICAS, NR_CLOCKS };

struct clock_hand {
	struct store *store; /* NULL: no stores */
	uint64_t block;
	uint32_t purse; /* looks that may gain nothing; at most EVICT_LOOKS */
};

struct pool {
	struct fetcher *fetcher;
	uint64_t limit; /* blocks */
	bool limited;	/* it was told so: until then nothing comes or goes */
	unsigned depth, nr_reads;
	unsigned nr_waits;
	LIST_HEAD(store_list, store) stores;
	struct clock_hand hands[NR_CLOCKS];
	bool shrinking; /* pool_turn() does, until it is as small as it gets */
	unsigned shrink_rounds;			    /* of the hand, so far */
	STAILQ_HEAD(store_reads, store_read) queue; /* waiting for their turn */
	struct pool_stats stats; /* limit_blocks is not kept here */
};

/* pool_create() with another fetcher, which is the pool's, success or not. */
MUST_CHECK int pool_create_on(struct fetcher *fetcher, uint64_t limit_bytes,
			      unsigned depth, struct pool **out);

/* --- store_evict.c --- */

/* Have room for @want blocks. Return: how many there is room for, at most so
 * many. At most EVICT_LOOKS looks, on average LOOKS_PAID for nothing. None
 * while the pool shrinks. */
uint32_t pool_make_room(struct pool *p, uint32_t want);

/*
 * The same for replicas, by evicting replicas alone, and for no more than their
 * part of the limit.
 */
uint32_t pool_make_replica_room(struct pool *p, uint32_t want);

/* Give back what failed to be read; where it cannot be: it is left over. */
void store_discard(struct store *s, uint64_t first, uint32_t nr);

/* Make a hole. Return: 0; -errno: the pages are as they were. */
MUST_CHECK int store_punch(struct store *s, uint64_t first, uint64_t nr);

/* --- store_fill.c --- */

/* Is it a range that may be asked for? */
bool store_run_sane(const struct store *s, uint64_t first, uint32_t nr);

/* The part of block @last beyond the image's end, if it is there, is zero. */
void store_clear_tail(struct store *s, uint64_t last);

/* What waits for its turn goes; then wait for what is under way. */
void store_stop_reads(struct store *s);

/* Its requests, of all readers when NULL, are not answered any more. */
void store_drop_waits(struct store *s, const struct store_reader *r);

#endif
