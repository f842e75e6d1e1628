/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between the home of a shared segment (home.h, in an agent) and each
 * of its holders (holder.h, in a worker), over a channel (numa/channel.h) in
 * each direction. Each side copies a message, checks it, and uses the copy.
 *
 * Pages are numbered from the start of the segment. A *turn* is a page's: it
 * grows with each change of what the home wants of the page, so that an answer
 * which comes too late is recognized.
 */
#ifndef DISCO_MEMORY_REPLICA_PROTO_H
#define DISCO_MEMORY_REPLICA_PROTO_H

#include "numa/channel.h"

enum replica_kind {
	/* --- home to holder --- */
	/*
	 * Show the segment itself everywhere, and write nowhere without
	 * permission. Answer: REPLICA_RESET_DONE of the same turn.
	 */
	REPLICA_RESET = 1,
	/*
	 * Write to a page only after the next REPLICA_ALLOW of it. Answer:
	 * REPLICA_DONE; REPLICA_REFUSED: a device may be writing to it.
	 */
	REPLICA_PROTECT = 2,
	/*
	 * Show the replica of the holder's node in place of a page that is
	 * protected, if that can be done. Answer: none.
	 */
	REPLICA_SHOW = 3,
	/*
	 * Show the segment itself, protected. Answer: REPLICA_DONE, after which
	 * nobody reads the replica through this holder.
	 */
	REPLICA_REVOKE = 4,
	REPLICA_ALLOW = 5, /* pages may be written. Answer: none */

	/* --- holder to home --- */
	REPLICA_RESET_DONE = 6,
	REPLICA_DONE = 7,
	REPLICA_REFUSED = 8,
	REPLICA_WRITE = 9, /* a guest waits to write to a page; .turn is 0 */
};

struct replica_msg {
	uint32_t kind; /* enum replica_kind */
	uint32_t turn;
	uint32_t first, nr; /* pages; nr is 1 except for _ALLOW and _RESET */
};

_Static_assert(sizeof(struct replica_msg) == 16, "shared layout");

#define REPLICA_SLOTS 4096u
#define REPLICA_SHAPE                                                          \
	((struct chan_shape){ .nr_slots = REPLICA_SLOTS,                       \
			      .msg_bytes = sizeof(struct replica_msg) })

/* Each side's region of a link: its end as a reader, then its ring. */
#define REPLICA_READER_OFF 0u
#define REPLICA_RING_OFF   ((size_t)sizeof(struct chan_reader))
#define REPLICA_LINK_BYTES                                                     \
	((size_t)(sizeof(struct chan_reader) + sizeof(struct chan_ring) +      \
		  REPLICA_SLOTS * sizeof(struct replica_msg) + PAGE_BYTES -    \
		  1) /                                                         \
	 PAGE_BYTES * PAGE_BYTES)

#endif
