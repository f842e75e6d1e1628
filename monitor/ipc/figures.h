/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's figures: a region (numa/region.h) of its node that the worker
 * writes and control reads while the guest runs. Nobody asks and nobody is
 * woken: a count costs the writer a load and a store in a cache line that no
 * other writer has.
 *
 *	block		only writer	readers
 *	magic		main thread, before the vCPUs run	control
 *	io		I/O thread	control
 *	cache		I/O thread	control
 *	vcpus[n]	thread of vCPU n	control, I/O thread
 *
 * Every word is a count of its own that only grows, so each is stored and
 * loaded relaxed, and this is no table of publish.h: what that adds, several
 * words of one moment, nobody asks of counts, and its version word would be a
 * second store on every exit. A reader sees each word whole, and some of them
 * newer than others.
 *
 * It starts as zeroes. Its size and places do not depend on the guest: pages
 * that nobody touches are not there. The layout is a part of magic.
 */
#ifndef DISCO_MONITOR_FIGURES_H
#define DISCO_MONITOR_FIGURES_H

#include <stdatomic.h>

#include "disco/base.h"
#include "disco/limits.h"

#define FIGURES_NAME  "disco-figures"
#define FIGURES_MAGIC 0x3453455255474946ull /* "FIGURES4" */

/* Why KVM_RUN returned. */
enum figures_exit {
	FIGURES_IO = 0,
	FIGURES_MMIO,
	FIGURES_HLT,
	FIGURES_INTR,	  /* a signal: kicked, or woken for the host */
	FIGURES_SHUTDOWN, /* triple fault */
	FIGURES_EVENT,	  /* KVM_EXIT_SYSTEM_EVENT */
	FIGURES_ERROR,	  /* internal error, failed entry, errno */
	FIGURES_OTHER,
	FIGURES_NR_EXITS
};

struct figures_vcpu {
	/* [A: vCPU thread / control, I/O thread, relaxed] */
	_Alignas(128) _Atomic(uint64_t) exits[FIGURES_NR_EXITS];
};

struct figures_io {
	/* [A: I/O thread / control, relaxed] */
	_Alignas(128) _Atomic(uint64_t) wakeups; /* of the loop */
	_Atomic(uint64_t) events;      /* descriptors that were ready */
	_Atomic(uint64_t) freed_pages; /* of guest RAM, given to the host */
};

/* Of cowdisk/cache/cache.h, and of the pmap, as they were when it last had a look:
 * sizes as well as counts. */
enum figures_cache_word {
	FIGURES_HIT_BLOCKS = 0,
	FIGURES_OVERLAID_BLOCKS,
	FIGURES_MISSED_BLOCKS,
	FIGURES_DIRECT_BLOCKS,
	FIGURES_ASKED,
	FIGURES_LOST,
	FIGURES_LATE,
	FIGURES_DEPTH,	     /* requests that the agent has not taken */
	FIGURES_SHOWN_PAGES, /* overlays now */
	FIGURES_MAPPINGS,    /* they take, of the budget */
	FIGURES_REMOTE_BLOCKS,
	FIGURES_BROUGHT_PAGES,	/* changed for pages of a nearer node */
	FIGURES_BROUGHT_NS,	/* the longest that stopped the guest */
	FIGURES_PMEM_FAULTS,	/* of pmem disks, told to us */
	FIGURES_PMEM_CONTINUED, /* their pages mapped from the cache */
	FIGURES_PMEM_COPIED,	/* and read from the file after all */
	FIGURES_MERGED_PAGES,	/* shown from a layer, ever */
	FIGURES_ZERO_PAGES,	/* of zeroes, given back, ever */
	FIGURES_MERGED_NS, /* the longest that stopped the guest for both */
	FIGURES_NR_CACHE
};

struct figures_cache {
	/* [A: I/O thread / control, relaxed] */
	_Alignas(128) _Atomic(uint64_t) words[FIGURES_NR_CACHE];
};

struct figures {
	/* [A: main thread / control, relaxed] */
	_Alignas(128) _Atomic(uint64_t) magic;
	struct figures_io io;
	struct figures_cache cache;
	struct figures_vcpu vcpus[VM_MAX_VCPUS];
};

_Static_assert(sizeof(struct figures_vcpu) == 128, "shared layout");
_Static_assert(offsetof(struct figures, io) == 128, "shared layout");
_Static_assert(offsetof(struct figures, cache) == 256, "shared layout");
_Static_assert(offsetof(struct figures, vcpus) == 512, "shared layout");

#define FIGURES_BYTES                                                          \
	((sizeof(struct figures) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES)

/* One more. Context: the only writer of @count. */
static inline void figures_count(_Atomic(uint64_t) *count, uint64_t more)
{
	uint64_t now = atomic_load_explicit(count, memory_order_relaxed);

	atomic_store_explicit(count, now + more, memory_order_relaxed);
}

/* Context: the only writer of @count. */
static inline void figures_set(_Atomic(uint64_t) *count, uint64_t value)
{
	atomic_store_explicit(count, value, memory_order_relaxed);
}

#endif
