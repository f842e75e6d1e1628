/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hints of a guest that are records for the placement engine: a log that the
 * worker writes, in the region of its figures, and the agent of the VM's node
 * reads. A reader that is too slow loses the oldest.
 *
 * Order of accesses: stamp.h. The writer may be hostile: readers check what they
 * have read.
 */
#ifndef DISCO_HINT_LOG_H
#define DISCO_HINT_LOG_H

#include <stdatomic.h>

#include "disco/base.h"
#include "disco/stamp.h"

#define HINT_LOG_ENTRIES 512u /* a power of two */
#define HINT_LOG_NO_NODE UINT8_MAX

/* One of them, as values. */
struct hint_record {
	uint64_t page; /* guest frame */
	uint32_t pages;
	uint16_t vcpu; /* HINTS_ANY_VCPU: of none */
	uint8_t kind;  /* enum hints_kind of guest-hints/abi */
	uint8_t node;  /* number of the vCPU's home; HINT_LOG_NO_NODE */
	uint64_t arg;
};

/* [A: I/O thread / agent, as above] */
struct hint_log_entry {
	_Atomic(uint64_t) stamp;
	_Atomic(uint64_t) page;
	_Atomic(uint64_t) what; /* pages, vcpu, kind, node; lowest first */
	_Atomic(uint64_t) arg;
};

struct hint_log {
	/* [A: I/O thread / agent, release, acquire] entries so far */
	_Alignas(128) _Atomic(uint64_t) written;
	_Alignas(128) struct hint_log_entry entries[HINT_LOG_ENTRIES];
};

_Static_assert(sizeof(struct hint_log_entry) == 32, "shared layout");
_Static_assert(sizeof(struct hint_log) == 256 - 128 + 32 * HINT_LOG_ENTRIES,
	       "shared layout");

/* Context: the only writer. */
static inline void hint_log_add(struct hint_log *l, const struct hint_record *r)
{
	uint64_t n = atomic_load_explicit(&l->written, memory_order_relaxed);
	struct hint_log_entry *e = &l->entries[n % HINT_LOG_ENTRIES];
	uint64_t what = r->pages | (uint64_t)r->vcpu << 32 |
			(uint64_t)r->kind << 48 | (uint64_t)r->node << 56;

	stamp_begin(&e->stamp);
	atomic_store_explicit(&e->page, r->page, memory_order_relaxed);
	atomic_store_explicit(&e->what, what, memory_order_relaxed);
	atomic_store_explicit(&e->arg, r->arg, memory_order_relaxed);
	stamp_end(&e->stamp, n);
	atomic_store_explicit(&l->written, n + 1, memory_order_release);
}

static inline bool hint_log_load(const struct hint_log_entry *e, uint64_t n,
				 struct hint_record *out)
{
	uint64_t what;

	if (!stamp_is(&e->stamp, n))
		return false;
	what = atomic_load_explicit(&e->what, memory_order_relaxed);
	*out = (struct hint_record){
		.page = atomic_load_explicit(&e->page, memory_order_relaxed),
		.pages = (uint32_t)what,
		.vcpu = (uint16_t)(what >> 32),
		.kind = (uint8_t)(what >> 48),
		.node = (uint8_t)(what >> 56),
		.arg = atomic_load_explicit(&e->arg, memory_order_relaxed),
	};
	return stamp_still(&e->stamp, n);
}

/**
 * hint_log_take() - the next entry that a reader has not read
 * @next: in, out: its number; 0 at first
 * @lost: increased by the entries that were overwritten
 *
 * Context: one reader per @next; lock-free. Return: whether there was one.
 */
static inline bool hint_log_take(const struct hint_log *l, uint64_t *next,
				 uint64_t *lost, struct hint_record *out)
{
	uint64_t end = atomic_load_explicit(&l->written, memory_order_acquire);

	stamp_catch_up(end, HINT_LOG_ENTRIES, next, lost);
	while (*next < end) {
		uint64_t n = (*next)++;

		if (hint_log_load(&l->entries[n % HINT_LOG_ENTRIES], n, out))
			return true;
		(*lost)++;
	}
	return false;
}

#endif
