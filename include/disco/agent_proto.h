/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between the control process and a node's agent (disco-agent), on
 * AGENT_FD_CONTROL, a SOCK_SEQPACKET socket: struct agent_request from control,
 * struct agent_answer from the agent. monitor/ipc/agent_messages.h sends and
 * receives them, and has the table of their sizes and descriptors.
 *
 * AGENT_PULL and AGENT_COPY are answered by any number of AGENT_PROGRESS and
 * one AGENT_DONE. Control sends one of them at a time; the agent handles other
 * requests meanwhile. Each side checks what it receives. Agents end with the
 * control process that started them, so both are of the same build.
 *
 * Stores, links and peers have numbers that control chooses and uses only once.
 */
#ifndef DISCO_AGENT_PROTO_H
#define DISCO_AGENT_PROTO_H

#include <stdatomic.h>

#include "disco/limits.h"
#include "disco/message.h"
#include "disco/segment_figures.h"
#include "disco/stall_hist.h"

#define AGENT_FD_CONTROL 3 /* 0 to 2 are /dev/null */
#define AGENT_FD_PLUGIN	 4 /* a policy (memory/placement/plugin.h); /dev/null */
#define AGENT_MAX_RANGES 256u
#define AGENT_MAX_PIECES (1ull << 47) /* bytes: end of user addresses */
#define AGENT_RAM_NAME	 "disco-ram"  /* of the memfds that are guest RAM */
#define AGENT_MAX_IMAGE	 (1ull << 40) /* bytes: what a lease map can cover */

/* --- control to agent --- */

