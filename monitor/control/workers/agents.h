/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's agents: one a node that has CPUs and memory, from the start;
 * one for any other node when it is first needed. One that has died is started
 * again: at once when it is needed, else after AGENT_FIRST_NS, and twice as
 * long each time it dies soon, so that one that always dies costs nothing. An
 * agent works for one asker at a time.
 */
#ifndef DISCO_MONITOR_AGENTS_H
#define DISCO_MONITOR_AGENTS_H

#include <sys/queue.h>
#include <sys/types.h>

#include "disco/agent_proto.h"
#include "monitor/control/base/loop.h"
#include "monitor/control/workers/worker_code.h"
#include "numa/topology.h"

#define AGENT_FIRST_NS 100000000ull
#define AGENT_LAST_NS  60000000000ull /* at most */
#define AGENT_CALM_NS  60000000000ull /* who lived that long died by chance */

struct agent;
struct agent_post; /* a message that waits */
struct agents;
struct sink;

struct agents_ops {
	/* @a: what it says, checked; NULL: it is dead. */
	void (*heard)(void *arg, struct agent *agent,
		      const struct agent_answer *a);
	/* A new one: it knows nothing. May be NULL. */
	void (*started)(void *arg, struct agent *agent);
};

struct agent {
	struct agents *all;
	nodeid_t node;
	pid_t pid;		 /* 0: none runs */
	unsigned starts;	 /* how many there were */
	uint64_t started_ns;	 /* CLOCK_MONOTONIC; of the last one */
	uint64_t delay_ns;	 /* before the last start; 0: none */
	struct loop_timer again; /* when the next one is started */
	struct loop_watch sock, pidfd;
	STAILQ_HEAD(agent_posts, agent_post) posts; /* oldest first */
};

struct agents {
	struct loop *loop;
	struct sink *err;	  /* for messages */
	const struct topology *t; /* not owned */
	struct worker_code code;
	struct diag missing; /* why there are none; ST_OK: there can be */
	struct agent list[MAX_NODES];
	unsigned nr;
	uint64_t last_id; /* of requests, to whichever agent */
	const struct agents_ops *ops;
	void *arg; /* of ops */
};

/**
 * agents_create() - find the program; start one a node
 * @err: where deaths are told
 * @t:   stays the caller's; of another machine: nothing is started
 * @ops: called with @arg, in the loop, and from here and from agents_get()
 *
 * Not an error when there is no program, which one line says: agents_get()
 * will say so, too.
 */
void agents_create(struct agents *all, struct loop *loop, struct sink *err,
		   const struct topology *t, const struct agents_ops *ops,
		   void *arg);

/* Agents end. All-zero is fine. */
void agents_destroy(struct agents *all);

/**
 * agents_get() - a running agent
 * @node: a node's number
 *
 * Does not wait until it runs: one that cannot is heard of as a dead one.
 * Return: 0; -errno of copying the program, of socketpair() and fork().
 */
MUST_CHECK int agents_get(struct agents *all, nodeid_t node, struct agent **out,
			  struct diag *d);

/* The agent of a node, if one runs now; NULL. */
struct agent *agents_running(struct agents *all, nodeid_t node);

/**
 * agent_ask() - send a request
 * @r:   .id is set, larger than in any request before: of its answers, too
 * @fds: those of its kind (agent_proto.h), copied; NULL: the kind has none
 *
 * One that cannot be read yet is kept, in order, and lost with the agent; so
 * an agent that is busy pulling pages holds nobody up.
 *
 * Return: 0; -EPIPE it is dead; -ENOMEM, -EMFILE it was not kept; -EINVAL,
 * -errno of agent_request_send().
 */
MUST_CHECK int agent_ask(struct agent *a, struct agent_request *r,
			 const int *fds);

/**
 * agents_tell() - send a request to the agent of a node, if one runs
 *
 * Return: 0, also if none runs: the next one is told everything; others as
 * agent_ask().
 */
MUST_CHECK int agents_tell(struct agents *all, nodeid_t node,
			   struct agent_request *r, const int *fds);

/* Mapped pages of its text, and those on its node; 0: not known. */
void agent_text_pages(const struct agent *a, uint64_t *pages, uint64_t *local);

/* Is it one of them? */
bool agents_know(const struct agents *all, pid_t pid);

/* It hangs, or nobody is interested any more. */
void agent_kill(struct agent *a);

#endif
