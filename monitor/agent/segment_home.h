/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One segment whose home this agent is: links, memory, figures.
 *
 * Context of all functions: the agent's thread, in its sandbox.
 */
#ifndef DISCO_MONITOR_AGENT_SEGMENT_HOME_H
#define DISCO_MONITOR_AGENT_SEGMENT_HOME_H

#include <sys/queue.h>

#include "disco/agent_proto.h"
#include "memory/replica/home.h"
#include "numa/region.h"

/* Of the agent. */
struct homes_env {
	const struct placed_machine *machine; /* as it is now */
	int epoll_fd;
	void (*send)(void *arg, const struct agent_answer *a);
	void *arg;
};

struct placed_machine;
struct segment_engine;
struct segment_home;

/* To a view. Its address with bit 0 set is the data.ptr of its descriptor. */
struct home_link {
	struct segment_home *home;
	unsigned view;
	struct region own;
	struct region_view peer; /* the worker's: hostile */
	int wake_tx, wake_rx;
	struct chan_tx tx;
	struct chan_rx rx;
	bool awake;
};

struct segment_home {
	LIST_ENTRY(segment_home) entry;
	const struct homes_env *env;
	uint64_t id, bytes;
	int fd;			 /* owned: the segment */
	const uint8_t *base;	 /* of a mapping of it, for reading */
	int replicas[MAX_NODES]; /* owned; -1: none */
	struct home home;
	struct home_page *pages;
	struct home_link *links[HOME_MAX_HOLDERS];
	/* A request of an operator that is under way, page by page. */
	struct agent_req_segment_do todo;
	struct segment_engine *engine; /* NULL: no source of accesses */
	struct region shown;	       /* of the figures */
	uint64_t counted_ns;	       /* where pages are was looked up */
	unsigned nr_nodes; /* the highest index that is known, plus 1 */
	int32_t node_numbers[MAX_NODES];
	uint8_t main_node; /* index of the node that has most of its pages */
};

/**
 * segment_home_create() - begin
 * @r:   checked
 * @env: outlives it
 * @fds: of AGENT_SEGMENT; owned by it, success or not
 * @out: release with segment_home_destroy()
 *
 * Return: 0; -ENOMEM; -EFBIG; -errno of mmap(); errors of region_take().
 */
MUST_CHECK int segment_home_create(const struct agent_req_segment *r,
				   const struct homes_env *env, const int *fds,
				   struct segment_home **out);
void segment_home_destroy(struct segment_home *g);

/* See the kinds of requests. @fd, @fds: owned by it; -1: did not come. */
void segment_home_node(struct segment_home *g,
		       const struct agent_req_segment_node *r, int fd);
void segment_home_view(struct segment_home *g, const struct agent_req_view *r,
		       const int *fds);
void segment_home_view_end(struct segment_home *g, uint32_t view);
void segment_home_ready(struct segment_home *g);
void segment_home_do(struct segment_home *g,
		     const struct agent_req_segment_do *r);

void home_link_wake(struct home_link *k, uint32_t events);

/* Return: when it has something to do again; UINT64_MAX: nothing. */
uint64_t segment_home_turn(struct segment_home *g, uint64_t now_ns);

#endif
