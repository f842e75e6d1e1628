/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/move.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/guests/caches.h"
#include "monitor/control/guests/guests.h"
#include "monitor/control/guests/layers.h"
#include "monitor/control/workers/move_map.h"
#include "monitor/ipc/fds.h"
#include "numa/bind.h"

enum step { BIND, RAM, COPY, REHOME, REST, STATS };

struct move {
	struct monitor *m;
	struct guest *g;
	struct agent *agent;
	int vcpu;     /* that is moved alone; -1: the whole guest */
	bool replace; /* of a vCPU: its pages are placed anew */
	enum step step;
	struct move_result result;
	uint64_t bound_ns, begun_ns;
	struct loop_timer timer; /* what the step waits for has until then */
	struct agent_request ask;
	uint64_t awaited;   /* id of the request that this step waits for */
	uint64_t pull_from; /* the next request of this step; 0: it was all */
	uint64_t origin;    /* of its boot image */
	int boot, copy;	    /* not owned; owned until it is full: -1 */
	void (*done)(void *arg, const struct move_result *r);
	void *arg;
};

static void move_next(struct move *mv, enum step step);

static const char *step_text(enum step step)
{
	static const char *const text[] = {
		[BIND] = "its worker cannot bind its memory",
		[RAM] = "its memory was not pulled",
		[COPY] = "its boot image was not copied",
		[REHOME] = "its worker cannot move its text",
		[REST] = "its private pages were not pulled",
		[STATS] = "its worker does not say where it is",
	};

	return text[step];
}

/* Again, after figures_leave(). A hostile worker may have lost them. */
static void see_figures(struct guest *g)
{
	if (!g->ended)
		(void)!figures_open(&g->figures, g->record.pid,
				    g->record.nr_vcpus);
}

/* --- the end --- */

/* @err: 0: done, also when the diagnostic was filled before. */
static void move_finish(struct move *mv, int err)
{
	struct monitor *m = mv->m;
	struct move_result *r = &mv->result;

	if (err && r->diag.status == ST_OK)
		(void)diag_fail(&r->diag, ST_HOST, err, "%s: %s: %s",
				mv->g->record.name, step_text(mv->step),
				strerror(err));
	if (mv->vcpu < 0)
		see_figures(mv->g);
	if (!r->total_ns) /* not as far as STATS */
		r->total_ns = clock_now_ns() - mv->begun_ns;
	m->move = NULL;
	loop_timer_cancel(&m->watcher.loop, &mv->timer);
	if (mv->vcpu < 0 || mv->replace)
		guest_place(mv->g);
	if (mv->vcpu < 0) {
		mv->g->moving = false;
		layers_arrived(mv->g);
	}
	if (mv->copy >= 0)
		(void)close(mv->copy);
	if (r->diag.status != ST_OK)
		sink_line(&m->watcher.err, "disco: %s", r->diag.text);
	if (mv->done)
		mv->done(mv->arg, r);
	free(mv);
}

static int move_pin(const struct move *mv, nodeid_t node)
{
	const struct topology_node *near =
		topology_cpus_near(&mv->m->topology, node);
	pid_t pid = mv->g->record.pid;
	struct dirent *e;
	char path[64];
	int err;
	DIR *dir;

	if (!near)
		return -ENODEV;
	err = node_run_task_on(pid, near->cpus, near->nr_cpus);
	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = err ? NULL : opendir(path);
	/* Others may end meanwhile, or be the kernel's, which follow. */
	while (dir && (e = readdir(dir))) {
		int tid = (int)strtol(e->d_name, NULL, 10);

		if (tid > 0 && node_run_task_on(tid, near->cpus, near->nr_cpus))
			continue;
	}
	if (dir)
		(void)closedir(dir);
	return err;
}

static int move_tell_worker(struct move *mv, struct worker_request r,
			    const int *fds)
{
	int err = vm_watch_send(&mv->g->vm, &r, fds);

	mv->awaited = r.id;
	return err;
}

/* @node: also WORKER_NODES_SPREAD. */
static int move_bind(struct move *mv, nodeid_t node)
{
	return move_tell_worker(
		mv,
		(struct worker_request){ .kind = WORKER_REQ_BIND,
					 .bind.node = node },
		NULL);
}

