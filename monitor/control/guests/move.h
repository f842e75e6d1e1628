/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves a running VM to another node; one move is under way at a time. Each step
 * is a request, whose answer the loop receives:
 *
 *	pin	threads onto the node's CPUs (here, sched_setaffinity)
 *	BIND	new guest memory comes from the node (worker)
 *	RAM	guest memory is pulled while the guest runs (agent of the node);
 *		so are the worker's figures, which nobody reads meanwhile
 *	COPY	its boot image, unless a guest there has it (agent)
 *	REHOME	text, boot image, second-level page tables (worker; vCPUs are
 *		parked)
 *	REST	private pages: written copies, heap, stacks (agent)
 *	STATS	the result, as the kernel reports it (worker)
 *
 * A wide VM is gathered by that: afterwards it is on one node.
 *
 * A single vCPU is moved by pinning its thread. If the VM becomes wide by that,
 * its worker is asked (BIND) to take new memory from the node that touches it
 * first. Memory that is there stays where it is.
 *
 * If a move fails before REHOME was done, threads and new memory are bound to
 * the old node again. The VM goes on in any case.
 *
 * Context of all functions: the monitor's thread.
 */
#ifndef DISCO_MONITOR_MOVE_H
#define DISCO_MONITOR_MOVE_H

#include "disco/diag.h"

#define MOVE_STALL_NS	  20000000ull /* default */
#define MOVE_STALL_NS_MAX 10000000000ull
#define MOVE_STEP_NS	  30000000000ull /* longest wait for worker or agent */

struct agent;
struct agent_answer;
struct guest;
struct monitor;
struct worker_event;

struct move_result {
	struct diag diag; /* ST_OK: the VM was moved */
	uint64_t guest_id;
	nodeid_t node;
	uint64_t pages, failed, batches;
	uint64_t longest_ns; /* longest call of move_pages(2) */
	uint64_t parked_ns;  /* time that vCPUs were out of the guest */
	uint64_t pull_ns;    /* time in move_pages(2) */
	uint64_t total_ns;   /* from the request on, without STATS */
};

/**
 * move_start() - begin to move a guest
 * @node:     any node of this machine that has memory
 * @bound_ns: longest time for one call of move_pages(2)
 * @done:     called once, in the loop; @r is valid during the call
 * @arg:      passed to @done; see move_forget()
 * @d:        out on error: the reason
 *
 * Return: 0; -EBUSY another move is under way; -EINVAL no such node
 * (ST_CONFIG); -errno of the first steps.
 */
MUST_CHECK int move_start(struct monitor *m, struct guest *g, nodeid_t node,
			  uint64_t bound_ns,
			  void (*done)(void *arg, const struct move_result *r),
			  void *arg, struct diag *d);

/**
 * move_vcpu_start() - begin to move one vCPU of a guest
 * @vcpu: its number
 * @node: any node of this machine that has CPUs and memory
 * @done, @arg: as of move_start(); @done may be called before the return
 *
 * Return: 0; -EBUSY another move is under way; -EINVAL no such node or vCPU, or
 * its memory is strict (ST_CONFIG); -ESRCH its thread is not known (ST_HOST);
 * -errno of sched_setaffinity().
 */
MUST_CHECK int move_vcpu_start(struct monitor *m, struct guest *g,
			       unsigned vcpu, nodeid_t node,
			       void (*done)(void *arg,
					    const struct move_result *r),
			       void *arg, struct diag *d);

/* The owner of @arg goes away: @done is not called. The move goes on. */
void move_forget(struct monitor *m, void *arg);

/*
 * A worker has sent an event; a guest has ended; an agent has sent an answer, or
 * has died (@a is NULL).
 */
void move_heard(struct monitor *m, struct guest *g,
		const struct worker_event *ev);
void move_guest_ended(struct monitor *m, struct guest *g);
void move_agent_heard(struct monitor *m, struct agent *agent,
		      const struct agent_answer *a);

/* The monitor ends, before its agents do: a move under way fails. */
void move_destroy(struct monitor *m);

#endif
