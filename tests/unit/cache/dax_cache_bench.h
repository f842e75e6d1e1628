/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A region out of a buffer cache: the test is the I/O thread, threads of its
 * own are vCPUs, and the agent is stepped by hand (cache_agent.h). What a page
 * holds says where it came from.
 */
#ifndef TESTS_UNIT_COWDISK_DAX_CACHE_BENCH_H
#define TESTS_UNIT_COWDISK_DAX_CACHE_BENCH_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "cowdisk/dax/dax_internal.h"
#include "cowdisk/dax/pager.h"
#include "tests/unit/cache/cache_agent.h"
#include "tests/unit/cowdisk/cow_files.h"

#define BLOCKS 600u
#define BYTES  (BLOCKS * PAGE_BYTES - 1536u)
#define WHOLE  (BLOCKS - 1) /* the last one is a part of a page */
#define NEAR   1u	    /* where: node 0, home */
#define FAR    2u	    /* where: node 1 */
#define RUN    DAX_RUN_PAGES

struct bench {
	struct agent_store near, far;
	struct agent_link link;
	struct cache *c;
	struct pager *p;
	struct dax *dax;
	pthread_t thread;
	int base, cow; /* -1: none */
	int pagemap;
	bool linked;
	bool serves; /* turn() is the agent as well */
};

/* What its thread does first; NULL: nothing. */
static void (*bench_in_pager)(void);

static inline void *bench_pager(void *arg)
{
	if (bench_in_pager)
		bench_in_pager();
	pager_run(arg);
	return NULL;
}

static inline int bench_base(void)
{
	int fd = cow_temp_file(BYTES);

	agent_write_file(fd, IN_FILE, BYTES);
	return fd;
}

/* @cow: of this base, owned; -1: none. */
static inline struct dax *bench_dax(int base, int cow, uint64_t budget)
{
	struct dax_source src = { .bytes = BYTES, .base = base, .cow = cow };
	const int fds[DISK_COW_FDS] = { base, cow, -1, -1 };
	const char *why = "";
	struct dax *d;

	if (cow >= 0)
		assert_int_equal(
			disk_open_cow(fds, false, DAX_DEPTH, &src.disk, &why),
			0);
	assert_int_equal(dax_create(&src, budget, &d), 0);
	return d;
}

static inline struct bench *bench_make_of(int base, int cow, uint64_t budget)
{
	struct bench *b = calloc(1, sizeof(*b));
	int err;

	assert_non_null(b);
	err = pager_create(&b->p);
	if (err) {
		free(b);
		SKIP("no userfaultfd: %s", strerror(-err));
	}
	b->base = base;
	b->cow = cow;
	b->dax = bench_dax(fcntl(base, F_DUPFD_CLOEXEC, 0),
			   cow < 0 ? -1 : fcntl(cow, F_DUPFD_CLOEXEC, 0),
			   budget);
	assert_int_equal(cache_create(NULL, &b->c), 0);
	b->c->patience_ns = LONG_NS;
	agent_store_create(&b->near, NEAR, BYTES);
	agent_store_create(&b->far, FAR, BYTES);
	cache_set_home(b->c, 0);
	assert_int_equal(agent_link_create(&b->link, b->c), 0);
	b->linked = true;
	b->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	assert_true(b->pagemap >= 0);
	assert_int_equal(dax_use_cache(b->dax, b->c, AGENT_DISK, b->p), 0);
	assert_int_equal(pthread_create(&b->thread, NULL, bench_pager, b->p),
			 0);
	return b;
}

static inline struct bench *bench_make(void)
{
	return bench_make_of(bench_base(), -1, 1000);
}

static inline void bench_attach(struct bench *b, nodeid_t node)
{
	assert_int_equal(agent_attach(node ? &b->far : &b->near, b->c, node),
			 0);
}

/* With the cache of node 0 shown. */
static inline struct bench *bench_shown(void)
{
	struct bench *b = bench_make();

	bench_attach(b, 0);
	assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
	return b;
}

