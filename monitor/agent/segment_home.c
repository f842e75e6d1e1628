/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/agent/segment_home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/agent/segment_engine.h"
#include "monitor/agent/segment_figures.h"
#include "monitor/ipc/fds.h"

#define LINK_BATCH 256u		 /* messages per turn and link */
#define DO_BATCH   64u		 /* pages of an operator's request per turn */
#define CROWD	   32u		 /* messages that a view has not taken yet */
#define COUNT_NS   1000000000ull /* between two looks where pages are */

_Static_assert(HOME_MAX_HOLDERS == SEGMENT_MAX_VIEWS &&
		       HOME_MAX_NODES == MAX_NODES,
	       "views are holders, and nodes are nodes");

static struct segment_home *from_arg(void *arg)
{
	return arg;
}

static void home_report(struct segment_home *g, unsigned view, int err)
{
	const struct agent_answer a = { .kind = AGENT_VIEW_LATE,
					.view_late = {
						.segment = g->id,
						.view = view,
						.error = (uint32_t)-err } };

	g->env->send(g->env->arg, &a);
}

/* --- what the decisions need --------------------------------------------- */

static bool home_op_send(void *arg, unsigned holder,
			 const struct replica_msg *m)
{
	struct home_link *k = from_arg(arg)->links[holder];

	/* Without a link it is being ended. */
	return k && chan_try_send(&k->tx, m) == 0;
}

/* Guarantee 3 of home.h: nobody can write the page now. */
static int home_op_copy(void *arg, uint32_t page, unsigned node)
{
	struct segment_home *g = from_arg(arg);
	off_t at = (off_t)page * PAGE_BYTES;

	if (g->replicas[node] < 0)
		return -ENOENT;
	if (pwrite(g->replicas[node], g->base + at, PAGE_BYTES, at) ==
	    (ssize_t)PAGE_BYTES)
		return 0;
	return -ENOMEM;
}

static void home_op_drop(void *arg, uint32_t page, unsigned node)
{
	struct segment_home *g = from_arg(arg);

	/* Fails for a file that is none. */
	(void)fallocate(g->replicas[node],
			FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)page * PAGE_BYTES, PAGE_BYTES);
}

static void home_op_late(void *arg, unsigned holder)
{
	home_report(from_arg(arg), holder, -ETIMEDOUT);
}

static const struct home_ops segment_home_ops = { home_op_send, home_op_copy,
						  home_op_drop, home_op_late,
						  NULL };

/* --- links --------------------------------------------------------------- */

static void home_link_close(struct home_link *k)
{
	if (!k)
		return;
	/* Others may have the descriptor, too: closing would not end it. */
	(void)epoll_ctl(k->home->env->epoll_fd, EPOLL_CTL_DEL, k->wake_rx,
			NULL);
	region_detach(&k->peer);
	region_destroy(&k->own);
	fds_drop(&k->wake_tx);
	fds_drop(&k->wake_rx);
	free(k);
}

static void home_link_end(struct segment_home *g, unsigned view)
{
	home_link_close(g->links[view]);
	g->links[view] = NULL;
}

/* @fds: [0] is the link's after success. */
static int home_link_attach(struct home_link *k, const int *fds)
{
	int err = region_take(&k->own, fds[0], REPLICA_LINK_BYTES);
	uint8_t *own = k->own.base;
	const uint8_t *peer;

	if (err)
		return err;
	err = region_attach(&k->peer, fds[1], REPLICA_LINK_BYTES);
	if (err)
		return err;
	peer = k->peer.base;
	err = chan_rx_init(&k->rx, REPLICA_SHAPE,
			   (void *)(own + REPLICA_READER_OFF),
			   (const void *)(peer + REPLICA_RING_OFF), k->wake_rx);
	if (err)
		return err;
	return chan_tx_init(
		&k->tx, REPLICA_SHAPE, (void *)(own + REPLICA_RING_OFF),
		(const void *)(peer + REPLICA_READER_OFF), k->wake_tx);
}

static int home_link_open(struct segment_home *g, unsigned view, const int *fds)
{
	struct home_link *k = calloc(1, sizeof(*k));
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP };
	int err;

	if (!k) {
		fds_close(fds, 4);
		return -ENOMEM;
	}
	*k = (struct home_link){ .home = g,
				 .view = view,
				 .wake_tx = fds[2],
				 .wake_rx = fds[3],
				 .awake = true };
	err = home_link_attach(k, fds);
	(void)close(fds[1]);
	if (!k->own.base)
		(void)close(fds[0]);
	e.data.ptr = (void *)((uintptr_t)k | 1);
	if (!err &&
	    epoll_ctl(g->env->epoll_fd, EPOLL_CTL_ADD, k->wake_rx, &e) < 0)
		err = -errno;
	if (err)
		home_link_close(k);
	else
		g->links[view] = k;
	return err;
}

