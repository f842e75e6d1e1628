/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries of a log in shared memory that one thread overwrites and others read,
 * none of whom waits: each entry has a stamp that says which entry is in its slot,
 * and whether it is whole.
 *
 * ORDER
 *  1. The writer puts entry n into slot n % (number of slots). The stamp is 0
 *     while the entry's words are written (relaxed), and n + 1 afterwards
 *     (release).
 *  2. stamp_begin() orders the stamp of 0 before the words: a reader that has seen
 *     a word of the new entry does not find the stamp of the old one again.
 *  3. A reader that finds n + 1 by stamp_is() before its loads of the words
 *     (acquire), and by stamp_still() after them, has read entry n. If not, the
 *     entry was overwritten, or is being written.
 * PROGRESS: wait-free on both sides.
 *
 * Words are atomics, loaded and stored relaxed. The writer may be another process,
 * and hostile: then a reader has read some words or other, and checks them.
 */
#ifndef DISCO_STAMP_H
#define DISCO_STAMP_H

#include <stdatomic.h>

#include "disco/base.h"

/* The writer's, around its stores of the words of entry @n. */
static inline void stamp_begin(_Atomic(uint64_t) *stamp)
{
	atomic_store_explicit(stamp, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static inline void stamp_end(_Atomic(uint64_t) *stamp, uint64_t n)
{
	atomic_store_explicit(stamp, n + 1, memory_order_release);
}

/* A reader's, around its loads of the words of entry @n. */
static inline bool stamp_is(const _Atomic(uint64_t) *stamp, uint64_t n)
{
	return atomic_load_explicit(stamp, memory_order_acquire) == n + 1;
}

static inline bool stamp_still(const _Atomic(uint64_t) *stamp, uint64_t n)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(stamp, memory_order_relaxed) == n + 1;
}

/**
 * stamp_catch_up() - leave out entries that are certain to be overwritten
 * @end:   entries written so far, as the writer says
 * @slots: of the log
 * @next:  in, out: the number of the entry to be read next
 * @lost:  increased by the entries left out
 *
 * A writer whose count went back is broken: the reader begins anew with it.
 */
static inline void stamp_catch_up(uint64_t end, uint64_t slots, uint64_t *next,
				  uint64_t *lost)
{
	if (*next > end)
		*next = end;
	if (end - *next > slots) {
		*lost += end - *next - slots;
		*next = end - slots;
	}
}

#endif
