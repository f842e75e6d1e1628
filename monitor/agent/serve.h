/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop of an agent. It handles requests of control one after the other.
 * Those about the cache, and requests of workers, are also handled between two
 * batches of a pull.
 */
#ifndef DISCO_MONITOR_AGENT_SERVE_H
#define DISCO_MONITOR_AGENT_SERVE_H

#include "disco/base.h"
#include "disco/policy.h"

struct agent_server;

/**
 * agent_create() - create what cannot be created inside of the sandbox
 * @sock: SOCK_SEQPACKET; not owned, outlives the agent
 * @out:  release with agent_destroy()
 *
 * Return: 0; -ENOMEM; -errno of epoll_create1() and epoll_ctl().
 */
MUST_CHECK int agent_create(int sock, struct agent_server **out);

/* A policy beside those that are built in; outlives the agent. NULL: none. */
void agent_set_plugin(struct agent_server *a, const struct policy *policy);

/* NULL is accepted. */
void agent_destroy(struct agent_server *a);

/**
 * agent_serve() - answer requests until control closes its end
 *
 * Context: one thread; blocks. Return: 0; -EBADMSG, -EINVAL an invalid request;
 * -errno of the socket.
 */
MUST_CHECK int agent_serve(struct agent_server *a);

#endif
