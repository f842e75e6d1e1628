/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffer cache in a worker (cowdisk/cache/cache.h): what control asks for, when
 * pages that the guest has written are given up, when those that are shown
 * from another node give way to copies on this one, and what is counted.
 *
 * Copies: for BUFFERS_LOOKS seconds after pages were shown, those shown from
 * another node are counted as used once a second. What has a copy here then is
 * shown from here. A vCPU that writes between the look at pagemap and the new
 * mapping would lose what it wrote, so the vCPUs are stopped meanwhile, and no
 * disk may have a request under way (else another time): for BUFFERS_BRING_NS
 * and one run of pages, at most every BUFFERS_BRING_MS.
 *
 * Threads: the I/O thread, but for the creation.
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
	uint64_t overlaid;	/* blocks ever, when it was swept last */
	uint64_t left;		/* guest pages of this sweep */
	uint64_t next_sweep_ns; /* not before */
	unsigned prefetches;	/* that are left, before a move ends */
	unsigned looks;		/* for pages shown from afar, that are left */
	bool bringing;		/* pages nearer; not all were looked at */
	uint64_t bring_at;	/* guest pages before it were */
	uint64_t brought, longest_ns; /* pages, ever; it was stopped */
	bool timed;		      /* the timer runs */
};

/**
 * buffers_create() - a cache without images and agent
 * @vm:    with its memory and its loop; outlives it
 * @disks: of the VM, may be added later; outlive it
 *
 * Context: start of the worker, before the sandbox.
 * Return: 0; -errno of cache_create(), open() and timerfd_create().
 */
MUST_CHECK int buffers_create(struct buffers *b, struct vm *vm,
			      const struct disks *disks);

/**
 * buffers_obey() - WORKER_REQ_CACHE, _CACHE_END, _LINK and _UNLINK
 * @r:   checked
 * @fds: those of its kind; owned by it
 *
 * What cannot be done is said on standard error: disks are read without the
 * cache then.
 */
void buffers_obey(struct buffers *b, const struct worker_request *r,
		  const int fds[4]);

/* Publish the figures. Context: after each turn of the loop. */
void buffers_turned(struct buffers *b);

/* All that is shown is on the home node now, or was copied. */
void buffers_moved(struct buffers *b);

#endif
