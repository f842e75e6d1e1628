/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's agents: one a node, started when it is first needed, and
 * again when it has died. An agent works for one asker at a time.
 */
#ifndef DISCO_MONITOR_AGENTS_H
#define DISCO_MONITOR_AGENTS_H

#include <sys/types.h>

#include "disco/agent_proto.h"
#include "monitor/control/loop.h"
#include "monitor/control/worker_code.h"
#include "numa/topology.h"

struct agents;

struct agent {
	struct agents *all;
	nodeid_t node;
	pid_t pid; /* 0: none runs */
	struct loop_watch sock, pidfd;
};

struct agents {
	struct loop *loop;
	struct worker_code code;
	struct diag missing; /* why there are none; ST_OK: there can be */
	struct agent list[MAX_NODES];
	unsigned nr;
	/* @a: what it says, checked; NULL: it is dead. */
	void (*heard)(struct agents *all, struct agent *agent,
		      const struct agent_answer *a);
};

/**
 * agents_create() - find the program; start nothing
 *
 * Not an error when there is none: agents_get() will say so.
 */
void agents_create(struct agents *all, struct loop *loop,
		   void (*heard)(struct agents *all, struct agent *agent,
				 const struct agent_answer *a));

/* Agents end. All-zero is fine. */
void agents_destroy(struct agents *all);

/**
 * agents_get() - a running agent
 * @node: a node's number
 *
 * Does not wait until it runs: one that cannot is heard of as a dead one.
 * Return: 0; -errno of copying the program, of socketpair() and fork().
 */
MUST_CHECK int agents_get(struct agents *all, const struct topology *t,
			  nodeid_t node, struct agent **out, struct diag *d);

/**
 * agent_ask() - send a request
 * @fds: @nr; copied
 * Return: 0; -EPIPE it is dead; -errno of sendmsg().
 */
MUST_CHECK int agent_ask(struct agent *a, const struct agent_request *r,
			 const int *fds, unsigned nr);

/* Is it one of them? */
bool agents_know(const struct agents *all, pid_t pid);

/* It hangs, or nobody is interested any more. */
void agent_kill(struct agent *a);

/**
 * agent_answer_check() - look at an answer before it is used
 * Return: 0; -EBADMSG wrong length; -EPROTO unknown kind, or no errno.
 */
MUST_CHECK int agent_answer_check(const void *bytes, size_t len,
				  struct agent_answer *out);

#endif