static int move_tell_agent(struct move *mv, const int *fds)
{
	int err = agent_ask(mv->agent, &mv->ask, fds);

	mv->awaited = mv->ask.id;
	return err;
}

/* Back to where it was: the node it has in the registry. */
static void move_fail(struct move *mv, int err)
{
	nodeid_t old = mv->g->record.node;

	if (mv->vcpu >= 0 && !mv->g->ended) {
		(void)!guest_pin_vcpu(mv->g, (unsigned)mv->vcpu,
				      mv->g->record.vcpu_nodes[mv->vcpu]);
	} else if (mv->step <= REHOME && !mv->g->ended && !move_pin(mv, old)) {
		bool wide = state_vm_is_wide(&mv->g->record);

		guest_pin_vcpus(mv->g);
		if (move_bind(mv, wide ? WORKER_NODES_SPREAD : old))
			err = err ? err : EPIPE;
		caches_guest_home(mv->m, mv->g, old);
	}
	move_finish(mv, err);
}

static void move_on_timer(struct loop_timer *t)
{
	struct move *mv = container_of(t, struct move, timer);

	/* All is done, and memory is large: figures of it are older. */
	if (mv->step == STATS) {
		move_finish(mv, 0);
		return;
	}
	/* An agent that hangs has a new one after it. */
	if (mv->step == RAM || mv->step == COPY || mv->step == REST)
		agent_kill(mv->agent);
	move_fail(mv, ETIMEDOUT);
}

/* It goes on: a worker or an agent has MOVE_STEP_NS for what is next. */
static void move_wait(struct move *mv)
{
	loop_timer_set(&mv->m->watcher.loop, &mv->timer,
		       clock_now_ns() + MOVE_STEP_NS);
}

/* --- steps --- */

static int ask_pull(struct move *mv, enum agent_what what)
{
	pid_t pid = mv->g->record.pid;
	FILE *maps = move_map_open(pid);
	const struct agent_range *last;
	char path[64];
	int fd, err;

	if (!maps)
		return -errno;
	mv->ask.kind = AGENT_PULL;
	mv->ask.pull.what = what;
	mv->ask.pull.pid = pid;
	mv->ask.pull.node = mv->result.node;
	mv->ask.pull.bound_ns = mv->bound_ns;
	err = move_map_fill(&mv->ask.pull, maps, mv->pull_from);
	(void)fclose(maps);
	/* Nothing more than was there when we said so: an empty request. */
	if (err < 0 && !(err == -ENODATA && mv->pull_from))
		return err;
	last = mv->ask.pull.ranges + mv->ask.pull.nr_ranges - 1;
	mv->pull_from = err == 1 ? last->start + last->bytes : 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = move_tell_agent(mv, &fd);
	(void)close(fd);
	return err;
}

static int ask_rehome(struct move *mv)
{
	int fds[2], err = worker_code_get(&mv->m->code, mv->result.node, fds,
					  &mv->result.diag);

	if (err)
		return err;
	fds[1] = mv->boot;
	return move_tell_worker(
		mv,
		(struct worker_request){ .kind = WORKER_REQ_REHOME,
					 .rehome.node = mv->result.node },
		fds);
}

/* Return: 1: there is a copy already. */
static int ask_copy(struct move *mv)
{
	int fds[2], err;

	err = boot_copies_find(&mv->m->boots, mv->g->record.pid,
			       mv->g->record.node, mv->result.node, &mv->origin,
			       &fds[0], &mv->boot);
	if (err)
		return err;
	mv->g->boot_origin = mv->origin;
	if (mv->boot >= 0)
		return 1;
	mv->copy = boot_copies_new(fds[0]);
	if (mv->copy < 0)
		return mv->copy;
	fds[1] = mv->copy;
	mv->ask = (struct agent_request){ .kind = AGENT_COPY };
	return move_tell_agent(mv, fds);
}

