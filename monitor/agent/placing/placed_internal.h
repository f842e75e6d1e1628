/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of a placed VM share: the engine (placed.c), the frames of its
 * pages (placed_frames.c), and the moves (placed_moves.c).
 *
 * Context of all functions: the agent's thread, in its sandbox; nobody else reads
 * or writes the state, but for the regions, whose own headers say who does.
 */
#ifndef DISCO_MONITOR_AGENT_PLACING_PLACED_INTERNAL_H
#define DISCO_MONITOR_AGENT_PLACING_PLACED_INTERNAL_H

#include <sys/types.h>

#include "memory/replica/copies_ask.h"
#include "memory/trace/trace_tap.h"
#include "monitor/agent/placing/pace.h"
#include "monitor/agent/placing/placed.h"
#include "monitor/agent/placing/ram_spans.h"
#include "numa/region.h"

#define SPANS_MAX 65536u /* as many mappings as Linux allows */
/* Mappings of RAM: one per view, the host's, the one that copies are made from. */
#define GROUPS_MAX (VM_MAX_VIEWS + 2u)

struct placed {
	uint64_t vm, bound_ns, ram_pages;
	uint64_t nodes; /* of struct agent_req_place */
	pid_t pid;
	int pagemap, maps;
	const struct placed_machine *machine; /* not owned */
	struct region region;		      /* of the engine's figures */
	struct region_view worker;	      /* its figures; may be empty */
	uint64_t next_hint;		      /* to read of them */
	uint64_t next_fault;		      /* the same, of its samples */
	struct placement *engine;
	char policy[AGENT_POLICY_MAX];
	struct region ring;   /* of a recording; empty: there is none */
	struct trace_tap tap; /* of the engine */
	struct frame_map *frames;
	struct ram_span *spans; /* SPANS_MAX */
	unsigned nr_spans;
	unsigned group_end[GROUPS_MAX], nr_groups; /* of the spans */
	struct copies_ask *copies; /* NULL: it has no copies, or no link yet */
	/* Of the round that is under way. */
	bool scanning, scanned; /* scanned: there was one */
	unsigned scan_span;
	uint64_t scan_page;  /* of the span */
	uint64_t scanned_ns; /* end of the last slice */
	uint64_t spent_ns;   /* by the round that is under way, or the last */
	uint8_t vcpu_node;   /* index; ACCESS_NO_NODE: several, or not known */
	struct heat_map *heat; /* NULL: none */
	struct idle_vm idle;
	struct pace pace;
	unsigned batch; /* pages of the first batch of a pull, see pull() */
	bool gone;
};

static inline uint64_t placed_now(const struct placed *p)
{
	return p->machine->now_ns(p->machine->arg);
}

/* --- frames (placed_frames.c) --------------------------------------------- */

/* Some of a round over all pages, if one is due. Writes gone. */
void placed_scan(struct placed *p);

/*
 * Look up pages of a span, from one on. Return: how many; 0: its memory is gone.
 */
uint64_t placed_look_up(struct placed *p, const struct ram_span *s,
			uint64_t page, uint64_t nr);

/* One page, in all mappings of RAM. @arg: the placed VM. Writes gone. */
void placed_look_up_page(void *arg, uint64_t page);

/*
 * What a CPU has worked, by the lab's clock. @cpu: that this thread runs on.
 * Return: 0 where the clock is the agent's own, or the CPU is not known.
 */
uint64_t placed_work(const struct placed *p, int cpu);

/* --- moves (placed_moves.c) ----------------------------------------------- */

/*
 * Carry out actions, as trace_tap_take() has sorted them, and tell the engine where
 * each page is then. @nr: at most PACE_ACTIONS. Writes gone and batch.
 */
void placed_move_pages(struct placed *p, const struct placement_action *a,
		       unsigned nr);

#endif
