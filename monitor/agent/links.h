/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffer cache of an agent: stores, the links that ask for their blocks,
 * and what control says about both (AGENT_STORE and what follows).
 *
 * Threads: one, the agent's.
 */
#ifndef DISCO_MONITOR_AGENT_LINKS_H
#define DISCO_MONITOR_AGENT_LINKS_H

#include "disco/agent_proto.h"

struct links;

/**
 * links_create() - a pool without stores, and no links
 * @epoll_fd: not owned, outlives it: descriptors that wake come and go there,
 *            each with what links_wake() takes as its data.ptr
 * @send:     AGENT_LINK_LOST, _STORE_LOST, _PEER_LOST and _SYNCED: called from
 *            links_obey() and links_turn()
 *
 * Context: before the sandbox is entered. Return: 0; -ENOMEM; -errno of
 * epoll_ctl().
 */
MUST_CHECK int links_create(int epoll_fd,
			    void (*send)(void *arg,
					 const struct agent_answer *a),
			    void *arg, struct links **out);

/* NULL is fine. */
void links_destroy(struct links *l);

/**
 * links_obey() - a request about the cache
 * @r:   checked; AGENT_STORE or more
 * @fds: FDS_MAX: those of its kind, then -1; or all -1: they did not come;
 *       owned
 *
 * Not between epoll_wait() and the last links_wake() of what that returned.
 *
 * Return: 0; -EINVAL an id that is in use. What else goes wrong it
 * tells.
 */
MUST_CHECK int links_obey(struct links *l, const struct agent_request *r,
			  const int *fds);

void links_wake(struct links *l, void *which, uint32_t events);

/* Has a request come that names what control may have told of meanwhile? */
bool links_in_doubt(const struct links *l);

/**
 * links_turn() - a batch of requests of each link, and of what has to go
 * since the limit is smaller; figures
 * Return: true: there may be more: do not wait for events.
 */
bool links_turn(struct links *l);

#endif
