/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/workers/agents.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/workers/move_map.h"
#include "monitor/control/base/sink.h"
#include "monitor/control/workers/spawn_child.h"
#include "monitor/ipc/agent_messages.h"

#define TEXT_SETTLED_NS 10000000000ull /* since an agent's start */

/* --- posts --- */

struct agent_post {
	STAILQ_ENTRY(agent_post) link;
	int fds[FDS_MAX];
	unsigned nr;
	struct agent_request r; /* agent_request_bytes() of it */
};

static void post_free(struct agent_post *p)
{
	for (unsigned i = 0; i < p->nr; i++)
		(void)close(p->fds[i]);
	free(p);
}

static void posts_drop(struct agent *a)
{
	struct agent_post *p;

	while ((p = STAILQ_FIRST(&a->posts))) {
		STAILQ_REMOVE_HEAD(&a->posts, link);
		post_free(p);
	}
}

/* @fds: @nr descriptors, of which copies are kept. */
static int post_keep(struct agent *a, const struct agent_request *r,
		     const int *fds, unsigned nr)
{
	size_t len = agent_request_bytes(r);
	struct agent_post *p = malloc(offsetof(struct agent_post, r) + len);

	if (!p)
		return -ENOMEM;
	p->nr = 0;
	memcpy(&p->r, r, len);
	for (; p->nr < nr; p->nr++) {
		p->fds[p->nr] = fcntl(fds[p->nr], F_DUPFD_CLOEXEC, 0);
		if (p->fds[p->nr] < 0) {
			int err = -errno;

			post_free(p);
			return err;
		}
	}
	STAILQ_INSERT_TAIL(&a->posts, p, link);
	loop_want(a->all->loop, &a->sock, EPOLLIN | EPOLLOUT);
	return 0;
}

static void posts_flush(struct agent *a)
{
	struct agent_post *p;

	while ((p = STAILQ_FIRST(&a->posts))) {
		int err = agent_request_send(
			a->sock.fd, &p->r, p->nr ? p->fds : NULL, MSG_DONTWAIT);

		if (err == -EAGAIN)
			return;
		/* Else sent, or the agent is dead: agents_on_death() is next. */
		STAILQ_REMOVE_HEAD(&a->posts, link);
		post_free(p);
	}
	loop_want(a->all->loop, &a->sock, EPOLLIN);
}

int agent_ask(struct agent *a, struct agent_request *r, const int *fds)
{
	const struct message_kind *k =
		message_find(&agent_request_table, r->kind);
	int err = -EAGAIN;

	r->id = ++a->all->last_id;
	if (!a->pid)
		return -EPIPE;
	if (!k)
		return -EINVAL;
	if (STAILQ_EMPTY(&a->posts))
		err = agent_request_send(a->sock.fd, r, fds, MSG_DONTWAIT);
	return err == -EAGAIN ? post_keep(a, r, fds, message_nr_fds(k)) : err;
}

/* --- one agent --- */

static void agents_forget(struct agent *a)
{
	loop_want(a->all->loop, &a->sock, 0);
	loop_want(a->all->loop, &a->pidfd, 0);
	if (a->sock.fd >= 0)
		(void)close(a->sock.fd);
	if (a->pidfd.fd >= 0)
		(void)close(a->pidfd.fd);
	a->sock.fd = a->pidfd.fd = -1;
	a->pid = 0;
	posts_drop(a);
}

static void plan_start(struct agent *a, uint64_t now)
{
	bool calm = now - a->started_ns >= AGENT_CALM_NS;

	a->delay_ns = calm || !a->delay_ns
			      ? AGENT_FIRST_NS
			      : min_u64(2 * a->delay_ns, AGENT_LAST_NS);
	loop_timer_set(a->all->loop, &a->again, now + a->delay_ns);
}

static void agents_on_death(struct loop_watch *w, uint32_t events)
{
	struct agent *a = container_of(w, struct agent, pidfd);
	int status = 0;

	(void)events;
	if (waitpid(a->pid, &status, WNOHANG) != a->pid)
		return;
	agents_forget(a);
	plan_start(a, clock_now_ns());
	sink_line(a->all->err,
		  "disco: the agent of node %d died (%s %d); the next one "
		  "starts in %.1f s",
		  a->node, WIFSIGNALED(status) ? "signal" : "exit status",
		  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		  (double)a->delay_ns / 1e9);
	a->all->ops->heard(a->all->arg, a, NULL);
}

static void on_answer(struct loop_watch *w, uint32_t events)
{
	struct agent *a = container_of(w, struct agent, sock);
	struct agent_answer answer;
	int err;

	if (events & EPOLLOUT)
		posts_flush(a);
	err = agent_answer_receive(w->fd, &answer);
	if (err == -EAGAIN)
		return;
	if (!err) {
		a->all->ops->heard(a->all->arg, a, &answer);
		return;
	}
	/* Its end, or nonsense: agents_on_death() is next. */
	loop_want(a->all->loop, w, 0);
	agent_kill(a);
}

void agent_kill(struct agent *a)
{
	if (a->pid)
		(void)pidfd_send_signal(a->pidfd.fd, SIGKILL, NULL, 0);
}

static int agents_fork_child(struct agent *a, struct spawn_child *c)
{
	int pair[2], err = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	c->fds[AGENT_FD_CONTROL] = pair[1];
	a->pid = fork();
	if (a->pid == 0)
		spawn_child_run(c);
	if (a->pid < 0)
		err = -errno;
	(void)close(pair[1]);
	a->sock.fd = pair[0];
	if (err)
		goto forget;
	a->pidfd.fd = pidfd_open(a->pid, 0);
	if (a->pidfd.fd >= 0)
		return 0;
	err = -errno;
	(void)kill(a->pid, SIGKILL);
	(void)waitpid(a->pid, NULL, 0);
forget:
	agents_forget(a);
	return err;
}