enum agent_request_kind {
	/*
	 * .pull: pull pages of a running process to a node. Descriptor: its
	 * /proc/PID/pagemap. Answer: AGENT_DONE.
	 */
	AGENT_PULL = 1,
	/*
	 * Copy a sparse file into another one, whose pages then come from the
	 * agent's node. Descriptors: source, destination. Answer: AGENT_DONE.
	 */
	AGENT_COPY = 2,
	/*
	 * The requests from here to AGENT_LEASES concern the buffer cache.
	 * They have no answers; what cannot be made is reported as lost.
	 *
	 * .store: make a store over an image. Descriptors: image, memory,
	 * presence map (cowdisk/store/store.h). AGENT_LIMIT bounds all stores.
	 */
	AGENT_STORE = 3,
	AGENT_STORE_END = 4, /* .store_end: drop a store and all its readers */
	/*
	 * .link: a link to a worker. Descriptors: the agent's region, prepared,
	 * which the agent takes; the worker's region; a socket that wakes the
	 * worker; one that wakes the agent.
	 */
	AGENT_LINK = 5,
	AGENT_LINK_END = 6, /* .link: drop a link and all its readers */
	/* .reader: a disk of a link reads a store. Descriptor: lease map. */
	AGENT_READER = 7,
	/*
	 * .limit: how much all stores may hold. Before the first AGENT_LIMIT
	 * nothing is filled or evicted: a new agent gets it after the lease
	 * maps (AGENT_READER) of all that lease blocks which its predecessor
	 * has filled.
	 */
	AGENT_LIMIT = 8,
	/*
	 * Where the agent publishes struct agent_figures. Descriptor: a
	 * prepared region, which the agent takes.
	 */
	AGENT_FIGURES = 9,
	/*
	 * .peer: a store may copy from another node's store of the same image.
	 * Descriptors: memory and presence map of that store, for reading; a
	 * prepared lease map, which the agent takes. The other node's agent
	 * reads the map already (AGENT_LEASES and AGENT_READER).
	 */
	AGENT_PEER = 10,
	AGENT_PEER_END = 11, /* .peer_end: lease nothing there from now on */
	/* Answer: AGENT_SYNCED, after all earlier requests were handled. */
	AGENT_SYNC = 12,
	/*
	 * .link: a link without a channel, whose worker sends no requests here
	 * and only has leases. AGENT_LINK_END ends it.
	 */
	AGENT_LEASES = 13,
	/*
	 * The requests from here on concern the placement of pages. They have
	 * no answers either: what an engine does is in its figures.
	 *
	 * .machine: the nodes, and the source of accesses; before any
	 * AGENT_PLACE. Descriptor: of AGENT_SOURCE_FLASH the window of a lab's
	 * counters (abi/flash.h), for reading; of AGENT_SOURCE_IDLE the bitmap
	 * (memory/sampling/page_idle.h), for reading and writing; else of no use.
	 */
	AGENT_MACHINE = 14,
	AGENT_NODES = 15, /* .nodes: how the nodes are now */
	/*
	 * .place: place the pages of a VM from now on; again, if it is placed
	 * already. Descriptors: /proc/PID/pagemap and /proc/PID/maps of its
	 * worker; a prepared region of PLACEMENT_BYTES, which the agent takes
	 * (disco/placement.h); the region of the worker's figures, for reading:
	 * it has the guest's hints (disco/hint_log.h), and what its worker has
	 * sampled (disco/fault_log.h). Ends by itself when the
	 * worker has ended.
	 */
	AGENT_PLACE = 16,
	AGENT_POLICY = 17,    /* .policy: by another policy from now on */
	AGENT_PLACE_END = 18, /* .place_end */
	/*
	 * .trace: write what the VM's engine gets and decides to a ring, until
	 * AGENT_TRACE_END; its engine begins anew. Descriptor: a prepared region
	 * of TRACE_RING_BYTES, which the agent takes (memory/trace/trace_ring.h).
	 */
	AGENT_TRACE = 19,
	AGENT_TRACE_END = 20, /* .trace */
	/*
	 * .copies: a VM that is placed has copies of its pages for its views:
	 * ask their owner for copies, and for moves. Descriptors: of the
	 * decider's end (memory/replica/copies_link.h), the regions of
	 * COPIES_LINK_BYTES. Ends with AGENT_PLACE_END.
	 */
	AGENT_COPIES = 21,
	/*
	 * .heat: of a VM that is placed, with AGENT_SOURCE_DAMON: some regions of
	 * a snapshot (memory/sources/heat.h).
	 */
	AGENT_HEAT = 22,
	/*
	 * The requests from here on concern shared segments, whose home the
	 * agent is (memory/replica/home.h). No answers.
	 *
	 * .segment: be its home. Descriptors: the segment, which the agent only
	 * reads; a prepared region of SEGMENT_FIGURES_BYTES, which the agent
	 * takes (disco/segment_figures.h); the agent's own /proc/PID/pagemap.
	 */
	AGENT_SEGMENT = 23,
	/*
	 * .segment_node: where replicas on a node are. Descriptor: a memfd of
	 * the segment's size, bound to the node, for writing.
	 */
	AGENT_SEGMENT_NODE = 24,
	/*
	 * .view: a VM has joined, or has a new link. Descriptors: as for
	 * AGENT_LINK, with regions of REPLICA_LINK_BYTES.
	 */
	AGENT_VIEW = 25,
	AGENT_VIEW_END = 26,	  /* .view: its worker is dead */
	AGENT_SEGMENT_READY = 27, /* .segment_end: all views are there */
	AGENT_SEGMENT_END = 28,	  /* .segment_end: nobody maps it any more */
	AGENT_SEGMENT_DO = 29,	  /* .segment_do: an operator's request */
};

#define AGENT_POLICY_MAX VM_POLICY_MAX

/* Which pages AGENT_PULL moves. */
enum agent_what {
	AGENT_FILE = 1u << 0, /* of files and memfds */
	AGENT_ANON = 1u << 1, /* private ones, including written copies */
};

struct agent_range {
	uint64_t start, bytes; /* in the process; whole pages */
};

struct agent_req_pull {
	uint64_t bound_ns; /* longest time to hold the guest up at once */
	uint32_t what;	   /* enum agent_what, ORed */
	int32_t pid;
	int32_t node;	    /* destination */
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
	uint32_t disk; /* of the link's worker: 0 .. VM_MAX_CACHED - 1 */
	uint32_t zero;
};

