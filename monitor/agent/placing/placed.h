/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM whose pages an agent places: the engine, which page is in which frame,
 * and the moves.
 *
 * Context of all functions: the agent's thread, in its sandbox.
 */
#ifndef DISCO_MONITOR_AGENT_PLACING_PLACED_H
#define DISCO_MONITOR_AGENT_PLACING_PLACED_H

#include "disco/agent_proto.h"
#include "memory/placement/engine.h"
#include "memory/sources/heat.h"
#include "memory/sources/source_faults.h"
#include "memory/sources/source_idle.h"

/* Nodes by index, as engines have them. */
struct placed_machine {
	uint32_t nr_nodes; /* 0: control has not said yet */
	/*
	 * The clock that latencies and times of records are of: a lab's is
	 * another one than the agent's own.
	 */
	uint64_t (*now_ns)(void *arg);
	/*
	 * What a CPU has worked so far, by that clock. NULL: it is the agent's
	 * own clock.
	 */
	uint64_t (*work_ns)(void *arg, unsigned cpu);
	/*
	 * Record what the source has by now. Whoever copies a page misses in
	 * it: these accesses are taken before the page is known in its new
	 * frame, so that nobody takes them for the guest's. NULL: not needed.
	 */
	void (*catch_up)(void *arg);
	void *arg; /* of these */
	/*
	 * Records name pages, and nobody asks for the page of a frame: frames
	 * are not looked up then.
	 */
	bool by_page;
	int32_t numbers[MAX_NODES];
	uint32_t latency_ns[MAX_NODES * MAX_NODES]; /* [nr_nodes * nr_nodes] */
	struct policy_node nodes[MAX_NODES];
	const struct policy *plugin; /* beside those built in; NULL */
};

struct placed;

/**
 * placed_create() - begin
 * @r:   checked
 * @m:   outlives it
 * @fds: of AGENT_PLACE; owned by it, success or not
 * @out: released with placed_destroy()
 *
 * Return: 0; -EINVAL its policy cannot be; -ENOMEM; errors of region_take().
 */
MUST_CHECK int placed_create(const struct agent_req_place *r,
			     const struct placed_machine *m, const int *fds,
			     struct placed **out);

/* NULL is accepted. */
void placed_destroy(struct placed *p);

uint64_t placed_vm(const struct placed *p);

/* Return: 0; -EINVAL; -ENOMEM. */
MUST_CHECK int placed_set_policy(struct placed *p, const char *policy);

/**
 * placed_trace() - record what its engine gets and decides; the engine begins anew
 * @fd: a prepared region of TRACE_RING_BYTES; owned by it, success or not
 *
 * A recording that is under way ends. Return: 0; -ENOMEM: it has no engine any
 * more; errors of region_take().
 */
MUST_CHECK int placed_trace(struct placed *p, int fd);

void placed_trace_end(struct placed *p);

/*
 * Its views have copies of pages, and here is the link to their owner: @fds,
 * COPIES_LINK_FDS of the decider's end; owned by it. Without one, or if it cannot
 * be opened, its engine's decisions fail: who has several mappings of each page
 * alone can move them.
 */
void placed_link_copies(struct placed *p, const int *fds);

/* How the nodes are now has changed. */
void placed_nodes_changed(struct placed *p);

/* Return: whether a page of the VM was in that frame when it was looked up. */
MUST_CHECK bool placed_find(const struct placed *p, uint64_t frame,
			    uint64_t *page);

/* What its worker has sampled, and where this agent has read up to. */
void placed_faults_log(struct placed *p, struct faults_log *out);

/**
 * placed_homes() - which nodes pages are on now
 * @pages: @nr of them, at most FAULTS_BATCH
 * @out:   indexes; ACCESS_NO_NODE: not mapped, being moved, or a node that there
 *         is not
 */
void placed_homes(const struct placed *p, const uint64_t *pages, unsigned nr,
		  uint8_t *out);

/* Frames of @nr pages now, at most IDLE_BATCH; 0: not mapped, or not the guest's. */
void placed_frames(const struct placed *p, const uint64_t *pages, unsigned nr,
		   uint64_t *out);

/* Index of the node that all its vCPUs are on; ACCESS_NO_NODE. */
uint8_t placed_vcpu_node(const struct placed *p);

/* Regions of a snapshot; what cannot be kept is lost. */
void placed_add_heat(struct placed *p, const struct agent_req_heat *r,
		     uint64_t *strange);

/* NULL: none came yet. */
struct heat_map *placed_heat(struct placed *p);

/* What is looked at now; @pages: out, of the VM. */
struct idle_vm *placed_idle(struct placed *p, uint64_t *pages);

void placed_record(struct placed *p, const struct access_record *r);

/* Count what the agent has spent on it, and what its source has lost. */
void placed_count(struct placed *p, uint64_t cpu_ns, uint64_t lost);

/**
 * placed_turn() - look up some frames, and move some pages
 *
 * Takes some 10 ms, and longer where the move of a few pages does.
 * Return: whether its worker still runs.
 */
MUST_CHECK bool placed_turn(struct placed *p);

/* Whether there are pages to move that the last turn had no time for: not few. */
MUST_CHECK bool placed_hurries(const struct placed *p);

#endif
