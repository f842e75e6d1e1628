/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's figures: a region (numa/region.h) on the worker's node, which the
 * worker writes and control reads while the guest runs. Reading needs no
 * request and wakes nobody; counting costs the writer one load and one store in
 * a cache line that no other thread writes.
 *
 *	part		only writer			readers
 *	magic		main thread, before vCPUs run	control
 *	io		I/O thread			control
 *	ports		whoever has the console's lock	control
 *	cache		I/O thread			control
 *	hints		I/O thread			control
 *	hint_log	I/O thread			agent of the home node
 *	samples		I/O thread			control
 *	huge		surveyor			control
 *	fault_log	thread of sampled faults	agent of the home node
 *	vcpus[n]	thread of vCPU n		control, I/O thread
 *	nets[n]		whoever has the device's lock	control
 *	pairs[n]	whoever has the device's lock	control
 *
 * Every word is a separate value, so each is stored and loaded relaxed. There
 * is no version word that would give a consistent snapshot of several words:
 * readers do not need one, and it would be a second store on every exit. A
 * reader sees each word whole, and some words newer than others.
 *
 * The region starts as zeroes. Its size and the places in it do not depend on
 * the guest: untouched pages use no memory. A change of the layout changes
 * FIGURES_MAGIC.
 */
#ifndef DISCO_MONITOR_FIGURES_H
#define DISCO_MONITOR_FIGURES_H

#include <stdatomic.h>

#include "disco/base.h"
#include "disco/fault_log.h"
#include "disco/hint_log.h"
#include "disco/limits.h"
#include "vnet/claims.h"
#include "vnet/pairs.h"

#define FIGURES_NAME  "disco-figures"
#define FIGURES_MAGIC 0x4253455255474946ull /* "FIGURESB" */

/* Reasons why KVM_RUN returned. */
enum figures_exit {
	FIGURES_IO = 0,
	FIGURES_MMIO,
	FIGURES_HLT,
	FIGURES_INTR,	  /* a signal: a kick, or one for the host */
	FIGURES_SHUTDOWN, /* triple fault */
	FIGURES_EVENT,	  /* KVM_EXIT_SYSTEM_EVENT */
	FIGURES_ERROR,	  /* internal error, failed entry, errno */
	FIGURES_OTHER,
	FIGURES_NR_EXITS
};

/* Whether the guest can go on (monitor/worker/vm/standstill.h). */
enum figures_stand {
	FIGURES_RUNS = 0,
	FIGURES_HALTED,	  /* every vCPU, with interrupts off */
	FIGURES_PANICKED, /* its kernel */
};

struct figures_vcpu {
	/* [A: vCPU thread / control, I/O thread, relaxed] */
	_Alignas(128) _Atomic(uint64_t) exits[FIGURES_NR_EXITS];
	_Atomic(uint64_t) thread; /* its number; 0: it has not started */
};

struct figures_io {
	/* [A: I/O thread / control, relaxed] */
	_Alignas(128) _Atomic(uint64_t) wakeups; /* of the loop */
	_Atomic(uint64_t) events;      /* descriptors that were ready */
	_Atomic(uint64_t) freed_pages; /* of guest RAM, returned to the host */
	_Atomic(uint64_t) stand;       /* enum figures_stand, now */
	/*
	 * Ports of the virtio console that the guest has open: bit n is port
	 * n of disco/guest_ports.h. [A: under the console's lock / control]
	 */
	_Atomic(uint64_t) ports;
};

/*
 * Values of the cache (cowdisk/cache/cache.h) and of the pmap, as the I/O
 * thread stored them last: counts, and current sizes.
 */
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
	FIGURES_MAPPINGS,    /* mappings of overlays, of the budget */
	FIGURES_REMOTE_BLOCKS,
	FIGURES_BROUGHT_PAGES,	/* replaced by pages of a nearer node */
	FIGURES_BROUGHT_NS,	/* longest stop of the guest for that */
	FIGURES_PMEM_FAULTS,	/* in pmem disks, handled by the worker */
	FIGURES_PMEM_CONTINUED, /* pages of pmem disks mapped from the cache */
	FIGURES_PMEM_COPIED,	/* pages of pmem disks read from the file */
	FIGURES_MERGED_PAGES,	/* shown from a layer, in total */
	FIGURES_ZERO_PAGES,	/* of zeroes, given back, in total */
	FIGURES_MERGED_NS,	/* longest stop of the guest for both */
	/* Of references in frames (monitor/worker/net/refs.h), in total. */
	FIGURES_REFS_SENT,     /* blocks */
	FIGURES_REFS_RECEIVED, /* blocks */
	FIGURES_REFS_DROPPED,  /* of them: no cache has it, or no room */
	FIGURES_REFS_WRONG,    /* of them: no page is equal */
	FIGURES_REFS_MERGED,   /* pages shown by them */
	FIGURES_REFS_NS,       /* longest stop of the guest for that */
	FIGURES_NR_CACHE
};

