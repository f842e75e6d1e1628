/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control's part in the placement of pages: it finds the source of accesses, and
 * tells the agent of a VM's home to place the VM's pages by the VM's policy. The
 * agent decides and moves (monitor/agent/placing/placing.h); its figures of a VM
 * are in a region that control reads. A VM whose views have copies of pages gets a
 * link from its worker to that agent, which then decides about copies, if its
 * source has accesses of such a VM: "faults" has none, and the worker decides by
 * itself.
 *
 * Where this machine has no source, nothing is placed and nobody is told. What
 * DAMON knows is read by a child (heat_reader.h), and handed on to agents.
 *
 * Context of all functions: the monitor's thread.
 */
#ifndef DISCO_MONITOR_CONTROL_PLACER_H
#define DISCO_MONITOR_CONTROL_PLACER_H

#include "disco/placement.h"
#include "disco/worker_proto.h"
#include "memory/placement/policies.h"
#include "memory/trace/trace_ring.h"
#include "monitor/control/base/loop.h"
#include "monitor/control/workers/agents.h"
#include "monitor/control/workers/vm_watch.h"
#include "numa/node_list.h"
#include "numa/topology.h"

#define PLACER_NODES_NS 2000000000ull  /* between looks at nodes' memory */
#define PLACER_TRACE_NS 10000000000ull /* then an unread recording ends */

struct placer;

/* A VM, as the placer has to know it. */
struct placer_vm {
	uint64_t id;
	const char *name; /* copied by nobody: of the call */
	pid_t pid;
	nodeid_t node;		/* its home, whose agent decides */
	struct node_list nodes; /* where its pages may be; empty: anywhere */
	/*
	 * Its views have copies of pages: its worker, which outlives the
	 * placement. NULL: they have not.
	 */
	struct vm_watch *copies;
	uint64_t memory_bytes;
	uint64_t bound_ns;	       /* longest stall by a batch of moves */
	char policy[AGENT_POLICY_MAX]; /* checked; "": the standard one */
};

/* What is known of a placed VM. Figures are the agent's: copy, check, use. */
struct placer_view {
	const char *policy;
	const struct placement_figures *figures;
};

/**
 * placer_create() - find the source
 * @loop, @agents, @t, @err: outlive it; @agents may be created later
 * @out: released with placer_destroy()
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int placer_create(struct loop *loop, struct agents *agents,
			     struct topology *t, struct sink *err,
			     struct placer **out);

/* NULL is accepted. */
void placer_destroy(struct placer *p);

/**
 * placer_choose_source() - another source than the best that there is
 * @name: "auto": the best of those that cost guests nothing; "flash"; "off":
 *        nothing is placed; or one of these, each of them followed by
 *        "[,rate=PAGES][,cpu=PERMILLE]", so many pages per second and VM, for at
 *        most that share of a CPU: "faults", sampled by workers; "abits",
 *        accessed bits by the better of the next two that there is; "damon";
 *        "page_idle"; "dirty", writes, sampled by workers
 * @d:    out on error
 *
 * Before the agents are created. Return: 0; -EINVAL no such source; -ENODEV this
 * machine has none of that name; -ENOMEM.
 */
MUST_CHECK int placer_choose_source(struct placer *p, const char *name,
				    struct diag *d);

/**
 * placer_load_plugin() - a policy beside those that are built in, for all VMs
 * @path: the file
 * @d:    out on error
 *
 * Before the agents are created. Return: 0; errors of open() and of
 * policy_plugin_load().
 */
MUST_CHECK int placer_load_plugin(struct placer *p, const char *path,
				  struct diag *d);

/* The descriptor of that file, for agents; -1: none. Owned by the placer. */
int placer_plugin_fd(const struct placer *p);

/* policy_parse(), with the plug-in's policy among the others. */
MUST_CHECK int placer_parse(const struct placer *p, const char *text,
			    struct policy_choice *out, struct diag *d);

/* Its name, as above, but never "abits"; NULL: there is none. */
const char *placer_source(const struct placer *p);

/*
 * Whether workers are to sample accesses. NULL is accepted. @out: what to ask them
 * for; untouched if not.
 */
bool placer_sampling(const struct placer *p, struct worker_req_sample *out);

/* A new agent runs: it is told what it has to place. */
void placer_agent_started(struct placer *p, struct agent *a);

/*
 * Place a VM from now on; one that is placed already, anew: it has another home.
 * What cannot be is reported to @err of placer_create().
 */
void placer_start(struct placer *p, const struct placer_vm *vm);

/* It has ended, or is about to move. */
void placer_stop(struct placer *p, uint64_t id);

/* Another policy, checked. Return: 0; -ENOENT it is not placed. */
MUST_CHECK int placer_set_policy(struct placer *p, uint64_t id,
				 const char *policy);

/* Return: whether it is placed; else @out is untouched. */
MUST_CHECK bool placer_look(const struct placer *p, uint64_t id,
			    struct placer_view *out);

/**
 * placer_trace_begin() - record what a VM's engine gets and decides
 * @trace: out, the recording's number
 *
 * The engine begins anew. The recording ends by placer_trace_end(); when nobody
 * reads it for PLACER_TRACE_NS; and with the VM's placement, as when it moves.
 *
 * Return: 0; -ENOENT the VM is not placed; -EBUSY it is recorded already; -ESRCH
 * its agent does not run; errors of region_prepare().
 */
MUST_CHECK int placer_trace_begin(struct placer *p, uint64_t id,
				  uint64_t *trace);

/*
 * The ring of a recording, which its agent writes; NULL: there is no such one any
 * more. Valid until control returns to its loop.
 */
const struct trace_ring *placer_trace_ring(struct placer *p, uint64_t id,
					   uint64_t trace);

/* One that there is not is accepted. */
void placer_trace_end(struct placer *p, uint64_t id, uint64_t trace);

#endif
