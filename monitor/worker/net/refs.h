/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's part in references (vnet/refs.h): finds them for frames that its
 * guest sends, and follows those that came with frames that its guest got, so that
 * what the guest has copied into its page cache is shown from the buffer cache.
 *
 * SENDING. A page that is an overlay of the buffer cache (memory/pmap.h) is a block
 * of that image, unless the guest has written to it since the last sweep: then the
 * reference is wrong, and the receiver finds out. A frame carries references to
 * pages of which it has at least half.
 *
 * RECEIVING. Where the bytes of a block went is not known: Linux copies them from
 * the buffers that the device fills into pages of a file, and reuses the buffers.
 * So a reference is kept in a ring, and found again by contents:
 *
 *	waits	  for REFS_WAIT_MS, as the guest has to copy first
 *	indexes	  each block of the ring is leased, and a sample of REFS_SAMPLE of
 *		  its bytes goes into a table of hashes
 *	scans	  each page of the guest that is its own (pmap_own()) is sampled.
 *		  One whose sample is in the table is compared with that block, and
 *		  with the vCPUs parked and no disk request under way once more; if
 *		  all bytes are equal it is shown from the cache, as a disk's read
 *		  would have shown it, and its own memory is given back
 *
 * That is a *pass*. A reference that has found no page in REFS_TRIES passes is
 * forgotten.
 *
 * BOUNDS, whatever peers send:
 *  1. The ring has REFS_MAX places; the oldest reference is dropped for a new one.
 *     Its memory, 3 MiB, goes when it is empty.
 *  2. A pass takes at most REFS_STEP_NS of the I/O thread per REFS_STEP_MS, and
 *     compares REFS_CHAIN blocks with a page at most. The guest is stopped only for
 *     pages that were found equal, for PARK_MERGE_NS and one run, at most every
 *     PARK_MERGE_MS (monitor/worker/vm/pause.h).
 *  3. Passes are REFS_WAIT_MS apart; each that shows no page doubles that, up to
 *     REFS_WAIT_MAX_MS, and one that does sets it back.
 *  4. A reference is never trusted: nothing is shown that was not compared. Its
 *     image must be one that control has given this worker: of VMs of the same
 *     group that ask for merging (monitor/control/guests/caches.h). So what can be
 *     learned from how long a page takes to write is learned within that group.
 *  5. Mappings: half of the pmap's budget, as for merging.
 *
 * Of a block at most REFS_HITS pages per pass are shown. Blocks whose sample is all
 * zeroes are left out, as pages of zeroes are given back by merging, and one block
 * must not take the mappings of all of these.
 *
 * Context of all functions but refs_create(): the I/O thread.
 */
#ifndef DISCO_MONITOR_WORKER_REFS_H
#define DISCO_MONITOR_WORKER_REFS_H

#include "cowdisk/cache/cache.h"
#include "monitor/dev/net/virtio_net.h"
#include "monitor/dev/platform/dev_host.h"

#define REFS_MAX	 131072u /* blocks: 512 MiB; a power of two */
#define REFS_BUCKETS	 65536u	 /* a power of two */
#define REFS_CHAIN	 8u
#define REFS_HITS	 4u
#define REFS_TRIES	 3u
#define REFS_PART	 (PAGE_BYTES / 2) /* bytes of a page in a frame */
#define REFS_CHUNK	 512u		  /* pages, or references, at a time */
#define REFS_SAMPLE	 256u		  /* bytes of a page */
#define REFS_STEP_NS	 500000ull
#define REFS_STEP_MS	 5
#define REFS_WAIT_MS	 1000
#define REFS_WAIT_MAX_MS 64000

struct vm;

struct refs_stats {
	/* Blocks, in total. received: dropped, wrong, found, or in the ring. */
	uint64_t sent, received;
	uint64_t dropped;    /* of no known image, in no cache, or no room */
	uint64_t wrong;	     /* no page was found equal */
	uint64_t merged;     /* pages that are shown by references, in total */
	uint64_t longest_ns; /* longest stop of the guest for that */
};

enum refs_state { REFS_IDLE = 0, REFS_WAITS, REFS_INDEXES, REFS_SCANS };

struct ref {
	uint32_t block;
	uint32_t sample; /* 0: it is not in the table */
	uint32_t next;	 /* in its bucket */
	uint8_t disk;
	uint8_t tries; /* passes that were in vain */
	uint8_t hits;  /* pages shown in this pass */
	bool again;    /* another one is of the same block */
};

_Static_assert(sizeof(struct ref) == 16, "3 MiB in all");

struct refs {
	struct vm *vm;	     /* [I] */
	struct cache *cache; /* [I] */
	int pagemap;	     /* [I] of this process; not owned */
	/* [I] Is no request of a disk under way? */
	bool (*rests)(void *arg);
	void *arg; /* [I] */
	struct io_watch timer;
	enum refs_state state;
	struct ref *ring;	    /* REFS_MAX of them; NULL: not now */
	uint32_t *buckets;	    /* after the ring: where in it; or none */
	uint32_t head, nr;	    /* the oldest one, and how many there are */
	uint32_t of_pass;	    /* that this pass is for: the oldest ones */
	uint32_t indexed;	    /* of these */
	uint32_t sampled;	    /* of these: that are in the table */
	uint64_t at;		    /* page at which the scan goes on */
	uint32_t match[REFS_CHUNK]; /* of the pages from @at on: in the ring */
	unsigned refused;	    /* times in a row that disks did not rest */
	uint64_t gained;	    /* pages shown in this pass */
	unsigned wait_ms;	    /* after this pass */
	uint64_t next_ns;	    /* the next pass is not before that */
	struct refs_stats stats;
};

/**
 * refs_create() - no references are known yet
 * @vm, @cache: outlive @r; of the same guest memory
 * @pagemap:    descriptor of /proc/self/pagemap; outlives @r
 * @rests:      see struct refs; @arg: passed to it
 *
 * Context: start of the worker, before the sandbox. Return: 0; -errno of
 * timerfd_create() and epoll_ctl().
 */
MUST_CHECK int refs_create(struct refs *r, struct vm *vm, struct cache *cache,
			   int pagemap, bool (*rests)(void *arg), void *arg);

/* For virtio_net_use_refs(), with @r as their argument. */
extern const struct net_refs_ops refs_ops;

/* Publish the figures. Context: after each turn of the loop. */
void refs_turned(struct refs *r);

#endif
