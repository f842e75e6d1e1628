/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses of a guest that its worker has sampled: by faults; or writes, by KVM's
 * dirty log, as the worker's specification says. A log that the worker writes, in
 * the region of its figures, and the agent of the VM's node reads. A reader that is
 * too slow loses the oldest. Of a write, .kind is FAULT_LOG_WRITE, .latency_ns the
 * time that it was looked for, and nobody knows its CPU or vCPU.
 *
 * Order of accesses: stamp.h. The writer may be hostile: readers check what they
 * have read.
 */
#ifndef DISCO_FAULT_LOG_H
#define DISCO_FAULT_LOG_H

#include <stdatomic.h>

#include "disco/base.h"
#include "disco/stamp.h"

#define FAULT_LOG_ENTRIES 1024u /* a power of two */
#define FAULT_LOG_NO_VCPU UINT16_MAX
#define FAULT_LOG_READ	  0u /* enum policy_kind */
#define FAULT_LOG_WRITE	  1u
#define FAULT_LOG_UNKNOWN 2u

/* One of them, as values. */
struct fault_record {
	uint64_t page;	     /* of RAM: its number in the memfd */
	uint64_t latency_ns; /* from when it was unmapped to the access */
	/*
	 * Where it was accessed from: lowest and highest number of the host
	 * CPUs that the accessing thread may run on.
	 */
	uint16_t cpu_first, cpu_last;
	uint16_t vcpu; /* FAULT_LOG_NO_VCPU: KVM's own thread took the fault */
	uint8_t kind;  /* FAULT_LOG_READ, _WRITE, _UNKNOWN */
	uint8_t again; /* 1: the second look at the page, soon after the first */
};

/* [A: thread that takes the faults, or the I/O thread, of writes / agent] */
struct fault_log_entry {
	_Atomic(uint64_t) stamp;
	_Atomic(uint64_t) page;
	_Atomic(uint64_t) latency_ns;
	/* cpu_first, cpu_last, vcpu: 16 bits each; kind, again; lowest first */
	_Atomic(uint64_t) what;
};

struct fault_log {
	/* [A: the same thread / agent, release, acquire] entries so far */
	_Alignas(128) _Atomic(uint64_t) written;
	_Alignas(128) struct fault_log_entry entries[FAULT_LOG_ENTRIES];
};

_Static_assert(sizeof(struct fault_log_entry) == 32, "shared layout");
_Static_assert(sizeof(struct fault_log) == 128 + 32 * FAULT_LOG_ENTRIES,
	       "shared layout");

/* Context: the only writer. */
static inline void fault_log_add(struct fault_log *l,
				 const struct fault_record *r)
{
	uint64_t n = atomic_load_explicit(&l->written, memory_order_relaxed);
	struct fault_log_entry *e = &l->entries[n % FAULT_LOG_ENTRIES];
	uint64_t what = r->cpu_first | (uint64_t)r->cpu_last << 16 |
			(uint64_t)r->vcpu << 32 | (uint64_t)r->kind << 48 |
			(uint64_t)r->again << 56;

	stamp_begin(&e->stamp);
	atomic_store_explicit(&e->page, r->page, memory_order_relaxed);
	atomic_store_explicit(&e->latency_ns, r->latency_ns,
			      memory_order_relaxed);
	atomic_store_explicit(&e->what, what, memory_order_relaxed);
	stamp_end(&e->stamp, n);
	atomic_store_explicit(&l->written, n + 1, memory_order_release);
}

static inline bool fault_log_load(const struct fault_log_entry *e, uint64_t n,
				  struct fault_record *out)
{
	uint64_t what;

	if (!stamp_is(&e->stamp, n))
		return false;
	what = atomic_load_explicit(&e->what, memory_order_relaxed);
	*out = (struct fault_record){
		.page = atomic_load_explicit(&e->page, memory_order_relaxed),
		.latency_ns = atomic_load_explicit(&e->latency_ns,
						   memory_order_relaxed),
		.cpu_first = (uint16_t)what,
		.cpu_last = (uint16_t)(what >> 16),
		.vcpu = (uint16_t)(what >> 32),
		.kind = (uint8_t)(what >> 48),
		.again = (uint8_t)(what >> 56),
	};
	return stamp_still(&e->stamp, n);
}

/**
 * fault_log_take() - the next entry that a reader has not read
 * @next: in, out: its number; 0 at first
 * @lost: increased by the entries that were overwritten
 *
 * Context: one reader per @next; lock-free; FAULT_LOG_ENTRIES steps at most.
 * Return: whether there was one.
 */
static inline bool fault_log_take(const struct fault_log *l, uint64_t *next,
				  uint64_t *lost, struct fault_record *out)
{
	uint64_t end = atomic_load_explicit(&l->written, memory_order_acquire);

	stamp_catch_up(end, FAULT_LOG_ENTRIES, next, lost);
	while (*next < end) {
		uint64_t n = (*next)++;

		if (fault_log_load(&l->entries[n % FAULT_LOG_ENTRIES], n, out))
			return true;
		(*lost)++;
	}
	return false;
}

#endif
