/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An agent in a child, in its sandbox; the test is control, and has workers'
 * ends of links to it.
 */
#ifndef TESTS_UNIT_MONITOR_AGENT_GUESTS_H
#define TESTS_UNIT_MONITOR_AGENT_GUESTS_H

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "disco/agent_proto.h"
#include "disco/limits.h"
#include "monitor/agent/link.h"
#include "monitor/agent/serve.h"
#include "monitor/ipc/agent_messages.h"
#include "monitor/sandbox/sandbox.h"
#include "tests/unit/cache/store_world.h"

#define STORE 77u
#define BYTES (MIB(16) + 512)

/* A worker's end of a link, and its lease map. */
struct guest {
	uint64_t id;
	struct region own, lease;
	int peer_fd; /* the agent's region, not taken yet */
	struct region_view peer;
	struct chan_tx requests;
	struct chan_rx answers;
	int wake_tx, wake_rx;
};

static struct world w;
static struct agent_figures *figures;
static struct region_view figures_view;
static pid_t agent;
static int sock;

/* --- control --- */

static _Noreturn void be_agent(int theirs)
{
	struct agent_server *a;
	int err = agent_create(theirs, &a);

	if (!err)
		err = sandbox_enter(SANDBOX_AGENT);
	if (!err)
		err = agent_serve(a);
	if (!err)
		agent_destroy(a);
	_exit(-err);
}

static void tell(const struct agent_request *r, const int *fds, unsigned nr)
{
	uint64_t end = wait_end_ns();
	int err;

	while ((err = fds_send(sock, r, agent_request_bytes(r), fds, nr,
			       MSG_DONTWAIT)) == -EAGAIN &&
	       clock_now_ns() < end)
		(void)usleep(100);
	assert_int_equal(err, 0);
}

/* -1: the agent is gone. */
static int listen_for(struct agent_answer *a, int ms)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };

	if (poll(&p, 1, ms) == 0)
		return 0;
	return agent_answer_receive(sock, a) ? -1 : 1;
}

/* @id: of a link, store, peer, or request. */
static void expect(enum agent_answer_kind kind, uint64_t id, int err)
{
	struct agent_answer a;
	uint64_t got = 0;
	uint32_t error = 0;

	assert_int_equal(listen_for(&a, (int)wait_limit_ms(HANG_MS)), 1);
	assert_int_equal(a.kind, kind);
	if (kind == AGENT_SYNCED)
		got = a.id;
	if (kind == AGENT_LINK_LOST) {
		got = a.link_lost.link;
		error = a.link_lost.error;
	}
	if (kind == AGENT_STORE_LOST) {
		got = a.store_lost.store;
		error = a.store_lost.error;
	}
	if (kind == AGENT_PEER_LOST) {
		got = a.peer_lost.peer;
		error = a.peer_lost.error;
	}
	assert_int_equal(got, id);
	assert_int_equal(error, err);
}

static void tell_limit(uint64_t bytes)
{
	struct agent_request r = { .kind = AGENT_LIMIT,
				   .limit.cache_bytes = bytes };

	tell(&r, NULL, 0);
}

/* One that names a link, a store or a peer; or a synchronisation. */
static void tell_id(enum agent_request_kind kind, uint64_t id)
{
	struct agent_request r = { .kind = kind };

	if (kind == AGENT_SYNC)
		r.id = id;
	if (kind == AGENT_STORE_END)
		r.store_end.store = id;
	if (kind == AGENT_LINK_END || kind == AGENT_LEASES)
		r.link.link = id;
	if (kind == AGENT_PEER_END)
		r.peer_end.peer = id;
	tell(&r, NULL, 0);
}

static void tell_store(uint64_t id)
{
	struct agent_request r = { .kind = AGENT_STORE,
				   .store = { .store = id,
					      .image_bytes = BYTES } };
	int fds[3] = { w.image, w.memory, w.presence };

	tell(&r, fds, 3);
}

static void tell_figures(void)
{
	struct agent_request r = { .kind = AGENT_FIGURES };
	int fd;

	assert_int_equal(
		region_prepare("figures", AGENT_FIGURES_BYTES, NODE_AUTO, &fd),
		0);
	assert_int_equal(region_attach(&figures_view, fd, AGENT_FIGURES_BYTES),
			 0);
	figures = (void *)(uintptr_t)figures_view.base;
	tell(&r, &fd, 1);
	(void)close(fd);
}

#define FIGURE(name) atomic_load(&figures->name)

static void wait_figure(_Atomic(uint64_t) *f, uint64_t value)
{
	WAIT_UNTIL(atomic_load(f) == value);
}

/* Still there: it does what it is told. */
static void agent_lives(void)
{
	static uint64_t limit = MIB(8);

	limit += PAGE_BYTES;
	tell_limit(limit);
	wait_figure(&figures->limit_blocks, limit / PAGE_BYTES);
	assert_int_equal(waitpid(agent, NULL, WNOHANG), 0);
	tell_limit(MIB(8));
}

