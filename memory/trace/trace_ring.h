/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ring of accesses and events, in a region that an agent writes and control
 * reads while a run is recorded. The writer never waits: what its reader does not
 * take in time is overwritten, and the reader counts it as lost.
 *
 * ORDER. That of disco/stamp.h; there is one writer.
 * PROGRESS. Writer: a bounded number of stores. Reader: as many steps as it
 * takes entries.
 */
#ifndef DISCO_MEMORY_TRACE_RING_H
#define DISCO_MEMORY_TRACE_RING_H

#include <stdatomic.h>

#include "memory/trace/trace.h"

#define TRACE_RING_MAGIC 0x3147525444474944ull /* "DIGDTRG1" */
#define TRACE_RING_SLOTS 32768u		       /* a power of two */

/* [A: agent / control, relaxed but for the stamp] */
struct trace_slot {
	_Atomic(uint64_t) stamp;
	_Atomic(uint64_t) words[7];
};

struct trace_ring {
	_Alignas(128) _Atomic(uint64_t) magic;
	_Atomic(uint64_t) head; /* entries written, release */
	_Alignas(128) struct trace_slot slots[TRACE_RING_SLOTS];
};

#define TRACE_RING_BYTES                                                       \
	((sizeof(struct trace_ring) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES)

/* An entry: an access, or an event. */
struct trace_item {
	bool is_event;
	union {
		struct access_record access;
		struct trace_event event; /* its .at is 0 */
	};
};

/* Where a reader is. All-zero: at the first entry. */
struct trace_ring_cursor {
	uint64_t next, lost;
};

#define TRACE_ITEM_WORDS 7u /* of 8 bytes */

/* An entry as words, for those who pass it on; each way. */
void trace_item_pack(const struct trace_item *i, uint64_t *words);
void trace_item_unpack(const uint64_t *words, struct trace_item *i);

/* Writer's: begin with an all-zero ring. */
void trace_ring_begin(struct trace_ring *r);
void trace_ring_put(struct trace_ring *r, const struct trace_item *i);

/**
 * trace_ring_take() - copy the next entry
 * @r: another process writes it; values are as it wrote them, not checked
 *
 * Return: whether there was one.
 */
MUST_CHECK bool trace_ring_take(const struct trace_ring *r,
				struct trace_ring_cursor *c,
				struct trace_item *out);

#endif
