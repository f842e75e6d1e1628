/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replay: feeds another engine with what a recorded one was fed with, in the
 * order of the trace, and compares all that they decide, bit by bit: page, nodes,
 * action, reason, predicted gain and cost, and the time.
 *
 * Where the recorder has lost something, the engines differ from there on:
 * nothing is compared after that.
 *
 * Context of all functions: one thread.
 */
#ifndef DISCO_MEMORY_SIM_REPLAY_H
#define DISCO_MEMORY_SIM_REPLAY_H

#include "memory/placement/policies.h"
#include "memory/trace/trace_read.h"

struct replay_result {
	uint64_t engines;   /* that the trace begins */
	uint64_t accesses;  /* they were fed with */
	uint64_t decisions; /* of the trace, and compared */
	uint64_t equal;
	bool lost; /* the trace has a gap: what came after was left out */
	/* The first two that differ; kind 0: there was none there. */
	struct trace_event recorded, replayed;
};

struct replay;

/* @info outlives it; @plugin: another policy; NULL. Return: 0; -ENOMEM. */
MUST_CHECK int replay_create(struct replay **out, const struct trace_info *info,
			     const struct policy *plugin);

/* NULL is accepted. */
void replay_destroy(struct replay *r);

/* Return: 0; -EINVAL (ST_TRACE) a policy that is not known; -ENOMEM. */
MUST_CHECK int replay_feed(struct replay *r, const struct trace_chunk *c,
			   struct diag *d);

/* Decisions that the trace does not have count as differing ones. */
const struct replay_result *replay_end(struct replay *r);

#endif
