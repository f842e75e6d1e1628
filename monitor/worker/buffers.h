/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffer cache in a worker (cowdisk/cache.h): what control asks for, when
 * pages that the guest has written are given up, and what is counted.
 *
 * Threads: the I/O thread, but for the creation.
 */
#ifndef DISCO_MONITOR_BUFFERS_H
#define DISCO_MONITOR_BUFFERS_H

#include "cowdisk/cache.h"
#include "disco/worker_spec.h"
#include "monitor/dev/dev_host.h"

struct disk;
struct vm;

struct buffers {
	struct vm *vm; /* [I] */
	struct cache *cache;
	struct io_watch ready, timer;
	nodeid_t home;	     /* the cache's; NODE_AUTO: not linked yet */
	int pagemap;	     /* [I] of this process */
	uint64_t overlaid;   /* blocks ever, when it was swept last */
	uint64_t left;	     /* guest pages of this sweep */
	unsigned prefetches; /* that are left, before a move ends */
	bool timed;	     /* the timer runs */
};

/**
 * buffers_create() - a cache without images and agent
 * @vm: with its memory and its loop; outlives it
 *
 * Context: start of the worker, before the sandbox.
 * Return: 0; -errno of cache_create(), open() and timerfd_create().
 */
MUST_CHECK int buffers_create(struct buffers *b, struct vm *vm);

/**
 * buffers_obey() - WORKER_REQ_CACHE, _CACHE_END, _LINK and _UNLINK
 * @fds: of the message, -1 for those that did not come; owned by it
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
