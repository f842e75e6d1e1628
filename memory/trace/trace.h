/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces: accesses of guests to their memory over time, the machine they ran on,
 * and what a placement engine decided about them. This file is the format.
 *
 * A file is a head of 16 bytes and then blocks. All numbers are little-endian.
 *
 *	offset	bytes	what
 *	0	8	TRACE_MAGIC
 *	8	4	TRACE_VERSION
 *	12	4	0
 *
 * A block is a head of 16 bytes and a payload, which is one zstd frame with a
 * checksum:
 *
 *	0	4	kind, enum trace_block
 *	4	4	count: entries of the payload
 *	8	4	bytes of the payload, unpacked; at most TRACE_BLOCK_BYTES
 *	12	4	bytes of the payload in the file; at most the same
 *
 * The first block is TRACE_HEAD, and there is no other. Then there is any number
 * of pairs of TRACE_ACCESSES and TRACE_EVENTS, of which either may be missing;
 * events refer to the accesses before them. The last block is TRACE_END. A file
 * without it, or one that ends within a block, was cut, as its writer was killed:
 * what is before that is good.
 *
 * TRACE_HEAD (count: VMs):
 *
 *	0	4	nodes n, 1 to POLICY_MAX_NODES
 *	4	4	0
 *	8	8	time of the first instant, in ns since 1970; 0: unknown
 *	16	32	where it comes from, a word: "flash", "lackey"
 *	48	256	a line about the run
 *	304	16 n	of each node: its number (4), CPUs (4), pages of memory (8)
 *	...	12 n^2	of each pair, by node that accesses, then by home: distance
 *			of the ACPI SLIT (4), latency of a miss in ns (4), time to
 *			move a page from the first to the second in ns (4)
 *	...	328	of each VM: pages (8), name (64), policy (256)
 *
 * Texts end with NUL and are printable ASCII.
 *
 * TRACE_ACCESSES (count: accesses, at most TRACE_BLOCK_RECORDS): what an access
 * shares with many others is its shape, and is there once per block:
 *
 *	0	8	time of the first access in ns, of the writer's clock
 *	8	4	shapes s, 1 to 65536
 *	12	4	bytes of all times
 *	16	16 s	shapes: vm (4), weight (4), vcpu (2), node, home, kind,
 *			class, flags, counted (1 each): struct access_record
 *	...	b c	of each access its shape: b is 1 if s <= 256, else 2
 *	...		of each access the time since the one before, a varint; the
 *			first one's is 0: times do not go back
 *	...		of each access the page, as the difference to that of the one
 *			before (the first: to 0), zigzag, a varint
 *
 * A varint has 7 bits per byte, lowest first; all but the last byte have bit 7.
 * Zigzag is (d << 1) ^ (d >> 63).
 *
 * TRACE_EVENTS (count: events, at most TRACE_BLOCK_EVENTS): struct trace_event,
 * 64 bytes each, as it lies in memory.
 *
 * TRACE_END (count 0): accesses (8), events (8), lost accesses (8), and the time
 * in ns that all CPUs together computed without a miss (8; 0: unknown).
 */
#ifndef DISCO_MEMORY_TRACE_TRACE_H
#define DISCO_MEMORY_TRACE_TRACE_H

#include "disco/limits.h"
#include "memory/placement/access.h"

#define TRACE_MAGIC	    0x4352544f43534944ull /* "DISCOTRC" */
#define TRACE_VERSION	    1u
#define TRACE_HEAD_BYTES    16u
#define TRACE_BLOCK_BYTES   (1u << 20)
#define TRACE_BLOCK_RECORDS 16384u
#define TRACE_BLOCK_EVENTS  4096u
#define TRACE_MAX_VMS	    256u
#define TRACE_ORIGIN	    32u
#define TRACE_TEXT	    256u
#define TRACE_VM_NAME	    64u
#define TRACE_EVENT_TEXT    40u

enum trace_block { TRACE_HEAD = 1, TRACE_ACCESSES, TRACE_EVENTS, TRACE_END };

/*
 * What happened besides accesses. Those of an engine's owner are all that its
 * decisions depend on: fed with accesses and these, another engine decides the
 * same (memory/trace/trace_tap.h).
 */
enum trace_event_kind {
	/* .text: from here on the run is in another phase, the text is its name */
	TRACE_MARK = 1,
	/*
	 * The policy is .text from here on; the first one begins a new engine. A
	 * text that does not fit goes on in the next event: .more is 1.
	 */
	TRACE_POLICY,
	TRACE_NODE,	/* .node: how a node is now */
	TRACE_TAKE,	/* .take: the owner took that many moves to carry out */
	TRACE_DONE,	/* .done: what became of one */
	TRACE_DECISION, /* .decision: what the engine decided: see its log */
	TRACE_LOST,	/* .lost: accesses or events are missing here */
	/* The owner replicates pages from here on, and says when copies end. */
	TRACE_TRACK,
	TRACE_COPIES, /* .copies: what has become of a page's copies */
	TRACE_FORGET, /* no page has copies, as far as the owner knows */
	TRACE_NR_EVENT_KINDS,
};

struct trace_event {
	uint64_t at;	  /* accesses of the file before it */
	uint64_t time_ns; /* of the writer's clock */
	uint16_t kind;	  /* enum trace_event_kind */
	uint16_t more;
	uint32_t vm; /* 0 for a mark */
	union {
		char text[TRACE_EVENT_TEXT]; /* NUL where it is shorter */
		struct {
			uint32_t node, busy_permille, has_memory, zero;
			uint64_t free_pages;
		} node;
		struct {
			uint64_t nr;
		} take;
		struct {
			uint64_t page, spent_ns;
			uint8_t from, to, moved, zero[5];
		} done;
		struct {
			uint64_t page, gain_ns, cost_ns;
			uint8_t from, to, action, reason, zero[4];
		} decision;
		struct {
			uint64_t nr;
		} lost;
		struct {
			uint64_t page;
			uint8_t there, written, zero[6];
		} copies;
		uint8_t bytes[TRACE_EVENT_TEXT];
	};
};

_Static_assert(sizeof(struct trace_event) == 64, "the format has these");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "events are written as they are");

struct trace_node {
	int32_t number; /* the operating system's */
	uint32_t cpus;
	uint64_t pages; /* of memory; 0: unknown */
};

struct trace_vm {
	uint64_t pages; /* 1 .. VM_MAX_MEMORY / PAGE_BYTES */
	char name[TRACE_VM_NAME];
	char policy[VM_POLICY_MAX];
};

/* TRACE_HEAD. Too large for a stack. */
struct trace_info {
	uint32_t nr_nodes, nr_vms;
	uint64_t start_unix_ns;
	char origin[TRACE_ORIGIN];
	char text[TRACE_TEXT];
	struct trace_node nodes[POLICY_MAX_NODES];
	/* [nr_nodes * nr_nodes], as struct policy_machine has them */
	uint32_t distance[POLICY_MAX_NODES * POLICY_MAX_NODES];
	uint32_t latency_ns[POLICY_MAX_NODES * POLICY_MAX_NODES];
	uint32_t move_ns[POLICY_MAX_NODES * POLICY_MAX_NODES];
	struct trace_vm vms[TRACE_MAX_VMS];
};

/* TRACE_END. */
struct trace_totals {
	uint64_t accesses, events, lost, compute_ns;
};

#endif