static uint64_t agent_cpu_ns(void)
{
	struct timespec t;
	clockid_t c;

	assert_int_equal(clock_getcpuclockid(agent, &c), 0);
	assert_int_equal(clock_gettime(c, &t), 0);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* It does next to nothing for 200 ms: it sleeps now. */
static bool agent_sleeps(void)
{
	uint64_t before = agent_cpu_ns();

	(void)usleep(200000);
	return agent_cpu_ns() - before < 10000000;
}

/* It sleeps when its work is done, and does not go round and round. */
static void agent_rests(void)
{
	WAIT_UNTIL(agent_sleeps());
}

static int start(void **state)
{
	int pair[2];

	(void)state;
	world_init(&w, BYTES, O_DIRECT);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	agent = fork();
	if (agent == 0) {
		(void)close(pair[0]);
		be_agent(pair[1]);
	}
	(void)close(pair[1]);
	sock = pair[0];
	tell_figures();
	tell_store(STORE);
	tell_limit(MIB(8));
	return 0;
}

static int status_at_end(void)
{
	int status;

	(void)close(sock);
	assert_int_equal(waitpid(agent, &status, 0), agent);
	region_detach(&figures_view);
	world_end(&w);
	return status;
}

static int end(void **state)
{
	(void)state;
	return status_at_end();
}

/* --- workers --- */

/* @fds: what the agent gets; the last two are the caller's to close. */
static void guest_make(struct guest *g, uint64_t id, int fds[LINK_FDS])
{
	*g = (struct guest){ .id = id };
	assert_int_equal(region_create(&g->own, "worker", CACHE_LINK_BYTES,
				       NODE_AUTO, 0),
			 0);
	assert_int_equal(region_prepare("agent", CACHE_LINK_BYTES, NODE_AUTO,
					&g->peer_fd),
			 0);
	assert_int_equal(region_attach(&g->peer, g->peer_fd, CACHE_LINK_BYTES),
			 0);
	fds[0] = g->peer_fd;
	fds[1] = g->own.fd;
	assert_int_equal(chan_wake_create(&fds[2], &g->wake_rx), 0);
	assert_int_equal(chan_wake_create(&g->wake_tx, &fds[3]), 0);
	assert_int_equal(
		chan_tx_init(
			&g->requests, CACHE_REQUESTS,
			(void *)((char *)g->own.base + CACHE_LINK_RING_OFF),
			(const void *)((const char *)g->peer.base +
				       CACHE_LINK_READER_OFF),
			g->wake_tx),
		0);
	assert_int_equal(
		chan_rx_init(
			&g->answers, CACHE_ANSWERS,
			(void *)((char *)g->own.base + CACHE_LINK_READER_OFF),
			(const void *)((const char *)g->peer.base +
				       CACHE_LINK_RING_OFF),
			g->wake_rx),
		0);
}

static void guest_link(struct guest *g, uint64_t id)
{
	struct agent_request r = { .kind = AGENT_LINK, .link.link = id };
	int fds[LINK_FDS];

	guest_make(g, id, fds);
	tell(&r, fds, LINK_FDS);
	(void)close(fds[2]);
	(void)close(fds[3]);
}

static void guest_reads(struct guest *g, uint32_t disk)
{
	struct agent_request r = {
		.kind = AGENT_READER,
		.reader = { .link = g->id, .store = STORE, .disk = disk }
	};

	if (!g->lease.base)
		assert_int_equal(region_create(&g->lease, "lease",
					       lease_map_bytes(w.nr_blocks),
					       NODE_AUTO, 0),
				 0);
	tell(&r, &g->lease.fd, 1);
}

static void guest_start(struct guest *g, uint64_t id)
{
	guest_link(g, id);
	guest_reads(g, 0);
}

static void guest_end(struct guest *g)
{
	region_destroy(&g->own);
	region_destroy(&g->lease);
	region_detach(&g->peer);
	(void)close(g->peer_fd);
	(void)close(g->wake_tx);
	(void)close(g->wake_rx);
}

static int ask(struct guest *g, uint32_t disk, uint64_t first, uint32_t nr,
	       uint32_t tag)
{
	struct cache_request q = { .kind = CACHE_FILL,
				   .disk = disk,
				   .first = first,
				   .nr = nr,
				   .tag = tag };

	return chan_try_send(&g->requests, &q);
}

/* Wait for an answer, asleep. */
static struct cache_answer hear_answer(struct guest *g)
{
	struct cache_answer a = { 0 };
	int err;

	while ((err = chan_try_recv(&g->answers, &a)) == -EAGAIN) {
		if (chan_sleep_begin(&g->answers) == 0) {
			assert_true(wait_readable(g->wake_rx));
			chan_sleep_end(&g->answers);
		}
	}
	assert_int_equal(err, 0);
	return a;
}

static void fill(struct guest *g, uint64_t first, uint32_t nr)
{
	static uint32_t tag;
	struct cache_answer a;

	assert_int_equal(ask(g, 0, first, nr, ++tag), 0);
	a = hear_answer(g);
	assert_int_equal(a.tag, tag);
	assert_int_equal(a.error, 0);
	assert_int_equal(a.nr, nr);
	for (uint64_t b = first; b < first + nr; b++) {
		assert_true(presence_test(w.there, b));
		assert_true(block_right(&w, b));
	}
}

#endif
