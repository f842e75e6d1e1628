/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between segments and the agents that are their homes.
 *
 *	no home		->id is 0: no agent runs, or no VM is attached yet
 *	home		->id is set: the agent has the segment, the nodes'
 *			memory, and one view per VM that is ->linked
 *
 * A VM's worker can write nothing while it has no link: see home.h, 7.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory/placement/policies.h"
#include "memory/replica/replica_proto.h"
#include "memory/replica/segment_map.h"
#include "monitor/control/base/sink.h"
#include "monitor/control/segments/segments.h"
#include "monitor/ipc/fds.h"
#include "monitor/sandbox/privileges.h"
#include "numa/bind.h"
#include "numa/channel.h"

#define TRIAL_NS   20000000ull
#define BACKOFF_NS 100000000ull
#define BOUND_NS   5000000000ull
#define LIMIT_PART 8u /* of the smallest node's memory, per segment */

/* --- can this host? ------------------------------------------------------ */

/* As a worker: it has no capability. */
static bool workers_can_guard(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(privileges_drop() || segment_map_probe() ? 1 : 0);
	return pid > 0 && waitpid(pid, &status, 0) == pid &&
	       WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void segments_guard(struct segments *s, struct agents *agents,
		    const struct topology *t, struct sink *err)
{
	if (!t->this_machine || !workers_can_guard())
		return;
	s->agents = agents;
	s->t = t;
	s->err = err;
}

/* --- what an agent is told ----------------------------------------------- */

/* Index of a node; MAX_NODES: it is not known. */
static unsigned links_node_index(const struct topology *t, nodeid_t node)
{
	for (unsigned i = 0; i < t->nr_nodes && i < MAX_NODES; i++)
		if (t->nodes[i].id == node)
			return i;
	return MAX_NODES;
}

static uint64_t limit_pages(const struct topology *t)
{
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < t->nr_nodes; i++)
		if (t->nodes[i].total_bytes)
			least = min_u64(least, t->nodes[i].total_bytes);
	return least / LIMIT_PART / PAGE_BYTES;
}

static int open_for_reading(int fd)
{
	int out, err = region_reader_fd(fd, &out);

	return err ? err : out;
}

/* Return: 0; -errno. */
static int make_replicas(const struct shm_segment *g, nodeid_t node, int *out)
{
	void *at;
	int err, fd = memfd_create("disco-replicas", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)g->bytes) < 0)
		goto fail;
	at = mmap(NULL, g->bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		goto fail;
	err = node_bind_memory(at, g->bytes, node, false);
	(void)munmap(at, g->bytes);
	if (!err || node_bind_optional(err)) {
		*out = fd;
		return 0;
	}
	(void)close(fd);
	return err;
fail:
	err = -errno;
	(void)close(fd);
	return err;
}

static int tell_node(struct segments *s, struct shm_segment *g, unsigned index)
{
	struct agent_request r = { .kind = AGENT_SEGMENT_NODE,
				   .segment_node = {
					   .segment = g->id,
					   .node = index,
					   .number = s->t->nodes[index].id } };
	int err;

	if (g->replicas[index] >= 0)
		return 0; /* it knows */
	err = make_replicas(g, s->t->nodes[index].id, &g->replicas[index]);
	return err ? err
		   : agents_tell(s->agents, g->home, &r, &g->replicas[index]);
}

/* Both ends of a link, in the order of the messages. */
struct view_ends {
	int agent[4];
	int worker[5];
};

