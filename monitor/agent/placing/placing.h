/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Placement of pages in an agent: the VMs whose home is its node, the source of
 * accesses, and control's messages about both (AGENT_MACHINE and the kinds after
 * it). The agent of a VM's home is the only one that decides on its pages, and
 * moves them to whichever node.
 *
 * Context of all functions: one thread, the agent's.
 */
#ifndef DISCO_MONITOR_AGENT_PLACING_PLACING_H
#define DISCO_MONITOR_AGENT_PLACING_PLACING_H

#include "disco/agent_proto.h"
#include "disco/policy.h"

struct access_record;
struct placed_machine;
struct placing;

/* Memory that is not a VM's, and whose accesses somebody else counts. */
struct placing_others {
	bool (*any)(void *arg); /* is there some? */
	bool (*find)(void *arg, uint64_t frame, uint32_t *which,
		     uint64_t *page);
	void (*record)(void *arg, uint32_t which,
		       const struct access_record *r);
};

/* @out: released with placing_destroy(). Return: 0; -ENOMEM. */
MUST_CHECK int placing_create(struct placing **out);

/* A policy beside those that are built in; outlives it. NULL: none. */
void placing_set_plugin(struct placing *p, const struct policy *policy);

/* @others, @arg: outlive it. Context: before the first turn. */
void placing_set_others(struct placing *p, const struct placing_others *others,
			void *arg);

/* The nodes, as control has told of them last. */
const struct placed_machine *placing_machine(const struct placing *p);

/* NULL is accepted. */
void placing_destroy(struct placing *p);

/**
 * placing_obey() - handle a request of control about placement
 * @r:   checked; of kind AGENT_MACHINE or a later one
 * @fds: FDS_MAX descriptors, owned by it: those of the request's kind, then -1;
 *       all -1 if they did not arrive
 *
 * What cannot be done is left undone: its figures then stay as they are.
 */
void placing_obey(struct placing *p, const struct agent_request *r,
		  const int *fds);

/*
 * Milliseconds until placing_turn() has something to do, or until it is to be
 * asked again; -1: nothing to do.
 */
int placing_wait_ms(struct placing *p);

/* Read accesses, decide, move. Does nothing before placing_wait_ms() is 0. */
void placing_turn(struct placing *p);

#endif
