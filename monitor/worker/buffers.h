/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffer cache in a worker (cowdisk/cache/cache.h): handles control's
 * requests, releases pages that the guest has written, replaces pages that are
 * shown from another node by copies on the home node, and counts.
 *
 * Copies: for BUFFERS_LOOKS seconds after pages were shown, pages shown from
 * another node are counted as used once per second. Those that have a copy on
 * the home node by then are shown from there. A vCPU that writes between the
 * reading of pagemap and the new mapping would lose its write. So the vCPUs are
 * stopped meanwhile, for BUFFERS_BRING_NS and one run of pages, at most every
 * BUFFERS_BRING_MS, and only while no disk request is under way (otherwise it
 * is tried again later).
 *
 * Context of all functions but buffers_create(): the I/O thread.
 */
#ifndef DISCO_MONITOR_BUFFERS_H
#define DISCO_MONITOR_BUFFERS_H

#include "cowdisk/cache/cache.h"
#include "disco/worker_spec.h"
#include "monitor/dev/platform/dev_host.h"

#define BUFFERS_LOOKS	 10u
#define BUFFERS_BRING_MS 50
#define BUFFERS_BRING_NS 2000000ull

struct disks;
struct vm;

struct buffers {
	struct vm *vm;		   /* [I] */
	const struct disks *disks; /* [I] */
	struct cache *cache;
	struct io_watch ready, timer;
	nodeid_t home;		/* the cache's; NODE_AUTO: not linked yet */
	int pagemap;		/* [I] of this process */
	uint64_t overlaid;	/* blocks shown in total, at the last sweep */
	uint64_t left;		/* guest pages left of this sweep */
	uint64_t next_sweep_ns; /* earliest time of the next sweep */
	unsigned prefetches;	/* left, before a move ends */
	unsigned looks;		/* scans left for pages shown from afar */
	bool bringing;		/* replacing pages; not all were scanned */
	uint64_t bring_at;	/* guest pages before it were scanned */
	uint64_t brought, longest_ns; /* pages, in total; longest stop */
	bool timed;		      /* the timer runs */
};

/**
 * buffers_create() - create a cache without images and agent
 * @vm:    with its memory and its loop; outlives the buffers
 * @disks: of the VM, may be added later; outlive the buffers
 *
 * Context: start of the worker, before the sandbox.
 * Return: 0; -errno of cache_create(), open() and timerfd_create().
 */
MUST_CHECK int buffers_create(struct buffers *b, struct vm *vm,
			      const struct disks *disks);

/**
 * buffers_obey() - handle WORKER_REQ_CACHE, _CACHE_END, _LINK and _UNLINK
 * @r:   checked
 * @fds: descriptors of the message's kind; owned by the buffers
 *
 * Reports failures on standard error; disks are then read without the cache.
 */
void buffers_obey(struct buffers *b, const struct worker_request *r,
		  const int fds[4]);

/* Publish the figures. Context: after each turn of the loop. */
void buffers_turned(struct buffers *b);

/* After a move: all shown pages are on the home node now, or were copied. */
void buffers_moved(struct buffers *b);

#endif