static void move_next(struct move *mv, enum step step)
{
	int err = 0;

	mv->step = step;
	move_wait(mv);
	switch (step) {
	case BIND:
		err = move_bind(mv, mv->result.node);
		break;
	case RAM:
		figures_leave(&mv->g->figures, mv->result.node);
		/* Now: what it shows of the cache is filled there meanwhile. */
		caches_guest_home(mv->m, mv->g, mv->result.node);
		err = ask_pull(mv, AGENT_FILE);
		break;
	case COPY:
		see_figures(mv->g);
		err = ask_copy(mv);
		break;
	case REHOME:
		err = ask_rehome(mv);
		break;
	case REST:
		err = ask_pull(mv, AGENT_ANON);
		break;
	case STATS:
		err = move_tell_worker(
			mv, (struct worker_request){ .kind = WORKER_REQ_EXACT },
			NULL);
		break;
	}
	if (err < 0)
		move_fail(mv, -err);
	else if (err > 0)
		move_next(mv, step + 1);
}

/* --- answers --- */

static void move_pulled(struct move *mv, const struct agent_pulled *a)
{
	struct move_result *r = &mv->result;
	struct guest *g = mv->g;

	r->pages += a->pages;
	r->failed += a->failed;
	r->batches += a->batches;
	r->pull_ns += a->total_ns;
	r->longest_ns = max_u64(r->longest_ns, a->longest_ns);
	stall_hist_merge(&g->stalls[GUEST_STALL_BATCH], &a->stalls);
	g->moved_pages += a->pages;
	g->longest_stall_ns = max_u64(g->longest_stall_ns, a->longest_ns);
}

static void move_copied(struct move *mv)
{
	int fd = mv->copy, err;

	mv->copy = -1;
	err = boot_copies_add(&mv->m->boots, mv->origin, mv->result.node, fd,
			      &mv->boot);
	if (err)
		move_fail(mv, -err);
	else
		move_next(mv, REHOME);
}

static void move_progressed(struct move *mv)
{
	mv->result.total_ns = clock_now_ns() - mv->begun_ns;
	move_next(mv, STATS);
}

void move_agent_heard(struct monitor *m, struct agent *agent,
		      const struct agent_answer *a)
{
	struct move *mv = m->move;

	if (!mv || mv->agent != agent)
		return;
	if (!a && mv->step == STATS)
		return; /* it had done its part */
	if (!a) {
		(void)diag_fail(&mv->result.diag, ST_HOST, EPIPE,
				"%s: not moved: the agent of node %d died; it "
				"goes on, and can be moved again",
				mv->g->record.name, agent->node);
		move_fail(mv, EPIPE);
		return;
	}
	if (a->id != mv->awaited)
		return; /* of an earlier move, which was given up */
	move_wait(mv);
	if (a->kind == AGENT_PROGRESS)
		return;
	if (mv->step == RAM || mv->step == REST)
		move_pulled(mv, &a->done.pulled);
	if (a->done.error)
		move_fail(mv, (int)a->done.error);
	else if (mv->pull_from)
		move_next(mv, mv->step);
	else if (mv->step == RAM)
		move_next(mv, COPY);
	else if (mv->step == COPY)
		move_copied(mv);
	else if (mv->step == REST)
		move_progressed(mv);
}

/* The guest is on other nodes now: its record was changed. */
static void move_record(struct move *mv)
{
	struct guest *g = mv->g;
	int err = state_vm_save(&mv->m->state, &g->record);

	guest_nodes_changed(g);
	if (err)
		sink_line(&mv->m->watcher.err,
			  "disco: %s: its record still has the old node: %s",
			  g->record.name, strerror(-err));
}

static void move_rehomed(struct move *mv, const struct worker_ev_rehomed *ev)
{
	struct guest *g = mv->g;

	mv->result.parked_ns = ev->stall_ns;
	stall_hist_note(&g->stalls[GUEST_STALL_PARKED], ev->stall_ns);
	g->longest_stall_ns = max_u64(g->longest_stall_ns, ev->stall_ns);
	if (ev->error && ev->error != ESTALE) {
		move_fail(mv, (int)ev->error);
		return;
	}
	if (ev->error)
		(void)diag_fail(&mv->result.diag, ST_HOST, ESTALE,
				"%s: moved, but for its program text: its "
				"worker is of another build than this monitor",
				g->record.name);
	g->record.node = mv->result.node;
	state_vm_gather(&g->record);
	segments_moved(&g->uses, g->record.node);
	g->moves++;
	move_record(mv);
	move_next(mv, REST);
}