struct figures_cache {
	/* [A: I/O thread / control, relaxed] */
	_Alignas(128) _Atomic(uint64_t) words[FIGURES_NR_CACHE];
};

/*
 * Of a network of the VM: struct vnet_stats (vnet/port.h), in its order, and the
 * words of its claims (vnet/claims.h).
 */
#define FIGURES_NET_CLAIMS 16u
#define FIGURES_NET_WORDS  (FIGURES_NET_CLAIMS + VNET_CLAIM_WORDS)

struct figures_net {
	/* [A: under the device's lock / control, relaxed] */
	_Alignas(128) _Atomic(uint64_t) words[FIGURES_NET_WORDS];
};

/* Values of guest-hints/host/hints.h, in total. */
enum figures_hints_word {
	FIGURES_HINTS_KINDS = 0,    /* entries; and on, by enum hints_kind */
	FIGURES_HINTS_REFUSED = 16, /* entries of no use */
	FIGURES_HINTS_FREED_PAGES,
	FIGURES_HINTS_COLD_PAGES,
	FIGURES_HINTS_MERGE_PAGES,
	FIGURES_HINTS_SLOWED, /* times that the guest had to wait */
	FIGURES_HINTS_BROKEN, /* times that its ring was */
	FIGURES_HINTS_SPENT_NS,
	FIGURES_NR_HINTS
};

struct figures_hints {
	/* [A: I/O thread / control, relaxed] */
	_Alignas(128) _Atomic(uint64_t) words[FIGURES_NR_HINTS];
};

/*
 * Values of memory/sampling/page_traps.h, in total; where writes are sampled, of
 * memory/sampling/dirty_log.h: pages whose bits were cleared, and that were written.
 */
enum figures_samples_word {
	FIGURES_SAMPLES_SET = 0, /* pages that were unmapped */
	FIGURES_SAMPLES_SKIPPED, /* that were tried, and left out */
	FIGURES_SAMPLES_FAULTS,	 /* that were accessed then */
	FIGURES_SAMPLES_EXPIRED, /* that were not */
	FIGURES_SAMPLES_FAILED,	 /* that the kernel refused to unmap */
	FIGURES_SAMPLES_NOBODYS, /* accessed by no vCPU: by devices and others */
	FIGURES_SAMPLES_SPENT_NS, /* CPU time of all of this */
	FIGURES_NR_SAMPLES
};

struct figures_samples {
	/* [A: I/O thread / control, relaxed] */
	_Alignas(128) _Atomic(uint64_t) words[FIGURES_NR_SAMPLES];
};

/* Values of memory/ram_huge.h, as of the last survey. */
enum figures_huge_word {
	FIGURES_HUGE_BYTES = 0, /* in huge pages, now */
	FIGURES_HUGE_SPLITS,
	FIGURES_HUGE_COLLAPSES,
	FIGURES_HUGE_ABORTED,
	FIGURES_NR_HUGE
};

struct figures_huge {
	/* [A: surveyor / control, relaxed] */
	_Alignas(128) _Atomic(uint64_t) words[FIGURES_NR_HUGE];
};

struct figures {
	/* [A: main thread / control, relaxed] */
	_Alignas(128) _Atomic(uint64_t) magic;
	struct figures_io io;
	struct figures_cache cache;
	struct figures_vcpu vcpus[VM_MAX_VCPUS];
	struct figures_net nets[VM_MAX_NETS];
	struct figures_hints hints;
	struct hint_log hint_log;
	struct figures_samples samples;
	struct fault_log fault_log;
	struct figures_huge huge;
	/* Of each network: a page, which is there once it has sent. */
	_Alignas(
		PAGE_BYTES) struct vnet_pair_row pairs[VM_MAX_NETS][VNET_PAIRS];
};

_Static_assert(sizeof(struct figures_vcpu) == 128, "shared layout");
_Static_assert(offsetof(struct figures, io) == 128, "shared layout");
_Static_assert(offsetof(struct figures, cache) == 256, "shared layout");
_Static_assert(offsetof(struct figures, vcpus) == 512, "shared layout");

#define FIGURES_BYTES                                                          \
	((sizeof(struct figures) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES)

/* Add @more to a count. Context: the only writer of @count. */
static inline void figures_count(_Atomic(uint64_t) *count, uint64_t more)
{
	uint64_t now = atomic_load_explicit(count, memory_order_relaxed);

	atomic_store_explicit(count, now + more, memory_order_relaxed);
}

/* Set a value. Context: the only writer of @count. */
static inline void figures_set(_Atomic(uint64_t) *count, uint64_t value)
{
	atomic_store_explicit(count, value, memory_order_relaxed);
}

#endif
