/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link between who decides about the pages of a guest with copies (the
 * placement engine of the VM, in the agent of its home: copies_ask.h) and the
 * owner of the copies (ram_copies.h, in the guest's worker). A channel in each
 * direction (numa/channel.h), of notes.
 *
 *	decider					owner
 *	COPIES_REPLICATE page, node	->	a trial; then a copy, or none
 *				<-	COPIED, WRITTEN, FULL, RESTS, BUSY, ENDED
 *	COPIES_MOVE page, node		->	if it has no copies: move_pages(2)
 *				<-	MOVED, NOT_MOVED, HAS_COPIES, BUSY
 *				<-	COPIED, WRITTEN, ENDED: of any page, unasked
 *
 * Each side copies a note, checks it, and uses the copy. The decider reads what
 * has come once per turn, and never sleeps in a channel; the owner does, and is
 * woken by a socket, whose other end is closed with the decider.
 *
 * A note that the owner has no room for is left out; the next one is LOST then.
 * What the owner does is right without the decider: who is wrong about a page's
 * copies asks for what is refused.
 */
#ifndef DISCO_MEMORY_COPIES_LINK_H
#define DISCO_MEMORY_COPIES_LINK_H

#include "numa/channel.h"
#include "numa/region.h"

enum copies_kind {
	/* --- decider to owner --- */
	COPIES_REPLICATE = 1, /* .page, for the views of .node */
	COPIES_MOVE = 2,      /* .page, to .node */

	/* --- owner to decider --- */
	COPIES_COPIED = 3,  /* it has copies */
	COPIES_WRITTEN = 4, /* it has none: it was written */
	COPIES_FULL = 5,    /* no copy more: no room, or no view of the node */
	COPIES_ENDED = 6,   /* it has none: they had to go */
	COPIES_RESTS = 7,   /* it was written too often to be tried now */
	COPIES_BUSY = 8,    /* its state is changing */
	COPIES_MOVED = 9,   /* .spent_ns: by this page */
	COPIES_NOT_MOVED = 10,
	COPIES_HAS_COPIES = 11, /* so it does not move */
	COPIES_LOST = 12,	/* notes are missing here; .page: no page */
};

struct copies_note {
	uint64_t page; /* of RAM, by its offset */
	uint32_t kind; /* enum copies_kind */
	int32_t node;  /* the operating system's number; else 0 */
	uint64_t spent_ns;
};

_Static_assert(sizeof(struct copies_note) == 24, "shared layout");

#define COPIES_LINK_SLOTS 4096u
#define COPIES_LINK_SHAPE                                                      \
	((struct chan_shape){ .nr_slots = COPIES_LINK_SLOTS,                   \
			      .msg_bytes = sizeof(struct copies_note) })

/* Each side's region: its end as a reader, then its ring. */
#define COPIES_LINK_READER_OFF 0u
#define COPIES_LINK_RING_OFF   ((size_t)sizeof(struct chan_reader))
#define COPIES_LINK_BYTES                                                      \
	((size_t)(sizeof(struct chan_reader) + sizeof(struct chan_ring) +      \
		  COPIES_LINK_SLOTS * sizeof(struct copies_note) +             \
		  PAGE_BYTES - 1) /                                            \
	 PAGE_BYTES * PAGE_BYTES)

/* Descriptors of an end, in the order of AGENT_COPIES and WORKER_REQ_COPIES. */
enum copies_link_fd {
	COPIES_LINK_OWN,  /* a prepared region, which this side takes */
	COPIES_LINK_PEER, /* the other side's, for reading */
	COPIES_LINK_WAKE, /* of chan_wake_create(): decider tx, owner rx */
	COPIES_LINK_FDS
};

/* All-zero: closed. Context of all: one thread. */
struct copies_link {
	struct region own;
	struct region_view peer;
	int wake;
	bool lost; /* a note did not fit */
	struct chan_tx tx;
	struct chan_rx rx;
};

/**
 * copies_link_open() - one end
 * @l:       closed
 * @fds:     COPIES_LINK_FDS; owned by it, success or not
 * @decider: which end
 *
 * Return: 0; errors of region_take() and region_attach(): @l is closed.
 */
MUST_CHECK int copies_link_open(struct copies_link *l, const int *fds,
				bool decider);

/* One that is closed is accepted. */
void copies_link_close(struct copies_link *l);

static inline bool copies_link_is_open(const struct copies_link *l)
{
	return l->own.base != NULL;
}

/* The owner's end: tell the decider. Does nothing on one that is closed. */
void copies_link_tell(struct copies_link *l, uint64_t page,
		      enum copies_kind kind, uint64_t spent_ns);

#endif