void home_link_wake(struct home_link *k, uint32_t events)
{
	chan_sleep_end(&k->rx);
	k->awake = true;
	/* Its worker is dead or about to be: it would be ready for ever. */
	if (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR))
		(void)epoll_ctl(k->home->env->epoll_fd, EPOLL_CTL_DEL,
				k->wake_rx, NULL);
}

/* Return: 0; -EAGAIN nothing more; -EPROTO. */
static int home_link_take(struct home_link *k, uint64_t now_ns)
{
	struct replica_msg m;
	int err = chan_try_recv(&k->rx, &m);

	if (err == -EAGAIN) {
		err = chan_sleep_begin(&k->rx);
		if (err)
			return err == -EAGAIN ? 0 : err;
		k->awake = false;
		return -EAGAIN;
	}
	return err ? err : home_receive(&k->home->home, k->view, &m, now_ns);
}

static void home_link_turn(struct home_link *k, uint64_t now_ns)
{
	int err = 0;

	for (unsigned i = 0; k->awake && !err && i < LINK_BATCH; i++)
		err = home_link_take(k, now_ns);
	if (!err || err == -EAGAIN)
		return;
	/* It is killed, and removed when it is dead. */
	home_report(k->home, k->view, err);
	home_link_end(k->home, k->view);
}

/* --- control ------------------------------------------------------------- */

void segment_home_node(struct segment_home *g,
		       const struct agent_req_segment_node *r, int fd)
{
	uint32_t node = r->node;

	if (fd < 0)
		return;
	g->node_numbers[node] = r->number;
	if (node >= g->nr_nodes)
		g->nr_nodes = node + 1;
	fds_drop(&g->replicas[node]);
	g->replicas[node] = fd;
	/*
	 * What an earlier home has left there is shown by nobody when the first
	 * copy is made, which is after all views were reset.
	 */
	(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			(off_t)g->bytes);
}

void segment_home_view(struct segment_home *g, const struct agent_req_view *r,
		       const int *fds)
{
	int err;

	home_link_end(g, r->view);
	err = fds[0] < 0 ? -EBADF : home_link_open(g, r->view, fds);
	if (err)
		home_report(g, r->view, err);
	/* Also if it has none: then it is late, but not unknown. */
	home_add(&g->home, r->view, r->node, clock_now_ns());
}

void segment_home_view_end(struct segment_home *g, uint32_t view)
{
	home_link_end(g, view);
	home_remove(&g->home, view);
}

void segment_home_ready(struct segment_home *g)
{
	home_complete(&g->home);
}

void segment_home_do(struct segment_home *g,
		     const struct agent_req_segment_do *r)
{
	uint64_t pages = g->bytes / PAGE_BYTES;

	g->todo = *r;
	if (g->todo.first > pages)
		g->todo.first = pages;
	g->todo.nr = min_u64(g->todo.nr, pages - g->todo.first);
}

/* --- turns --------------------------------------------------------------- */

/* Nodes of views, but not that of the segment. */
static uint64_t home_nodes_wanted(const struct segment_home *g)
{
	uint64_t nodes = 0;

	for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++)
		if (g->home.holders[i].state == HOLDER_LIVE)
			nodes |= 1ull << g->home.holders[i].node;
	return nodes & ~(1ull << g->main_node);
}

/* Return: false: it is done. A page that nobody has touched is no page. */
static bool home_next_data(struct segment_home *g)
{
	off_t at = (off_t)(g->todo.first * PAGE_BYTES);
	off_t data = lseek(g->fd, at, SEEK_DATA);
	uint64_t skip = data < 0 ? g->todo.nr
				 : (uint64_t)(data - at) / PAGE_BYTES;

	skip = min_u64(skip, g->todo.nr);
	g->todo.first += skip;
	g->todo.nr -= skip;
	return g->todo.nr != 0;
}

