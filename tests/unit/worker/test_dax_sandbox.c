/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A region out of a cache, the I/O thread and the pager each inside its filter:
 * a call that is missing there would be SIGSYS.
 */
#include <errno.h>
#include <sys/wait.h>

#include "monitor/sandbox/sandbox.h"
#include "tests/unit/cache/dax_cache_bench.h"

#define CUT 300u /* pages of the base that are left */

/* Threads that wait for their turn: none is made inside the filter. */
static struct guest {
	struct bench *b;
	uint64_t page;
	_Atomic(bool) go, done;
	int err;
} guests[4] = {
	{ .page = 5 }, { .page = 100 }, { .page = 200 }, { .page = 400 }
};

static int store_fds[2][3];

/* No assertions here: what they would do is forbidden. */
static void check(bool ok, int code)
{
	if (!ok)
		_exit(code);
}

/* As KVM does, through the kernel. */
static void *guest_main(void *arg)
{
	struct guest *g = arg;
	int fds[2];

	check(pipe(fds) == 0, 30);
	while (!atomic_load(&g->go))
		(void)poll(NULL, 0, 1);
	g->err = write(fds[1], bench_at(g->b, g->page), 1) < 0 ? errno : 0;
	atomic_store(&g->done, true);
	return NULL;
}

static void run(struct bench *b, struct guest *g)
{
	atomic_store(&g->go, true);
	while (!atomic_load(&g->done))
		bench_turn(b, 1);
}

static void attach(struct bench *b, nodeid_t node)
{
	const int *fds = store_fds[node];

	check(cache_attach(b->c, AGENT_DISK, node, BYTES, fds[0], fds[1],
			   fds[2]) == 0,
	      10);
}

static void work(struct bench *b)
{
	struct pager_stats s;

	attach(b, 0);
	check(dax_rebase(b->dax, b->pagemap) == 0, 11);
	b->serves = true;
	run(b, &guests[0]); /* a miss, then a hit */
	check(guests[0].err == 0, 12);
	check(*bench_at(b, 6) == agent_byte(NEAR, 6 * PAGE_BYTES), 13);
	check(agent_evict(&b->near, 6), 14);
	/* Its own fault. */
	check(*bench_at(b, 150) == agent_byte(IN_FILE, 150 * PAGE_BYTES), 15);
	cache_set_home(b->c, 1);
	attach(b, 1);
	agent_fill(&b->far, 0, RUN * 2);
	check(dax_rebase(b->dax, b->pagemap) == 0, 16);
	run(b, &guests[1]);
	check(*bench_at(b, 100) == agent_byte(FAR, 100 * PAGE_BYTES), 17);
	cache_unlink(b->c);
	run(b, &guests[2]);
	pager_get_stats(b->p, &s);
	check(guests[2].err == 0 && s.copied_pages == 2, 18);
	run(b, &guests[3]); /* the base has no such page any more */
	check(guests[3].err == EFAULT, 19);
	_exit(0);
}

static void enter_pager(void)
{
	check(sandbox_drop() == 0 && sandbox_enter(SANDBOX_PAGER) == 0, 8);
}

static struct bench *prepare(void)
{
	struct bench *b;

	bench_in_pager = enter_pager;
	b = bench_make();
	agent_attach_fds(&b->near, store_fds[0]);
	agent_attach_fds(&b->far, store_fds[1]);
	assert_int_equal(ftruncate(b->base, (off_t)(CUT * PAGE_BYTES)), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(guests); i++) {
		pthread_t t;

		guests[i].b = b;
		assert_int_equal(
			pthread_create(&t, NULL, guest_main, &guests[i]), 0);
	}
	return b;
}

static void a_region_works_in_the_filters(void **state)
{
	struct pager *p;
	int status = 0, err;
	pid_t pid;

	(void)state;
#ifdef DISCO_SANITIZED
	SKIP("no filters in a build with sanitizers");
#endif
	err = pager_create(&p);
	if (err)
		SKIP("no userfaultfd: %s", strerror(-err));
	pager_destroy(p);
	pid = fork();
	if (pid == 0) {
		struct bench *b = prepare();

		(void)alarm((unsigned)wait_limit_ms(HANG_MS) / 1000);
		check(sandbox_drop() == 0 && sandbox_enter(SANDBOX_IO) == 0, 9);
		work(b);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_region_works_in_the_filters),
	};

	return cmocka_run_group_tests_name("dax_sandbox", tests, NULL, NULL);
}