static inline void bench_unlink(struct bench *b)
{
	if (b->linked)
		agent_link_destroy(&b->link);
	b->linked = false;
}

static inline void bench_destroy(struct bench *b)
{
	assert_int_equal(agent_nr_leased(&b->near), 0);
	assert_int_equal(agent_nr_leased(&b->far), 0);
	pager_stop(b->p);
	assert_int_equal(pthread_join(b->thread, NULL), 0);
	dax_destroy(b->dax);
	assert_int_equal(b->c->nr_waits, 0);
	cache_destroy(b->c);
	bench_unlink(b);
	pager_destroy(b->p);
	agent_store_destroy(&b->near);
	agent_store_destroy(&b->far);
	(void)close(b->pagemap);
	(void)close(b->base);
	if (b->cow >= 0)
		(void)close(b->cow);
	free(b);
}

static inline uint8_t *bench_at(const struct bench *b, uint64_t page)
{
	return dax_window(b->dax)->hva + page * PAGE_BYTES;
}

static inline struct pager_stats bench_pager_stats(const struct bench *b)
{
	struct pager_stats s;

	pager_get_stats(b->p, &s);
	return s;
}

static inline struct dax_stats bench_stats(const struct bench *b)
{
	struct dax_stats s;

	dax_get_stats(b->dax, &s);
	return s;
}

/* What waits in the link, filled and answered. */
static inline void bench_answer(struct bench *b)
{
	struct cache_request q;

	while (b->linked && agent_recv(&b->link, &q)) {
		agent_fill(&b->near, q.first, q.nr);
		if (q.kind == CACHE_FILL)
			agent_answer(&b->link, q.tag, q.nr, 0);
	}
}

/* What a worker's loop does, once; waits at most @ms. */
static inline void bench_turn(struct bench *b, int ms)
{
	struct pollfd p[] = { { .fd = cache_event_fd(b->c), .events = POLLIN },
			      { .fd = pager_event_fd(b->p),
				.events = POLLIN } };

	if (b->serves)
		bench_answer(b);
	(void)poll(p, ARRAY_SIZE(p), ms);
	if (p[0].revents)
		cache_ready(b->c);
	if (p[1].revents)
		pager_ready(b->p);
}

/* A "vCPU" that touches a page. */
struct toucher {
	pthread_t thread;
	uint8_t *at;
	bool write;
	int sees; /* a byte */
	_Atomic(bool) done;
};

static inline void *touch_main(void *arg)
{
	struct toucher *t = arg;

	if (t->write)
		*(volatile uint8_t *)t->at = 0xc7;
	t->sees = *(volatile uint8_t *)t->at;
	atomic_store(&t->done, true);
	return NULL;
}

static inline void touch_start(struct toucher *t, const struct bench *b,
			       uint64_t page, bool write)
{
	*t = (struct toucher){ .at = bench_at(b, page), .write = write };
	assert_int_equal(pthread_create(&t->thread, NULL, touch_main, t), 0);
}

static inline int touch_end(struct toucher *t)
{
	assert_int_equal(pthread_join(t->thread, NULL), 0);
	return t->sees;
}

/* The I/O thread does what it has to until the page is there. */
static inline void touch_wait(struct toucher *t, struct bench *b)
{
	uint64_t end = wait_end_ns();

	while (!atomic_load(&t->done)) {
		bench_turn(b, 1);
		if (clock_now_ns() > end)
			fail_msg("a fault is not served");
	}
}

static inline int touch(struct bench *b, uint64_t page, bool write)
{
	struct toucher t;

	touch_start(&t, b, page, write);
	touch_wait(&t, b);
	return touch_end(&t);
}

/* A page comes from @where, all of it. */
static inline void expect_page(struct bench *b, uint64_t page, unsigned where)
{
	assert_int_equal(touch(b, page, false),
			 agent_byte(where, page * PAGE_BYTES));
	assert_bytes(bench_at(b, page), where, page * PAGE_BYTES, PAGE_BYTES);
}

#endif
