/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The placement engine of a shared segment, in the agent that is its home: which
 * frame has which page, accesses, and the policy's decisions. A decision to
 * replicate goes to the home (memory/replica/home.h), which makes the copy when
 * the page has proven that nobody writes it. A decision to move a page is left:
 * pages that several processes map are not moved without a privilege.
 *
 * Context of all functions: the agent's thread, in its sandbox.
 */
#ifndef DISCO_MONITOR_AGENT_SEGMENT_ENGINE_H
#define DISCO_MONITOR_AGENT_SEGMENT_ENGINE_H

#include "memory/placement/access.h"
#include "monitor/agent/placing/placed.h"

struct segment_engine;
struct segment_home;

/**
 * segment_engine_create() - begin
 * @policy:  text, checked
 * @m:       outlives it, or is ended by segment_engine_destroy() first
 * @pagemap: of this process, opened by control; owned by it, success or not
 * @out:     release with segment_engine_destroy()
 *
 * Return: 0; -EINVAL there are no nodes, or no such policy; -ENOMEM.
 */
MUST_CHECK int segment_engine_create(const char *policy,
				     const struct placed_machine *m,
				     uint64_t pages, int pagemap,
				     struct segment_engine **out);
/* NULL is accepted. */
void segment_engine_destroy(struct segment_engine *e);

/* Pages @first to @first + @nr are mapped at @at: look up their frames. */
void segment_engine_look_up(struct segment_engine *e, const void *at,
			    uint64_t first, uint64_t nr);

/* Return: whether a page of the segment was in that frame. */
MUST_CHECK bool segment_engine_find(const struct segment_engine *e,
				    uint64_t frame, uint64_t *page);

void segment_engine_record(struct segment_engine *e,
			   const struct access_record *r);

/* Carry decisions out. */
void segment_engine_turn(struct segment_engine *e, struct segment_home *g,
			 uint64_t now_ns);

#endif
