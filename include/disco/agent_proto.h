/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between the control process and a node's agent (disco-agent), on
 * AGENT_FD_CONTROL, a SOCK_SEQPACKET socket: struct agent_request from control,
 * struct agent_answer from the agent. monitor/ipc/agent_messages.h sends and
 * receives them, and has the table of their sizes and descriptors.
 *
 * AGENT_PULL and AGENT_COPY are answered by any number of AGENT_PROGRESS and
 * one AGENT_DONE, and come one at a time; the rest is read meanwhile, too. Each
 * side checks what it receives. Agents end with the control process that
 * started them, so both are of the same build.
 *
 * Stores, links and peers have numbers that control chooses and never uses
 * again.
 */
#ifndef DISCO_AGENT_PROTO_H
#define DISCO_AGENT_PROTO_H

#include <stdatomic.h>

#include "disco/message.h"
#include "disco/stall_hist.h"

#define AGENT_FD_CONTROL 3 /* 0 to 2 are /dev/null */
#define AGENT_MAX_RANGES 256u
#define AGENT_MAX_PIECES (1ull << 47) /* bytes: end of user addresses */
#define AGENT_MAX_IMAGE	 (1ull << 40) /* bytes: what a lease map can cover */

/* --- control to agent --- */

enum agent_request_kind {
	/*
	 * .pull: pull pages of a process to a node, while it runs. Descriptor:
	 * its /proc/PID/pagemap. Answer: AGENT_DONE.
	 */
	AGENT_PULL = 1,
	/*
	 * Copy a sparse file into another, whose pages then come from the
	 * agent's node. Descriptors: from, to. Answer: AGENT_DONE.
	 */
	AGENT_COPY = 2,
	/*
	 * The buffer cache. No answers, but that what cannot be made is
	 * reported as lost.
	 *
	 * .store: a store over an image. Descriptors: image, memory, presence
	 * map (cowdisk/store/store.h). How much all hold: AGENT_LIMIT.
	 */
	AGENT_STORE = 3,
	AGENT_STORE_END = 4, /* .store_end: it goes, with all its readers */
	/*
	 * .link: a link to a worker. Descriptors: the agent's region (prepared,
	 * to be taken), the worker's region, a socket that wakes the worker,
	 * one that wakes the agent.
	 */
	AGENT_LINK = 5,
	AGENT_LINK_END = 6, /* .link: it goes, with all its readers */
	/* .reader: a disk of a link reads a store. Descriptor: lease map. */
	AGENT_READER = 7,
	/*
	 * .limit: what all stores hold. Before the first one nothing is filled
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
	 * .peer: a store may copy from another node's store of the same image.
	 * Descriptors: memory and presence map of that one, for reading, and a
	 * lease map, prepared, to be taken, which that node's agent reads
	 * already (AGENT_LEASES and AGENT_READER).
	 */
	AGENT_PEER = 10,
	AGENT_PEER_END = 11, /* .peer_end: it leases nothing from now on */
	/* Answer: AGENT_SYNCED, when all before it was done. */
	AGENT_SYNC = 12,
	/*
	 * .link: a link without a channel, of a worker that asks nothing here
	 * and only has leases. AGENT_LINK_END ends it.
	 */
	AGENT_LEASES = 13,
};

/* AGENT_PULL: which pages. */
enum agent_what {
	AGENT_FILE = 1u << 0, /* of files and memfds */
	AGENT_ANON = 1u << 1, /* private ones, written copies included */
};

struct agent_range {
	uint64_t start, bytes; /* in the process; whole pages */
};

struct agent_req_pull {
	uint64_t bound_ns; /* the longest a guest may be held up at a time */
	uint32_t what;	   /* enum agent_what, ORed */
	int32_t pid;
	int32_t node;	    /* where they are to be */
	uint32_t nr_ranges; /* the message ends after the last one */
	struct agent_range ranges[AGENT_MAX_RANGES];
};

struct agent_req_store {
	uint64_t store;
	uint64_t image_bytes; /* a multiple of 512 */
};

struct agent_req_store_end {
	uint64_t store;
};

struct agent_req_link {
	uint64_t link;
};

struct agent_req_reader {
	uint64_t link;
	uint64_t store;
	uint32_t disk; /* of the link's worker: 0 .. VM_MAX_DISKS - 1 */
	uint32_t zero;
};

struct agent_req_limit {
	uint64_t cache_bytes; /* of all stores together */
};

struct agent_req_peer {
	uint64_t peer;
	uint64_t store; /* the one that copies */
};

struct agent_req_peer_end {
	uint64_t peer;
};

struct agent_request {
	uint32_t kind; /* enum agent_request_kind */
	uint32_t zero;
	uint64_t id; /* see struct message_head */
	union {
		struct agent_req_pull pull;
		struct agent_req_store store;
		struct agent_req_store_end store_end;
		struct agent_req_link link;
		struct agent_req_reader reader;
		struct agent_req_limit limit;
		struct agent_req_peer peer;
		struct agent_req_peer_end peer_end;
	};
};

/* --- agent to control; no answer has descriptors --- */

enum agent_answer_kind {
	AGENT_PROGRESS = 1, /* .progress: of AGENT_PULL, so far */
	AGENT_DONE = 2,	    /* .done: answers AGENT_PULL and AGENT_COPY */
	/*
	 * .link_lost: a link was dropped: EPROTO it broke the protocol (an
	 * index that lied), EINVAL its worker asked for what is not there,
	 * EPIPE its worker has closed the other end; else it could not be made.
	 * Comes at any time.
	 */
	AGENT_LINK_LOST = 3,
	AGENT_STORE_LOST = 4, /* .store_lost: it could not be made */
	/*
	 * All before AGENT_SYNC of this id was done. Ids grow, and one answer
	 * may stand for several.
	 */
	AGENT_SYNCED = 5,
	AGENT_PEER_LOST = 6, /* .peer_lost: it could not be made */
};

/* What came of a pull. */
struct agent_pulled {
	uint64_t pages;	     /* looked at, and on the node now */
	uint64_t failed;     /* not on the node: shared, pinned, no memory */
	uint64_t batches;    /* calls of move_pages(2) */
	uint64_t longest_ns; /* of them */
	uint64_t total_ns;   /* in them */
	struct stall_hist stalls; /* each of them */
};

struct agent_ans_progress {
	struct agent_pulled pulled;
};

struct agent_ans_done {
	uint32_t error; /* errno; 0: all was looked at, or copied */
	uint32_t zero;
	struct agent_pulled pulled; /* of AGENT_COPY: zeroes */
};

struct agent_ans_link_lost {
	uint64_t link;
	uint32_t error; /* errno */
	uint32_t zero;
};

struct agent_ans_store_lost {
	uint64_t store;
	uint32_t error; /* errno */
	uint32_t zero;
};

struct agent_ans_peer_lost {
	uint64_t peer;
	uint32_t error; /* errno */
	uint32_t zero;
};

struct agent_answer {
	uint32_t kind; /* enum agent_answer_kind */
	uint32_t zero;
	uint64_t id; /* see struct message_head */
	union {
		struct agent_ans_progress progress;
		struct agent_ans_done done;
		struct agent_ans_link_lost link_lost;
		struct agent_ans_store_lost store_lost;
		struct agent_ans_peer_lost peer_lost;
	};
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