static void view_ends_close(struct view_ends *e)
{
	for (unsigned i = 0; i < ARRAY_SIZE(e->agent); i++)
		fds_drop(&e->agent[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(e->worker); i++)
		fds_drop(&e->worker[i]);
}

static int view_region(nodeid_t node, int *rw, int *ro)
{
	int err = region_prepare_pair("disco-view", REPLICA_LINK_BYTES, node,
				      rw, ro);

	return err == -ENODEV
		       ? region_prepare_pair("disco-view", REPLICA_LINK_BYTES,
					     NODE_AUTO, rw, ro)
		       : err;
}

static int view_ends_make(struct view_ends *e, const struct shm_segment *g,
			  const struct segment_use *u, int replicas)
{
	int err;

	memset(e, -1, sizeof(*e));
	err = view_region(g->home, &e->agent[0], &e->worker[1]);
	if (!err)
		err = view_region(u->node, &e->worker[0], &e->agent[1]);
	if (!err)
		err = chan_wake_create(&e->agent[2], &e->worker[3]);
	if (!err)
		err = chan_wake_create(&e->worker[2], &e->agent[3]);
	if (!err)
		err = region_reader_fd(replicas, &e->worker[4]);
	if (err)
		view_ends_close(e);
	return err;
}

static int view_link(struct segments *s, struct segment_use *u)
{
	struct shm_segment *g = u->segment;
	unsigned index = links_node_index(s->t, u->node);
	struct agent_request a = {
		.kind = AGENT_VIEW,
		.view = { .segment = g->id, .view = u->view, .node = index }
	};
	struct worker_request w = { .kind = WORKER_REQ_SHM_LINK,
				    .shm_link.shm = u->index };
	struct view_ends e;
	int err = index == MAX_NODES ? -ENODEV : tell_node(s, g, index);

	if (!err)
		err = view_ends_make(&e, g, u, g->replicas[index]);
	if (err)
		return err;
	err = agents_tell(s->agents, g->home, &a, e.agent);
	if (!err)
		err = vm_watch_send(u->vm, &w, e.worker);
	view_ends_close(&e);
	u->linked = !err;
	return err;
}

static void links_complain(struct segments *s, const struct segment_use *u,
			   int err)
{
	if (err != -EPIPE) /* a worker that has ended is reported elsewhere */
		sink_line(s->err,
			  "disco: %s: segment '%s': no link to its home: "
			  "%s",
			  u->name, u->segment->name, strerror(-err));
}

/* --- homes --------------------------------------------------------------- */

static int home_figures(struct shm_segment *g, int *rw)
{
	int ro, err = region_prepare_pair("disco-segment",
					  SEGMENT_FIGURES_BYTES, g->home, rw,
					  &ro);

	if (err)
		return err;
	region_detach(&g->figures);
	err = region_attach(&g->figures, ro, SEGMENT_FIGURES_BYTES);
	(void)close(ro);
	if (err)
		fds_drop(rw);
	return err;
}

/* The agent cannot open its own: what it says depends on who has opened it. */
static int open_pagemap(pid_t pid)
{
	char path[48];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void home_policy(const struct shm_segment *g, char out[AGENT_POLICY_MAX])
{
	const struct segment_use *u = g->uses;

	while (u && !u->vm)
		u = u->next;
	(void)snprintf(out, AGENT_POLICY_MAX, "%s",
		       u && u->policy[0] ? u->policy : POLICY_STANDARD);
}

static int home_begin(struct segments *s, struct shm_segment *g,
		      struct agent *a)
{
	struct agent_request r = { .kind = AGENT_SEGMENT };
	int fds[3] = { -1, -1, -1 }, err;

	r.segment = (struct agent_req_segment){
		.segment = ++s->last_id,
		.bytes = g->bytes,
		.limit_pages = limit_pages(s->t),
		.trial_ns = TRIAL_NS,
		.bound_ns = BOUND_NS,
		.backoff_ns = BACKOFF_NS,
	};
	home_policy(g, r.segment.policy);
	fds[0] = open_for_reading(g->fd);
	fds[2] = open_pagemap(a->pid);
	err = fds[0] < 0   ? fds[0]
	      : fds[2] < 0 ? fds[2]
			   : home_figures(g, &fds[1]);
	if (!err)
		err = agent_ask(a, &r, fds);
	fds_drop(&fds[0]);
	fds_drop(&fds[1]);
	fds_drop(&fds[2]);
	if (err)
		return err;
	g->id = r.segment.segment;
	g->ready = false;
	/* New memory: the old one may be shown until all views were reset. */
	for (unsigned i = 0; i < MAX_NODES; i++)
		fds_drop(&g->replicas[i]);
	for (struct segment_use *u = g->uses; u; u = u->next)
		u->linked = false;
	return 0;
}

/* Return: false: one of its VMs can write whatever it likes, or none runs. */
static bool segment_may_replicate(const struct shm_segment *g)
{
	bool any = false;

	for (const struct segment_use *u = g->uses; u; u = u->next) {
		if (!u->guarded)
			return false;
		any |= u->vm != NULL;
	}
	return any;
}

/* The named node's agent, or that of the first VM that runs. */
static struct agent *home_agent(struct segments *s, struct shm_segment *g)
{
	for (struct segment_use *u = g->uses; g->home == NODE_AUTO && u;
	     u = u->next)
		if (u->vm)
			g->home = g->node != NODE_AUTO ? g->node : u->node;
	return agents_running(s->agents, g->home);
}

static void segment_update(struct segments *s, struct shm_segment *g)
{
	struct agent_request ready = { .kind = AGENT_SEGMENT_READY };
	struct agent *a = segment_may_replicate(g) ? home_agent(s, g) : NULL;
	struct segment_use *first = g->uses;
	int err = 0;

	if (!a || !first)
		return;
	if (!g->id)
		err = home_begin(s, g, a);
	if (err) {
		links_complain(s, first, err);
		return;
	}
	for (struct segment_use *u = first; u; u = u->next) {
		if (u->linked || !u->vm)
			continue;
		err = view_link(s, u);
		if (err)
			links_complain(s, u, err);
	}
	ready.segment_end.segment = g->id;
	if (!g->ready && !agents_tell(s->agents, g->home, &ready, NULL))
		g->ready = true;
}

void segments_update(struct segments *s)
{
	for (struct shm_segment *g = s->agents ? s->list : NULL; g; g = g->next)
		segment_update(s, g);
}

void segments_moved(struct segment_uses *uses, nodeid_t node)
{
	for (unsigned i = 0; i < VM_MAX_SHMS && uses->of[i]; i++) {
		uses->of[i]->node = node;
		uses->of[i]->linked = false;
		if (uses->of[i]->all->agents)
			segment_update(uses->of[i]->all, uses->of[i]->segment);
	}
}

void segment_links_leave(struct segment_use *u)
{
	const struct shm_segment *g = u->segment;
	struct agent_request r = { .kind = AGENT_VIEW_END,
				   .view = { .segment = g->id,
					     .view = u->view } };

	if (g->id)
		(void)!agents_tell(u->all->agents, g->home, &r, NULL);
}

void segment_links_end(struct segments *s, struct shm_segment *g)
{
	struct agent_request r = { .kind = AGENT_SEGMENT_END,
				   .segment_end.segment = g->id };

	if (g->id)
		(void)!agents_tell(s->agents, g->home, &r, NULL);
	for (unsigned i = 0; i < MAX_NODES; i++)
		fds_drop(&g->replicas[i]);
	region_detach(&g->figures);
}

/* --- agents -------------------------------------------------------------- */

void segments_agent_died(struct segments *s, const struct agent *a)
{
	for (struct shm_segment *g = s ? s->list : NULL; g; g = g->next)
		if (g->home == a->node)
			g->id = 0;
}

void segments_agent_started(struct segments *s, struct agent *a)
{
	segments_agent_died(s, a);
	if (s)
		segments_update(s);
}

void segments_agent_said(struct segments *s, const struct agent *a,
			 const struct agent_answer *answer)
{
	const struct agent_ans_view_late *l = &answer->view_late;

	for (struct shm_segment *g = s->list; g; g = g->next)
		for (struct segment_use *u = g->uses; u; u = u->next) {
			if (!g->id || g->id != l->segment ||
			    g->home != a->node || u->view != l->view || !u->vm)
				continue;
			sink_line(s->err,
				  "disco: %s: is killed: segment '%s': its "
				  "worker does not do what the segment's home "
				  "wants: %s",
				  u->name, g->name, strerror((int)l->error));
			worker_signal(&u->vm->worker, SIGKILL);
		}
}

int segments_do(struct segments *s, const char *name, uint32_t what)
{
	struct shm_segment *g = segments_find(s, name);
	struct agent_request r = { .kind = AGENT_SEGMENT_DO };

	if (!g)
		return -ENOENT;
	if (!g->id)
		return -ENOTSUP;
	r.segment_do = (struct agent_req_segment_do){ .segment = g->id,
						      .what = what,
						      .nr = UINT64_MAX };
	return agents_tell(s->agents, g->home, &r, NULL);
}