static void home_do_some(struct segment_home *g, uint64_t now_ns)
{
	uint64_t nodes = home_nodes_wanted(g);

	for (unsigned i = 0; i < DO_BATCH && g->todo.nr; i++) {
		uint32_t page;

		if (!home_next_data(g))
			break;
		page = (uint32_t)g->todo.first++;
		g->todo.nr--;
		if (g->todo.what == SEGMENT_COLLAPSE)
			home_collapse(&g->home, page, now_ns);
		else if (nodes)
			(void)!home_replicate(&g->home, page, nodes, now_ns);
	}
}

/*
 * A ring has room for what is asked at once: an operator's request waits until
 * what was asked before was answered.
 */
static bool home_may_ask(const struct segment_home *g)
{
	return g->todo.nr && !g->home.recovering &&
	       g->home.lists[HOME_PROTECTING].first == HOME_NONE &&
	       g->home.lists[HOME_COLLAPSING].first == HOME_NONE;
}

/* To show a page takes a view some system calls, and it does one at a time. */
static bool home_is_crowded(struct segment_home *g)
{
	for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++) {
		uint32_t depth = 0;

		if (g->links[i] &&
		    chan_tx_depth(&g->links[i]->tx, &depth) == 0 &&
		    depth >= CROWD)
			return true;
	}
	return false;
}

uint64_t segment_home_turn(struct segment_home *g, uint64_t now_ns)
{
	uint64_t due;
	bool awake = false;

	for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++)
		if (g->links[i])
			home_link_turn(g->links[i], now_ns);
	if (now_ns - g->counted_ns >= COUNT_NS) {
		segment_figures_count(g);
		g->counted_ns = now_ns;
	}
	if (g->engine)
		segment_engine_turn(g->engine, g, now_ns);
	if (home_may_ask(g))
		home_do_some(g, now_ns);
	g->home.crowded = home_is_crowded(g);
	due = home_turn(&g->home, now_ns);
	segment_figures_publish(g);
	for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++)
		awake |= g->links[i] && g->links[i]->awake;
	if (awake || home_may_ask(g))
		return now_ns;
	return min_u64(due, g->counted_ns + COUNT_NS);
}

/* --- all of it ----------------------------------------------------------- */

static int segment_home_map(struct segment_home *g)
{
	uint64_t nr = g->bytes / PAGE_BYTES;
	void *at = mmap(NULL, g->bytes, PROT_READ, MAP_SHARED, g->fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	g->base = at;
	if (nr > HOME_MAX_PAGES)
		return -EFBIG;
	at = mmap(NULL, nr * sizeof(*g->pages), PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	g->pages = at;
	return 0;
}

int segment_home_create(const struct agent_req_segment *r,
			const struct homes_env *env, const int *fds,
			struct segment_home **out)
{
	const struct home_config c = {
		.nr_pages = (uint32_t)(r->bytes / PAGE_BYTES),
		.trial_ns = r->trial_ns,
		.bound_ns = r->bound_ns,
		.backoff_ns = r->backoff_ns,
		.limit = r->limit_pages,
	};
	struct segment_home *g = calloc(1, sizeof(*g));
	int err;

	if (!g) {
		fds_close(fds, 3);
		return -ENOMEM;
	}
	g->env = env;
	g->id = r->segment;
	g->bytes = r->bytes;
	g->fd = fds[0];
	for (unsigned i = 0; i < MAX_NODES; i++)
		g->node_numbers[i] = NODE_AUTO;
	for (unsigned i = 0; i < MAX_NODES; i++)
		g->replicas[i] = -1;
	err = segment_home_map(g);
	if (!err)
		err = region_take(&g->shown, fds[1], SEGMENT_FIGURES_BYTES);
	if (err) {
		if (!g->shown.base)
			(void)close(fds[1]);
		(void)close(fds[2]);
		segment_home_destroy(g);
		return err;
	}
	home_init(&g->home, &c, &segment_home_ops, g, g->pages);
	/* Without one, pages are replicated on request alone. */
	(void)!segment_engine_create(r->policy, env->machine, c.nr_pages,
				     fds[2], &g->engine);
	*out = g;
	return 0;
}

void segment_home_destroy(struct segment_home *g)
{
	segment_engine_destroy(g->engine);
	for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++)
		home_link_end(g, i);
	for (unsigned i = 0; i < MAX_NODES; i++)
		fds_drop(&g->replicas[i]);
	if (g->base)
		(void)munmap((void *)(uintptr_t)g->base, g->bytes);
	if (g->pages)
		(void)munmap(g->pages,
			     g->bytes / PAGE_BYTES * sizeof(*g->pages));
	region_destroy(&g->shown);
	fds_drop(&g->fd);
	free(g);
}
