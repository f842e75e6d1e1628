/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tap between an engine and its owner: the owner calls these functions in place
 * of the engine's, and what its decisions depend on, and the decisions, go to
 * @to as well, in order. Fed to another engine (memory/sim/replay.h) they give
 * the same decisions again.
 *
 * A tap with no @to passes calls on, and costs a comparison.
 *
 * Context of all functions: the engine's.
 */
#ifndef DISCO_MEMORY_TRACE_TAP_H
#define DISCO_MEMORY_TRACE_TAP_H

#include "memory/placement/engine.h"
#include "memory/trace/trace.h"
#include "memory/trace/trace_ring.h"

struct trace_tap {
	/* NULL: nobody listens. */
	void (*to)(void *arg, const struct trace_item *i);
	void *arg;
	uint32_t vm; /* its number in the trace */
};

/*
 * The engine was just created, or has another policy since now: @policy as
 * policy_parse() reads it.
 */
void trace_tap_policy(const struct trace_tap *t, uint64_t time_ns,
		      const char *policy);

void trace_tap_node(const struct trace_tap *t, struct placement *e,
		    unsigned node, const struct policy_node *n);

void trace_tap_record(const struct trace_tap *t, struct placement *e,
		      const struct access_record *r);

unsigned trace_tap_take(const struct trace_tap *t, struct placement *e,
			struct placement_action *out, unsigned max);

void trace_tap_done(const struct trace_tap *t, struct placement *e,
		    const struct placement_action *a, bool moved,
		    uint64_t spent_ns);

/* Return: as placement_track_copies(). */
MUST_CHECK int trace_tap_track(const struct trace_tap *t, struct placement *e);

void trace_tap_copies(const struct trace_tap *t, struct placement *e,
		      uint64_t page, bool there, bool written);

void trace_tap_forget(const struct trace_tap *t, struct placement *e);

/*
 * A decision of an engine's log, as an event. Return: false: it is no longer
 * there.
 */
MUST_CHECK bool trace_decision(const struct placement_figures *f, uint64_t nr,
			       struct trace_event *out);

#endif
