/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moving a running VM to another node, one at a time. Each step is asked for
 * and its answer waited for in the loop:
 *
 *	pin	threads onto the node's CPUs (here, sched_setaffinity)
 *	BIND	new guest memory comes from the node (worker)
 *	RAM	guest memory is pulled, the guest runs (agent of the node);
 *		the worker's figures, too, which are not looked at meanwhile
 *	COPY	its boot image, unless a guest there has it (agent)
 *	REHOME	text, boot image, second-level page tables (worker; vCPUs are
 *		parked)
 *	REST	what is private: written copies, heap, stacks (agent)
 *	STATS	what came of it, from the kernel (worker)
 *
 * A move that fails before REHOME is done is taken back as far as threads and
 * new memory go; the VM goes on in any case.
 */
#ifndef DISCO_MONITOR_MOVE_H
#define DISCO_MONITOR_MOVE_H

#include "disco/diag.h"

#define MOVE_STALL_NS	  20000000ull /* unless the monitor was told */
#define MOVE_STALL_NS_MAX 10000000000ull
#define MOVE_STEP_NS	  30000000000ull /* for a word of worker or agent */

struct agent;
struct agent_answer;
struct guest;
struct monitor;
struct worker_event;

struct move_result {
	struct diag diag; /* ST_OK: done */
	uint64_t guest_id;
	nodeid_t node;
	uint64_t pages, failed, batches;
	uint64_t longest_ns; /* call of move_pages(2) */
	uint64_t parked_ns;  /* vCPUs were kept out of the guest */
	uint64_t pull_ns;    /* in move_pages(2) */
	uint64_t total_ns;   /* from the request on, but for STATS */
};

/**
 * move_start() - begin to move a guest
 * @node:     any node of this machine that has memory
 * @bound_ns: what one call of move_pages(2) may take
 * @done:     called once, in the loop
 * @arg:      see move_forget()
 *
 * Return: 0; -EBUSY another one is under way; -EINVAL no such node
 * (ST_CONFIG); -errno of the first steps.
 */
MUST_CHECK int move_start(struct monitor *m, struct guest *g, nodeid_t node,
			  uint64_t bound_ns,
			  void (*done)(void *arg, const struct move_result *r),
			  void *arg, struct diag *d);

/* Whoever @arg is will not be there: @done is not called. */
void move_forget(struct monitor *m, void *arg);

/* A worker's event; a guest's end; an agent's answer, or death (NULL). */
void move_heard(struct monitor *m, struct guest *g,
		const struct worker_event *ev);
void move_guest_ended(struct monitor *m, struct guest *g);
void move_agent_heard(struct monitor *m, struct agent *agent,
		      const struct agent_answer *a);

/* The monitor ends: a move under way fails. Agents still run. */
void move_destroy(struct monitor *m);

#endif