struct agent_req_limit {
	uint64_t cache_bytes; /* of all stores together */
};

struct agent_req_peer {
	uint64_t peer;
	uint64_t store; /* that copies */
};

struct agent_req_peer_end {
	uint64_t peer;
};

enum agent_source {
	AGENT_SOURCE_FLASH = 0,	 /* memory/sources/source_flash.h */
	AGENT_SOURCE_FAULTS = 1, /* memory/sources/source_faults.h */
	AGENT_SOURCE_DAMON = 2,	 /* memory/sources/source_damon.h */
	AGENT_SOURCE_IDLE = 3,	 /* memory/sources/source_idle.h */
	AGENT_SOURCE_DIRTY = 4,	 /* source_faults.h, with logs of writes */
};

#define AGENT_MAX_CPUS 2048u
#define AGENT_MAX_RATE 100000u /* pages per second */
#define AGENT_NO_NODE  UINT8_MAX

/* All of them by index, as the topology has them. */
struct agent_req_machine {
	uint32_t nr_nodes;
	uint32_t source; /* enum agent_source */
	/* Of AGENT_SOURCE_IDLE, per VM: pages per second, permille of a CPU. */
	uint32_t rate, share;
	int32_t nodes[MAX_NODES]; /* numbers */
	/* Index of each CPU's node, by the CPU's number; AGENT_NO_NODE */
	uint8_t node_of_cpu[AGENT_MAX_CPUS];
	/* ACPI SLIT's: 10 is local; 255 and more as 255. */
	uint8_t distance[MAX_NODES][MAX_NODES];
};

struct agent_req_nodes {
	uint32_t nr_nodes;
	uint32_t zero;
	uint64_t free_pages[MAX_NODES];
};

struct agent_req_place {
	uint64_t vm;	    /* control's number of it */
	uint64_t ram_pages; /* size of its RAM's memfd */
	uint64_t bound_ns;  /* longest time to hold the guest up at once */
	uint64_t nodes; /* where pages may go, a bit per index; 0: anywhere */
	int32_t pid;
	/* Index of the node that all its vCPUs run on; AGENT_NO_NODE: several */
	uint32_t vcpu_node;
	char policy[AGENT_POLICY_MAX];
};

struct agent_req_policy {
	uint64_t vm;
	char policy[AGENT_POLICY_MAX];
};

struct agent_req_place_end {
	uint64_t vm;
};

struct agent_req_trace {
	uint64_t vm;
};

struct agent_req_copies {
	uint64_t vm;
};

struct agent_req_segment {
	uint64_t segment; /* control's number of it */
	uint64_t bytes;
	uint64_t limit_pages;			 /* replicas per node */
	uint64_t trial_ns, bound_ns, backoff_ns; /* memory/replica/home.h */
	char policy[AGENT_POLICY_MAX];
};

struct agent_req_segment_node {
	uint64_t segment;
	uint32_t node;	/* index: 0 .. MAX_NODES - 1 */
	int32_t number; /* the kernel's of that node */
};

struct agent_req_view {
	uint64_t segment;
	uint32_t view; /* 0 .. SEGMENT_MAX_VIEWS - 1 */
	uint32_t node; /* index of its VM's home */
};

struct agent_req_segment_end {
	uint64_t segment;
};

enum agent_segment_what {
	SEGMENT_REPLICATE = 1, /* to all nodes with views */
	SEGMENT_COLLAPSE = 2,
};

struct agent_req_segment_do {
	uint64_t segment;
	uint32_t what; /* enum agent_segment_what */
	uint32_t zero;
	uint64_t first, nr; /* pages; cut at the segment's end */
};

#define AGENT_HEAT_REGIONS 128u

