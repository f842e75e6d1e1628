/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffer cache of an agent: stores, the links that request blocks, and
 * control's messages about both (AGENT_STORE and the kinds after it).
 *
 * Context of all functions: one thread, the agent's.
 */
#ifndef DISCO_MONITOR_AGENT_LINKS_H
#define DISCO_MONITOR_AGENT_LINKS_H

#include "disco/agent_proto.h"

struct links;

/**
 * links_create() - create a pool without stores and links
 * @epoll_fd: not owned, outlives the links. They add and remove descriptors,
 *            whose data.ptr is the @which of links_wake()
 * @send:     called by links_obey() and links_turn() to send AGENT_LINK_LOST,
 *            _STORE_LOST, _PEER_LOST and _SYNCED
 * @out:      release with links_destroy()
 *
 * Context: before the sandbox is entered. Return: 0; -ENOMEM; -errno of
 * epoll_ctl().
 */
MUST_CHECK int links_create(int epoll_fd,
			    void (*send)(void *arg,
					 const struct agent_answer *a),
			    void *arg, struct links **out);

/* NULL is accepted. */
void links_destroy(struct links *l);

/**
 * links_obey() - handle a request of control about the cache
 * @r:   checked; of kind AGENT_STORE to AGENT_LEASES
 * @fds: FDS_MAX descriptors, owned by the links: those of the request's kind,
 *       then -1; all -1 if they did not arrive
 *
 * Must not be called between an epoll_wait() and the last links_wake() for its
 * events.
 *
 * Return: 0; -EINVAL an id that is in use. Other errors are sent by the @send of
 * links_create().
 */
MUST_CHECK int links_obey(struct links *l, const struct agent_request *r,
			  const int *fds);

/* Handle @events of a descriptor that the links added to the epoll. */
void links_wake(struct links *l, void *which, uint32_t events);

/* Does a request name a disk that control may have announced meanwhile? */
bool links_in_doubt(const struct links *l);

/**
 * links_turn() - serve one batch per link, continue evictions, store figures
 *
 * Evictions are those after the limit was lowered.
 * Return: true: there may be more to do, so do not wait for events.
 */
bool links_turn(struct links *l);

#endif