/* --- a single vCPU --- */

/* Its memory stays; which pages are local is another matter now. */
static void move_vcpu_done(struct move *mv)
{
	struct guest *g = mv->g;
	struct node_list before = g->vm.nodes;

	g->record.vcpu_nodes[mv->vcpu] = mv->result.node;
	g->vcpu_moves++;
	move_record(mv);
	/* Pages may go to its node from now on. */
	mv->replace = before.nr != g->vm.nodes.nr ||
		      !node_list_has(&before, mv->result.node);
	move_finish(mv, 0);
}

/*
 * Memory of a guest of one node is bound to it, and comes from the node of who
 * touches it once the guest is wide.
 */
static int move_vcpu_begin(struct move *mv, struct diag *d)
{
	struct guest *g = mv->g;
	bool wide = state_vm_is_wide(&g->record) ||
		    g->record.node == mv->result.node;
	int err = guest_pin_vcpu(g, (unsigned)mv->vcpu, mv->result.node);

	if (err)
		return diag_fail(d, ST_HOST, -err,
				 "%s/%d: cannot run on the CPUs of node %d: %s",
				 g->record.name, mv->vcpu, mv->result.node,
				 err == -ESRCH ? "its thread is not known"
					       : strerror(-err));
	mv->awaited = 0;
	if (!wide)
		err = move_bind(mv, WORKER_NODES_SPREAD);
	return err ? diag_fail(d, ST_HOST, -err, "%s/%d: %s: %s",
			       g->record.name, mv->vcpu, step_text(BIND),
			       strerror(-err))
		   : 0;
}

void move_heard(struct monitor *m, struct guest *g,
		const struct worker_event *ev)
{
	struct move *mv = m->move;

	if (!mv || mv->g != g || ev->id != mv->awaited)
		return;
	if (ev->kind == WORKER_BOUND && mv->step == BIND) {
		if (ev->bound.error)
			move_fail(mv, (int)ev->bound.error);
		else if (mv->vcpu >= 0)
			move_vcpu_done(mv);
		else
			move_next(mv, RAM);
	} else if (ev->kind == WORKER_REHOMED && mv->step == REHOME) {
		move_rehomed(mv, &ev->rehomed);
	} else if (ev->kind == WORKER_STATS && mv->step == STATS) {
		move_finish(mv, 0);
	}
}

void move_guest_ended(struct monitor *m, struct guest *g)
{
	struct move *mv = m->move;

	if (!mv || mv->g != g)
		return;
	(void)diag_fail(&mv->result.diag, ST_NO_VM, ESRCH,
			"%s: ended while it was moved", g->record.name);
	move_finish(mv, ESRCH);
}

/* --- the beginning --- */

/* What a strict guest was promised holds on its new node as well. */
static int move_check_room(const struct move *mv, const struct topology_node *n,
			   struct diag *d)
{
	const struct vm_record *r = &mv->g->record;

	if (!r->strict || r->node == n->id)
		return 0;
	guests_count_promises(mv->m);
	if (topology_room(n) >= r->memory_bytes)
		return 0;
	return diag_fail(d, ST_MEMORY, ENOMEM,
			 "%s: its memory is strict, and %llu MiB do not fit on "
			 "node %d, which has %llu MiB free; %llu MiB of it are "
			 "promised to running VMs",
			 r->name, (unsigned long long)(r->memory_bytes >> 20),
			 n->id, (unsigned long long)(n->free_bytes >> 20),
			 (unsigned long long)(n->promised_bytes >> 20));
}

static int move_check_node(const struct move *mv, struct diag *d)
{
	const struct topology *t = &mv->m->topology;
	const struct topology_node *n = topology_find(t, mv->result.node);
	const char *why = NULL;

	if (!t->this_machine)
		return diag_fail(d, ST_HOST, EXDEV,
				 "the nodes are those of another machine");
	if (!n)
		why = "is not there";
	else if (!n->total_bytes)
		why = "has no memory";
	else if (mv->vcpu >= 0 && !n->nr_cpus)
		why = "has no CPUs";
	if (why)
		return diag_fail(d, ST_CONFIG, EINVAL, "%s: node %d %s",
				 mv->g->record.name, mv->result.node, why);
	return 0;
}