struct agent_req_heat {
	uint64_t vm;
	uint64_t period_ns; /* not 0: these are the last ones of the snapshot */
	uint32_t nr;	    /* at most AGENT_HEAT_REGIONS */
	uint32_t zero;
	struct {
		uint64_t page;
		uint32_t pages, accesses;
	} regions[AGENT_HEAT_REGIONS];
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
		struct agent_req_machine machine;
		struct agent_req_nodes nodes;
		struct agent_req_place place;
		struct agent_req_policy policy;
		struct agent_req_place_end place_end;
		struct agent_req_trace trace;
		struct agent_req_copies copies;
		struct agent_req_segment segment;
		struct agent_req_segment_node segment_node;
		struct agent_req_view view;
		struct agent_req_segment_end segment_end;
		struct agent_req_segment_do segment_do;
		struct agent_req_heat heat;
	};
};

/* --- agent to control; no answer has descriptors --- */

enum agent_answer_kind {
	AGENT_PROGRESS = 1, /* .progress: of AGENT_PULL, so far */
	AGENT_DONE = 2,	    /* .done: answers AGENT_PULL and AGENT_COPY */
	/*
	 * .link_lost: a link was dropped. EPROTO: it broke the protocol (an
	 * invalid index); EINVAL: its worker requested something that does not
	 * exist; EPIPE: its worker has closed the other end; else the link
	 * could not be made. Sent at any time.
	 */
	AGENT_LINK_LOST = 3,
	AGENT_STORE_LOST = 4, /* .store_lost: a store could not be made */
	/*
	 * All requests before the AGENT_SYNC of this id were handled. Ids grow,
	 * and one answer may stand for several requests.
	 */
	AGENT_SYNCED = 5,
	AGENT_PEER_LOST = 6, /* .peer_lost: a peer could not be made */
	/*
	 * .view_late: a view did not answer in time, or broke the protocol: kill
	 * its VM. AGENT_VIEW_END follows when it is dead. Sent at any time.
	 */
	AGENT_VIEW_LATE = 7,
};

/* The result of a pull. */
struct agent_pulled {
	uint64_t pages;	     /* scanned, and now on the node */
	uint64_t failed;     /* not on the node: shared, pinned, no memory */
	uint64_t batches;    /* calls of move_pages(2) */
	uint64_t longest_ns; /* longest call */
	uint64_t total_ns;   /* of all calls */
	struct stall_hist stalls; /* of each call */
};

struct agent_ans_progress {
	struct agent_pulled pulled;
};

struct agent_ans_done {
	uint32_t error; /* errno; 0: all was scanned, or copied */
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

struct agent_ans_view_late {
	uint64_t segment;
	uint32_t view;
	uint32_t error; /* errno: ETIMEDOUT, EPROTO, EPIPE, or why not linked */
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
		struct agent_ans_view_late view_late;
	};
};

#define AGENT_FIGURES_MAGIC 0x3154474146474944ull /* "DIGFAGT1" */

/*
 * An agent's figures: a region like a worker's (monitor/ipc/figures.h). Every
 * word is a separate count or size, stored and loaded relaxed.
 */
struct agent_figures {
	/* [A: the agent / control, relaxed] */
	_Alignas(128) _Atomic(uint64_t) magic;
	_Atomic(uint64_t) limit_blocks, present_blocks, filling_blocks;
	_Atomic(uint64_t) asked_blocks, joined_blocks, read_bytes, ahead_blocks;
	_Atomic(uint64_t) evicted_blocks, leased_blocks, refused_blocks;
	_Atomic(uint64_t) failed_reads;
	_Atomic(uint64_t) links, links_lost; /* now; in total */
	_Atomic(uint64_t) requests;	     /* taken from all links */
	_Atomic(uint64_t) answers_lost;	     /* a worker's ring was full */
	_Atomic(uint64_t) replica_blocks, replicated_blocks; /* now; in total */
};

#define AGENT_FIGURES_BYTES ((size_t)PAGE_BYTES)
_Static_assert(sizeof(struct agent_figures) <= PAGE_BYTES, "one page");

#endif
