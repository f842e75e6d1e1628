/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop of an agent: requests of control, one after the other; those about
 * the cache, and what workers ask of it, between two batches of a pull as well.
 */
#ifndef DISCO_MONITOR_AGENT_SERVE_H
#define DISCO_MONITOR_AGENT_SERVE_H

#include "disco/base.h"

struct agent_server;

/**
 * agent_create() - make what can only be made outside of the sandbox
 * @sock: SOCK_SEQPACKET; not owned, outlives it
 * @out:  release with agent_destroy()
 *
 * Return: 0; -ENOMEM; -errno of epoll_create1() and epoll_ctl().
 */
MUST_CHECK int agent_create(int sock, struct agent_server **out);

/* NULL is fine. */
void agent_destroy(struct agent_server *a);

/**
 * agent_serve() - answer requests until nobody is at the other end
 *
 * Context: one thread; blocks. Return: 0; -EBADMSG, -EINVAL a request made no
 * sense; -errno of the socket.
 */
MUST_CHECK int agent_serve(struct agent_server *a);

#endif
