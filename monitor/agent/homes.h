/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shared segments whose home an agent is: their links to the workers of
 * their VMs, the copies, and control's messages about both (AGENT_SEGMENT and
 * the kinds after it). Who may do what is decided in memory/replica/home.c.
 *
 * This agent alone writes the replicas of its segments, on all nodes: so one
 * process knows the order of copying and publishing.
 *
 * Context of all functions: one thread, the agent's.
 */
#ifndef DISCO_MONITOR_AGENT_HOMES_H
#define DISCO_MONITOR_AGENT_HOMES_H

#include "disco/agent_proto.h"
#include "monitor/agent/placing/placing.h"

struct homes;

/* For placing_set_others(): accesses to segments. @arg: the homes. */
extern const struct placing_others homes_accesses;

/**
 * homes_create() - none yet
 * @machine:  the nodes; outlives them
 * @epoll_fd: not owned, outlives them; descriptors are added to it
 * @send:     called to send AGENT_VIEW_LATE
 * @out:      release with homes_destroy()
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int homes_create(const struct placed_machine *machine, int epoll_fd,
			    void (*send)(void *arg,
					 const struct agent_answer *a),
			    void *arg, struct homes **out);
/* NULL is accepted. */
void homes_destroy(struct homes *hs);

/**
 * homes_obey() - handle a request of control about segments
 * @r:   checked; of kind AGENT_SEGMENT or a later one
 * @fds: FDS_MAX descriptors, owned by it: those of the request's kind, then -1;
 *       all -1 if they did not arrive
 */
void homes_obey(struct homes *hs, const struct agent_request *r,
		const int *fds);

/* Return: false: @which is not the @data.ptr of one of its descriptors. */
bool homes_wake(struct homes *hs, void *which, uint32_t events);

/* Milliseconds until homes_turn() has something to do; -1: nothing to do. */
int homes_wait_ms(const struct homes *hs);

/* Handle messages, make copies. Return: true: there may be more to do. */
bool homes_turn(struct homes *hs);

#endif