static int agents_start(struct agent *a, struct diag *d)
{
	const struct topology_node *near =
		topology_cpus_near(a->all->t, a->node);
	struct spawn_child c = { .program = "disco-agent",
				 .cpus = near ? near->cpus : NULL,
				 .nr_cpus = near ? near->nr_cpus : 0,
				 .node = a->node,
				 .error = -1,
				 .log = -1,
				 .nr_fds = AGENT_FD_PLUGIN + 1 };
	int err = worker_code_get(&a->all->code, a->node, &c.code, d);

	c.fds[AGENT_FD_PLUGIN] = a->all->plugin;
	a->started_ns = clock_now_ns();
	loop_timer_cancel(a->all->loop, &a->again);
	if (err)
		return err;
	err = agents_fork_child(a, &c);
	if (err)
		return diag_fail(d, ST_HOST, -err,
				 "cannot start the agent of node %d: %s",
				 a->node, strerror(-err));
	a->starts++;
	a->sock.ready = on_answer;
	a->pidfd.ready = agents_on_death;
	loop_want(a->all->loop, &a->sock, EPOLLIN);
	loop_want(a->all->loop, &a->pidfd, EPOLLIN);
	if (a->all->ops->started)
		a->all->ops->started(a->all->arg, a);
	return 0;
}

void agent_text_pages(struct agent *a, uint64_t *pages, uint64_t *local)
{
	*pages = *local = 0;
	/* While it executes its program, not all of the text is mapped. */
	if (clock_now_ns() - a->started_ns < TEXT_SETTLED_NS)
		a->text = (struct move_map_text){ .pid = 0 };
	if (a->pid)
		move_map_text_pages(&a->text, a->pid, a->all->code.program,
				    a->node, pages, local);
}

/* One that nobody asked for: when it cannot, another time. */
static void try_start(struct agent *a)
{
	struct diag d = { .status = ST_OK };

	if (agents_start(a, &d) == 0)
		return;
	plan_start(a, clock_now_ns());
	sink_line(a->all->err, "disco: %s; again in %.1f s", d.text,
		  (double)a->delay_ns / 1e9);
}

static void agents_on_again(struct loop_timer *t)
{
	try_start(container_of(t, struct agent, again));
}

/* --- all of them --- */

/* NULL: there are MAX_NODES others. */
static struct agent *agent_of(struct agents *all, nodeid_t node)
{
	struct agent *a = all->list;

	while (a < all->list + all->nr && a->node != node)
		a++;
	if (a == all->list + MAX_NODES)
		return NULL;
	if (a == all->list + all->nr) {
		*a = (struct agent){ .all = all, .node = node };
		a->again.expired = agents_on_again;
		a->sock.fd = a->pidfd.fd = -1;
		STAILQ_INIT(&a->posts);
		all->nr++;
	}
	return a;
}

static void start_all(struct agents *all)
{
	const struct topology *t = all->t;

	for (unsigned i = 0; t->this_machine && i < t->nr_nodes; i++) {
		const struct topology_node *n = &t->nodes[i];
		struct agent *a = n->nr_cpus && n->total_bytes
					  ? agent_of(all, n->id)
					  : NULL;

		if (a)
			try_start(a);
	}
}

void agents_create(struct agents *all, struct loop *loop, struct sink *err,
		   const struct topology *t, int plugin,
		   const struct agents_ops *ops, void *arg)
{
	memset(all, 0, sizeof(*all));
	all->loop = loop;
	all->err = err;
	all->t = t;
	all->plugin = plugin;
	all->ops = ops;
	all->arg = arg;
	if (worker_code_create(&all->code, AGENT_PROGRAM, &all->missing)) {
		sink_line(err, "disco: VMs cannot be moved: %s",
			  all->missing.text);
		return;
	}
	all->missing.status = ST_OK;
	start_all(all);
}

void agents_destroy(struct agents *all)
{
	if (!all->loop)
		return;
	for (unsigned i = 0; i < all->nr; i++) {
		struct agent *a = &all->list[i];

		loop_timer_cancel(all->loop, &a->again);
		if (!a->pid)
			continue;
		agent_kill(a);
		(void)waitpid(a->pid, NULL, 0);
		agents_forget(a);
	}
	worker_code_destroy(&all->code);
	all->loop = NULL;
}

struct agent *agents_running(struct agents *all, nodeid_t node)
{
	for (unsigned i = 0; i < all->nr; i++)
		if (all->list[i].node == node && all->list[i].pid)
			return &all->list[i];
	return NULL;
}

bool agents_know(const struct agents *all, pid_t pid)
{
	for (unsigned i = 0; i < all->nr; i++)
		if (all->list[i].pid == pid)
			return true;
	return false;
}

int agents_get(struct agents *all, nodeid_t node, struct agent **out,
	       struct diag *d)
{
	struct agent *a;
	int err;

	if (all->missing.status != ST_OK) {
		*d = all->missing;
		return -ENOENT;
	}
	a = agent_of(all, node);
	if (!a)
		return diag_fail(d, ST_HOST, ENOSPC, "too many nodes");
	if (!a->pid) {
		err = agents_start(a, d);
		if (err)
			return err;
	}
	*out = a;
	return 0;
}

int agents_tell(struct agents *all, nodeid_t node, struct agent_request *r,
		const int *fds)
{
	struct agent *a = agents_running(all, node);
	int err;

	if (!a) {
		r->id = ++all->last_id;
		return 0;
	}
	err = agent_ask(a, r, fds);
	return err == -EPIPE ? 0 : err;
}
