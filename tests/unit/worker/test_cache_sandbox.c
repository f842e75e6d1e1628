/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All a worker's cache does while a guest runs, inside the I/O thread's
 * filter: a call that is missing there would be SIGSYS.
 */
#include <poll.h>
#include <sys/wait.h>

#include "monitor/sandbox/sandbox.h"
#include "tests/unit/cache/cache_agent.h"

#define BLOCKS 64u
#define BYTES  (BLOCKS * PAGE_BYTES)

static struct world {
	int ram, file, pagemap;
	struct ram_view view;
	struct pmap *pm;
	struct cache *c;
	struct agent_store s[2];
	struct agent_link link[2];
	int store_fds[2][3], link_fds[2][4];
	struct io_fd plain;
	struct io *io;
} w;

static unsigned nr_done;

static void done(struct io_req *r, int err)
{
	(void)r;
	if (!err)
		nr_done++;
}

/* No assertions here: what they would do is forbidden. */
static void check(bool ok, int code)
{
	if (!ok)
		_exit(code);
}

static void turn(void)
{
	check(wait_readable(cache_event_fd(w.c)), 20);
	cache_ready(w.c);
	w.io->ops->complete(w.io);
}

static void read_blocks(struct io_req *r, struct iovec *v, unsigned first,
			unsigned nr)
{
	*v = (struct iovec){ w.view.hva, nr * (size_t)PAGE_BYTES };
	*r = (struct io_req){ .file = IO_BASE,
			      .offset = (uint64_t)first * PAGE_BYTES,
			      .iov = v,
			      .nr_iov = 1,
			      .done = done };
	w.io->ops->read(w.io, r);
}

static void attach(nodeid_t node)
{
	const int *fds = w.store_fds[node];

	check(cache_attach(w.c, AGENT_DISK, node, BYTES, fds[0], fds[1],
			   fds[2]) == 0,
	      10);
}

static void link_to(unsigned i)
{
	const int *fds = w.link_fds[i];

	check(cache_link(w.c, fds[0], fds[1], fds[2], fds[3]) == 0, 11);
}

static void work(void)
{
	struct cache_request q;
	struct cache_answer a = { 0 };
	uint64_t brought;
	struct io_req r;
	struct iovec v;

	cache_set_home(w.c, 0);
	attach(0);
	link_to(0);
	read_blocks(&r, &v, 0, 8); /* absent, then shown */
	check(nr_done == 0 && agent_recv(&w.link[0], &q), 12);
	agent_fill(&w.s[0], 0, 8);
	a.tag = q.tag;
	check(chan_try_send(&w.link[0].tx, &a) == 0, 13);
	turn();
	check(nr_done == 1 && agent_nr_leased(&w.s[0]) == 8, 14);
	cache_set_home(w.c, 1); /* moves */
	attach(1);
	link_to(1);
	agent_fill(&w.s[1], 0, 4);
	cache_prefetch(w.c);
	check(agent_recv(&w.link[1], &q) && q.first == 4, 15);
	check(pmap_rebase(w.pm, w.pagemap, cache_rehome, w.c) == 0, 16);
	check(agent_nr_leased(&w.s[0]) == 0, 17);
	agent_fill(&w.s[0], 8, 20);
	read_blocks(&r, &v, 8, 20);
	read_blocks(&r, &v, 8, 20); /* from afar twice: hot, copied, shown */
	check(nr_done == 3 && agent_recv(&w.link[1], &q), 22);
	check(q.kind == CACHE_REPLICATE, 23);
	agent_fill(&w.s[1], 8, 20);
	check(pmap_bring(w.pm, w.pagemap, 0, BLOCKS, cache_nearer, w.c,
			 &brought) == 0 &&
		      brought == 20,
	      24);
	w.c->patience_ns = 20000000;
	read_blocks(&r, &v, 30, 2); /* never answered */
	turn();
	check(nr_done == 4, 18);
	read_blocks(&r, &v, 0, 1);
	cache_unlink(w.c);
	read_blocks(&r, &v, 40, 1);
	check(nr_done == 6, 19);
	check(pmap_sweep(w.pm, w.pagemap, BLOCKS, NULL) >= 0, 21);
	_exit(0);
}

static void prepare(void)
{
	static uint8_t buf[BYTES];

	w.ram = memfd_create("ram", MFD_CLOEXEC);
	w.file = memfd_create("file", MFD_CLOEXEC);
	w.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(w.ram, BYTES), 0);
	assert_int_equal(pwrite(w.file, buf, BYTES, 0), BYTES);
	assert_int_equal(ram_view_create(&w.view, w.ram, BYTES), 0);
	assert_int_equal(pmap_create(&w.view, 1000, &w.pm), 0);
	assert_int_equal(cache_create(w.pm, &w.c), 0);
	w.c->patience_ns = LONG_NS;
	io_fd_init(&w.plain, w.file, w.file);
	assert_int_equal(cache_io(w.c, AGENT_DISK, &w.plain.io, &w.io), 0);
	for (unsigned i = 0; i < 2; i++) {
		agent_store_create(&w.s[i], i + 1, BYTES);
		agent_attach_fds(&w.s[i], w.store_fds[i]);
		agent_link_fds(&w.link[i], w.link_fds[i]);
	}
}

static void a_cache_works_in_the_filter(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
#ifdef DISCO_SANITIZED
	SKIP("no filters in a build with sanitizers");
#endif
	pid = fork();
	if (pid == 0) {
		prepare(); /* its own pagemap */
		check(sandbox_drop() == 0 && sandbox_enter(SANDBOX_IO) == 0, 9);
		work();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cache_works_in_the_filter),
	};

	return cmocka_run_group_tests_name("cache_sandbox", tests, NULL, NULL);
}
