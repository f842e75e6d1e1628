/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's agents: one per node that has CPUs and memory, from the
 * monitor's start; one for any other node when it is first needed. An agent that
 * has died is started again: at once if it is needed, else after AGENT_FIRST_NS.
 * The delay doubles each time it dies within AGENT_CALM_NS, up to AGENT_LAST_NS,
 * so an agent that always dies costs little. An agent serves one move at a time.
 *
 * Context of all functions: the monitor's thread.
 */
#ifndef DISCO_MONITOR_AGENTS_H
#define DISCO_MONITOR_AGENTS_H

#include <sys/queue.h>
#include <sys/types.h>

#include "disco/agent_proto.h"
#include "monitor/control/base/loop.h"
#include "monitor/control/workers/move_map.h"
#include "monitor/control/workers/worker_code.h"
#include "numa/topology.h"

#define AGENT_FIRST_NS 100000000ull
#define AGENT_LAST_NS  60000000000ull /* longest delay */
#define AGENT_CALM_NS  60000000000ull /* a life that resets the delay */

struct agent;
struct agent_post; /* a request that waits to be sent */
struct agents;
struct sink;

struct agents_ops {
	/* An agent has sent @a, which was checked, or has died (@a is NULL). */
	void (*heard)(void *arg, struct agent *agent,
		      const struct agent_answer *a);
	/* A new agent runs, without any state. May be NULL. */
	void (*started)(void *arg, struct agent *agent);
};

struct agent {
	struct agents *all;
	nodeid_t node;
	pid_t pid;		 /* 0: none runs */
	unsigned starts;	 /* number of starts so far */
	uint64_t started_ns;	 /* last start, CLOCK_MONOTONIC */
	uint64_t delay_ns;	 /* delay of the last start; 0: none */
	struct loop_timer again; /* the next start */
	struct loop_watch sock, pidfd;
	struct move_map_text text;		    /* agent_text_pages() */
	STAILQ_HEAD(agent_posts, agent_post) posts; /* oldest first */
};

struct agents {
	struct loop *loop;
	struct sink *err;	  /* for messages */
	const struct topology *t; /* not owned */
	struct worker_code code;
	int plugin;	     /* policy for all agents; not owned; -1: none */
	struct diag missing; /* why there are no agents; else ST_OK */
	struct agent list[MAX_NODES];
	unsigned nr;
	uint64_t last_id; /* last id of a request to any agent */
	const struct agents_ops *ops;
	void *arg; /* passed to ops */
};

/**
 * agents_create() - find the program, and start one agent per node
 * @err: where deaths are reported; outlives the agents
 * @t:   outlives the agents; if it describes another machine, nothing is started
 * @plugin: a file with a policy (memory/placement/plugin.h), not owned, outlives
 *       the agents; -1: none
 * @ops: called with @arg in the loop, by this function and by agents_get();
 *       outlives the agents
 *
 * A missing program causes one line on @err; agents_get() then returns an error.
 */
void agents_create(struct agents *all, struct loop *loop, struct sink *err,
		   const struct topology *t, int plugin,
		   const struct agents_ops *ops, void *arg);

/* End all agents. All-zero is accepted. */
void agents_destroy(struct agents *all);

/**
 * agents_get() - get a node's agent, and start it if necessary
 * @node: a node's number
 * @out:  owned by @all; untouched on error
 * @d:    out on error: the reason
 *
 * Does not wait until the program runs: if it cannot, heard() reports a death.
 * Return: 0; -errno of copying the program, of socketpair() or of fork().
 */
MUST_CHECK int agents_get(struct agents *all, nodeid_t node, struct agent **out,
			  struct diag *d);

/* Return: the agent of a node if it runs now, or NULL. */
struct agent *agents_running(struct agents *all, nodeid_t node);

/**
 * agent_ask() - send a request
 * @r:   its id is set, larger than that of any earlier request; the answers
 *       have the same id
 * @fds: descriptors of the kind (agent_proto.h), duplicated; NULL: the kind has
 *       none
 *
 * A request that the agent does not receive yet is queued, so an agent that is
 * busy pulling pages does not block control. The queue ends with the agent.
 *
 * Return: 0; -EPIPE the agent is dead; -ENOMEM, -EMFILE it was not queued;
 * errors of agent_request_send().
 */
MUST_CHECK int agent_ask(struct agent *a, struct agent_request *r,
			 const int *fds);

/**
 * agents_tell() - send a request to the agent of a node, if one runs
 *
 * Return: 0, also if none runs, because a new agent receives everything; errors
 * of agent_ask().
 */
MUST_CHECK int agents_tell(struct agents *all, nodeid_t node,
			   struct agent_request *r, const int *fds);

/* Count mapped pages of its text, and those on its node; 0: not known. */
void agent_text_pages(struct agent *a, uint64_t *pages, uint64_t *local);

/* Return: true if process @pid is one of the agents. */
bool agents_know(const struct agents *all, pid_t pid);

/* Kill an agent: it hangs, or its work is not needed any more. */
void agent_kill(struct agent *a);

#endif