static int move_check_vcpu(const struct move *mv, struct diag *d)
{
	const struct vm_record *r = &mv->g->record;

	if (mv->vcpu >= (int)r->nr_vcpus)
		return diag_fail(
			d, ST_CONFIG, EINVAL,
			"%s: there is no virtual CPU %d: they are 0 to "
			"%u",
			r->name, mv->vcpu, r->nr_vcpus - 1);
	if (r->strict)
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "%s: its memory is strict, and so its CPUs "
				 "stay together: move it as a whole",
				 r->name);
	return 0;
}

static int move_prepare(struct move *mv, struct diag *d)
{
	const struct topology_node *n =
		topology_find(&mv->m->topology, mv->result.node);
	int err = move_check_room(mv, n, d);

	if (!err)
		err = agents_get(&mv->m->agents, n->id, &mv->agent, d);
	if (err)
		return err;
	err = move_pin(mv, n->id);
	if (err)
		return diag_fail(d, ST_HOST, -err,
				 "%s: cannot run on the CPUs of node %d: %s",
				 mv->g->record.name, n->id, strerror(-err));
	return 0;
}

/* Return: 0: what is moved is checked, and nothing was done. */
static int move_create(struct monitor *m, struct guest *g, int vcpu,
		       nodeid_t node, struct move **out, struct diag *d)
{
	struct move *mv;
	int err;

	if (m->move)
		return diag_fail(d, ST_HOST, EBUSY, "another VM is moved");
	mv = calloc(1, sizeof(*mv));
	if (!mv)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	mv->m = m;
	mv->timer.expired = move_on_timer;
	mv->g = g;
	mv->vcpu = vcpu;
	mv->copy = mv->boot = -1;
	mv->begun_ns = clock_now_ns();
	mv->result.node = node;
	mv->result.guest_id = g->id;
	err = move_check_node(mv, d);
	if (!err && vcpu >= 0)
		err = move_check_vcpu(mv, d);
	if (err) {
		free(mv);
		return err;
	}
	*out = mv;
	return 0;
}

int move_vcpu_start(struct monitor *m, struct guest *g, unsigned vcpu,
		    nodeid_t node,
		    void (*done)(void *arg, const struct move_result *r),
		    void *arg, struct diag *d)
{
	struct move *mv = NULL;
	int err =
		move_create(m, g, (int)min_u64(vcpu, INT32_MAX), node, &mv, d);

	if (err)
		return err;
	err = move_vcpu_begin(mv, d);
	if (err) {
		free(mv);
		return err;
	}
	mv->done = done;
	mv->arg = arg;
	mv->step = BIND;
	m->move = mv;
	if (mv->awaited)
		move_wait(mv);
	else
		move_vcpu_done(mv);
	return 0;
}

int move_start(struct monitor *m, struct guest *g, nodeid_t node,
	       uint64_t bound_ns,
	       void (*done)(void *arg, const struct move_result *r), void *arg,
	       struct diag *d)
{
	struct move *mv = NULL;
	int err = move_create(m, g, -1, node, &mv, d);

	if (err)
		return err;
	mv->bound_ns = bound_ns;
	err = move_prepare(mv, d);
	if (err) {
		free(mv);
		return err;
	}
	mv->done = done;
	mv->arg = arg;
	m->move = mv;
	g->moving = true;
	/* Two that move the same pages would work against each other. */
	guest_unplace(g);
	layers_leave(m, g);
	move_next(mv, BIND);
	return 0;
}

void move_forget(struct monitor *m, void *arg)
{
	if (m->move && m->move->arg == arg)
		m->move->done = NULL;
}

void move_destroy(struct monitor *m)
{
	struct move *mv = m->move;

	if (!mv)
		return;
	(void)diag_fail(&mv->result.diag, ST_NO_MONITOR, EINTR,
			"%s: the monitor is leaving; it was not moved as a "
			"whole",
			mv->g->record.name);
	move_finish(mv, EINTR);
}
