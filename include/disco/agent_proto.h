/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What passes between the control process and a node's agent (disco-agent).
 *
 * AGENT_FD_CONTROL is a SOCK_SEQPACKET socket. One message is one struct
 * agent_request, cut after its last range, with descriptors (SCM_RIGHTS); it
 * is answered by any number of AGENT_PROGRESS and one AGENT_DONE before the
 * next request is read. Each side checks what it reads.
 */
#ifndef DISCO_AGENT_PROTO_H
#define DISCO_AGENT_PROTO_H

#include <stdatomic.h>

#include "disco/base.h"
#include "disco/stall_hist.h"

#define AGENT_FD_CONTROL 3 /* 0 to 2 are /dev/null */
#define AGENT_MAX_RANGES 256u
#define AGENT_MAX_PIECES (1ull << 47) /* bytes: end of user addresses */

enum agent_request_kind {
	/*
	 * Pull pages of a process to a node, while it runs. Descriptor: its
	 * /proc/PID/pagemap.
	 */
	AGENT_PULL = 1,
	/*
	 * Copy a sparse file into another, whose pages then come from the
	 * agent's node. Descriptors: from, to.
	 */
	AGENT_COPY = 2,
	/*
	 * The buffer cache. None of these is answered; they are read between
	 * two batches of a pull, too.
	 *
	 * A store of @id over an image of @bytes. Descriptors: image, memory,
	 * presence map (cowdisk/store/store.h). Its limit: AGENT_LIMIT.
	 */
	AGENT_STORE = 3,
	AGENT_STORE_END = 4, /* of @id, with all its readers */
	/*
	 * A link @id to a worker. Descriptors: the agent's region (prepared,
	 * to be taken), the worker's, to wake the worker, to be woken. With no
	 * descriptors it is a worker that asks nothing here, and only has
	 * leases.
	 */
	AGENT_LINK = 5,
	AGENT_LINK_END = 6, /* of @id, with all its readers */
	/* Disk @disk of link @id reads store @store. Descriptor: lease map. */
	AGENT_READER = 7,
	/*
	 * All stores together: @bytes. Before the first one nothing is filled
	 * or evicted: a new agent gets it after all who lease blocks that the
	 * one before had filled (AGENT_READER).
	 */
	AGENT_LIMIT = 8,
	/*
	 * Where it publishes struct agent_figures. Descriptor: a region,
	 * prepared, to be taken.
	 */
	AGENT_FIGURES = 9,
	/*
	 * Store @store may copy from another node's store of the same image;
	 * @id is new. Descriptors: memory and presence map of that one, for
	 * reading, and a lease map, prepared, to be taken, at which that
	 * node's agent looks already (a link without descriptors, and its
	 * _READER). One that cannot be made is said to be lost as a link is.
	 */
	AGENT_PEER = 10,
	AGENT_PEER_END = 11, /* of @id: it leases nothing from now on */
	/* All before this was done: AGENT_SYNCED with the same @id. */
	AGENT_SYNC = 12,
};

/* AGENT_PULL: which pages. */
enum agent_what {
	AGENT_FILE = 1u << 0, /* of files and memfds */
	AGENT_ANON = 1u << 1, /* private ones, written copies included */
};

struct agent_range {
	uint64_t start, bytes; /* in the process; whole pages */
};

struct agent_request {
	uint32_t kind; /* enum agent_request_kind */
	uint32_t what; /* _PULL: enum agent_what, ORed; the rest also */
	int32_t pid;
	int32_t node;
	uint64_t bound_ns;  /* the longest a guest may be held up at a time */
	uint32_t nr_ranges; /* 0 with all but _PULL */
	uint32_t disk;	    /* _READER */
	uint64_t id;	    /* of a store, link or peer; never used again */
	uint64_t store;	    /* _READER, _PEER */
	uint64_t bytes;	    /* _STORE, _LIMIT */
	struct agent_range ranges[AGENT_MAX_RANGES];
};

enum agent_answer_kind {
	AGENT_PROGRESS = 1,
	AGENT_DONE = 2,
	/*
	 * Link or peer @pages was dropped, for @error: EPROTO it broke the
	 * protocol (an index that lied), EINVAL it asked for what is not there,
	 * others could not be made; EPIPE its worker has closed the other end.
	 * Comes at any time.
	 */
	AGENT_LINK_LOST = 3,
	AGENT_STORE_LOST = 4, /* store @pages could not be made, for @error */
	/* What came before AGENT_SYNC @pages was done; ids grow, and one
	 * answer may stand for several. */
	AGENT_SYNCED = 5,
};

struct agent_answer {
	uint32_t kind;	     /* enum agent_answer_kind */
	uint32_t error;	     /* _DONE: errno; 0: all was looked at */
	uint64_t pages;	     /* looked at, and on the node now */
	uint64_t failed;     /* not on the node: shared, pinned, no memory */
	uint64_t batches;    /* calls of move_pages(2) */
	uint64_t longest_ns; /* of them */
	uint64_t total_ns;   /* in them */
	struct stall_hist stalls; /* each of them */
};

#define AGENT_FIGURES_MAGIC 0x3154474146474944ull /* "DIGFAGT1" */

/*
 * An agent's figures: a region as a worker's (monitor/ipc/figures.h); words
 * that are counts or sizes of their own, stored and loaded relaxed.
 */
struct agent_figures {
	/* [A: the agent / control, relaxed] */
	_Alignas(128) _Atomic(uint64_t) magic;
	_Atomic(uint64_t) limit_blocks, present_blocks, filling_blocks;
	_Atomic(uint64_t) asked_blocks, joined_blocks, read_bytes, ahead_blocks;
	_Atomic(uint64_t) evicted_blocks, leased_blocks, refused_blocks;
	_Atomic(uint64_t) failed_reads;
	_Atomic(uint64_t) links, links_lost; /* now; ever */
	_Atomic(uint64_t) requests;	     /* taken from all links */
	_Atomic(uint64_t) answers_lost;	     /* a worker's ring was full */
	_Atomic(uint64_t) replica_blocks, replicated_blocks; /* now; ever */
};

#define AGENT_FIGURES_BYTES ((size_t)PAGE_BYTES)
_Static_assert(sizeof(struct agent_figures) <= PAGE_BYTES, "one page");

#endif
