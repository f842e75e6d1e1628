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
	uint64_t bound_ns; /* the longest a guest may be held up at a time */
	uint32_t nr_ranges;
	uint32_t zero;
	struct agent_range ranges[AGENT_MAX_RANGES];
};

enum agent_answer_kind {
	AGENT_PROGRESS = 1,
	AGENT_DONE = 2,
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

#endif
