/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the placement engine of a VM says of itself: counts, and a log of its
 * decisions. The engine writes them, in a region or in memory of its own; others
 * read them while it does. Each word is stored and loaded relaxed.
 */
#ifndef DISCO_PLACEMENT_H
#define DISCO_PLACEMENT_H

#include <stdatomic.h>

#include "disco/base.h"
#include "disco/policy.h"
#include "disco/stamp.h"

#define PLACEMENT_MAGIC	  0x31434c5044474944ull /* "DIGDPLC1" */
#define PLACEMENT_LOG	  1024u			/* decisions; a power of two */
#define PLACEMENT_OUTCOME 9u
/* Of a miss, by the ACPI SLIT's distance, whose 10 is local: 300 ns. */
#define PLACEMENT_NS_PER_DISTANCE 30u
/* Of moving a page, before the first was measured. */
#define PLACEMENT_MOVE_NS 10000u

/* What became of a decision. */
enum placement_outcome {
	PLACEMENT_DECIDED, /* not carried out yet */
	PLACEMENT_STAYED,
	PLACEMENT_DONE,
	PLACEMENT_FAILED, /* the page is where it was */
	/* The same, and why; of pages whose owner says so (copies_ask.h). */
	PLACEMENT_WRITTEN, /* before it was copied */
	PLACEMENT_NO_ROOM, /* for another copy, or for mappings */
	PLACEMENT_RESTING, /* by its owner's own count of writes */
	PLACEMENT_BUSY,	   /* it is copied, moved or pinned right now */
	PLACEMENT_COPIED,  /* it has copies: it does not move */
};

/* A decision. [A: engine / others, relaxed, and the stamp as in stamp.h] */
struct placement_entry {
	_Atomic(uint64_t) stamp;
	_Atomic(uint64_t) time_ns;
	_Atomic(uint64_t) page;
	/* from, to, action, reason, outcome: a byte each, lowest first. */
	_Atomic(uint64_t) what;
	_Atomic(uint64_t) gain_ns, cost_ns; /* predicted */
	_Atomic(uint64_t) spent_ns; /* measured; of a run, its last part */
	_Atomic(uint64_t) pages;    /* from .page on; 1 but for runs */
};

_Static_assert(sizeof(struct placement_entry) == 64, "one per cache line");

struct placement_figures {
	_Alignas(128) _Atomic(uint64_t) magic;
	_Atomic(uint64_t) records;	 /* taken from the source */
	_Atomic(uint64_t) local, remote; /* misses, by weight */
	_Atomic(uint64_t) moves, failed; /* pages */
	_Atomic(uint64_t) bounced;	 /* moved again within POLICY_REST_NS */
	_Atomic(uint64_t) dropped;	 /* decisions that found no place */
	/* Nobody replicates the RAM of guests without copies for views. */
	_Atomic(uint64_t) replicas_refused;
	_Atomic(uint64_t) replicas; /* of segments: begun; else: made */
	/* Pages whose copies ended: by a write; otherwise. */
	_Atomic(uint64_t) collapsed, copies_ended;
	_Atomic(uint64_t) spent_ns; /* by moves */
	_Atomic(uint64_t) cpu_ns;   /* of the engine itself */
	_Atomic(uint64_t) counter_bytes;
	_Atomic(uint64_t) lost, strange; /* of the source */
	/* Records that decided nothing, as nobody knows the node; see engine.h */
	_Atomic(uint64_t) unknown_node;
	_Atomic(uint64_t) hints;	 /* of the guest, that have come */
	_Atomic(uint64_t) hints_dropped; /* contradicted by accesses */
	_Atomic(uint64_t) hinted_pages;	 /* that a hint has sent elsewhere */
	_Atomic(uint64_t) reasons[POLICY_NR_REASONS];
	_Atomic(uint64_t) logged; /* decisions, in total */
	struct placement_entry log[PLACEMENT_LOG];
};

#define PLACEMENT_BYTES                                                        \
	((sizeof(struct placement_figures) + PAGE_BYTES - 1) / PAGE_BYTES *    \
	 PAGE_BYTES)

#endif
