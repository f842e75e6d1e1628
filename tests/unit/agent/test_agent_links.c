/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An agent in a child, in its sandbox; the test is control, and plays workers
 * that ask, that do not take answers, and that write garbage everywhere.
 */
#include <numaif.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include "tests/unit/agent/agent_guests.h"

/* --- what it does --- */

static void fills_are_answered(void **state)
{
	struct guest g, h;

	(void)state;
	guest_start(&g, 1);
	guest_start(&h, 2);
	for (uint64_t b = 0; b < 1000; b += 40) {
		fill(&g, b, 16);
		fill(&h, b, 16);
	}
	fill(&g, w.nr_blocks - 3, 3);
	assert_true(FIGURE(magic) == AGENT_FIGURES_MAGIC);
	wait_figure(&figures->requests, 51);
	wait_figure(&figures->present_blocks, 25 * 16 + 3);
	assert_int_equal(FIGURE(links), 2);
	assert_int_equal(FIGURE(links_lost), 0);
	assert_int_equal(FIGURE(asked_blocks), 25 * 32 + 3);
	assert_int_equal(FIGURE(present_blocks), 25 * 16 + 3);
	/* The last read brings a sector, and no more. */
	assert_int_equal(FIGURE(read_bytes),
			 (25 * 16 + 2) * (uint64_t)PAGE_BYTES + 512);
	guest_end(&g);
	expect(AGENT_LINK_LOST, 1, EPIPE);
	agent_lives();
	agent_rests();
	fill(&h, 3000, 1);
	agent_rests();
	guest_end(&h);
}

/* Who asks all the time keeps neither others waiting nor itself awake. */
static void many_requests_at_once(void **state)
{
	struct guest g, h;
	struct cache_answer a;
	unsigned asked = 0, heard = 0;

	(void)state;
	guest_start(&g, 1);
	guest_start(&h, 2);
	fill(&g, 0, 1);
	g.requests.nr_wakeups = 0;
	while (heard < 20000) {
		while (asked - heard < CACHE_LINK_SLOTS &&
		       ask(&g, 0, asked * 7 % 1000, 2, asked) == 0)
			asked++;
		while (chan_try_recv(&g.answers, &a) == 0) {
			assert_int_equal(a.error, 0);
			heard++;
		}
		if (heard % 1000 == 0)
			fill(&h, 2000 + heard / 1000, 1);
	}
	print_message("# %u requests, %u wake-ups\n", heard,
		      (unsigned)g.requests.nr_wakeups);
	assert_true(g.requests.nr_wakeups < heard);
	guest_end(&g);
	guest_end(&h);
}

/* Stopped: it takes no answers, and asks no more. */
static void answers_that_nobody_takes(void **state)
{
	struct guest g, h;

	(void)state;
	guest_start(&g, 1);
	guest_start(&h, 2);
	fill(&g, 0, 64);
	for (unsigned i = 0; i < 3 * CACHE_LINK_SLOTS;)
		if (ask(&g, 0, i % 64, 1, i) == 0)
			i++;
	wait_figure(&figures->answers_lost, 2 * CACHE_LINK_SLOTS);
	for (uint64_t b = 100; b < 600; b += 10)
		fill(&h, b, 5);
	agent_lives();
	assert_int_equal(FIGURE(links), 2);
	/* It goes on, and takes what there was room for. */
	for (unsigned i = 0; i < CACHE_LINK_SLOTS; i++)
		assert_int_equal(hear_answer(&g).tag, i);
	fill(&g, 0, 3);
	guest_end(&g);
	guest_end(&h);
}

static void what_is_not_there(void **state)
{
	static const struct {
		struct cache_request q;
		int err;
	} bad[] = {
		{ { CACHE_FILL, 0, 0, 0, 1 }, EINVAL },
		{ { CACHE_FILL, 0, 0, CACHE_FILL_MAX + 1, 1 }, EINVAL },
		{ { CACHE_FILL, 0, 4096, 2, 1 }, EINVAL },
		{ { CACHE_FILL, 0, UINT64_MAX, 1, 1 }, EINVAL },
		{ { CACHE_AHEAD, 0, UINT64_MAX, 1, 1 }, EINVAL },
		{ { CACHE_AHEAD, 0, 0, 0, 1 }, EINVAL },
		{ { CACHE_FILL, 1, 0, 1, 1 }, EINVAL },
		{ { CACHE_FILL, VM_MAX_CACHED, 0, 1, 1 }, EINVAL },
		{ { CACHE_FILL, UINT32_MAX, 0, 1, 1 }, EINVAL },
		{ { CACHE_REPLICATE, 0, 0, 0, 1 }, EINVAL },
		{ { CACHE_REPLICATE, 0, 4096, 2, 1 }, EINVAL },
		{ { CACHE_REPLICATE, 0, UINT64_MAX, 1, 1 }, EINVAL },
		{ { CACHE_REPLICATE, 0, 0, CACHE_FILL_MAX + 1, 1 }, EINVAL },
		{ { CACHE_REPLICATE, 1, 0, 1, 1 }, EINVAL },
		{ { 0, 0, 0, 1, 1 }, EPROTO },
		{ { 4, 0, 0, 1, 1 }, EPROTO },
	};
	struct guest g, h;

	(void)state;
	guest_start(&h, 1000);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		guest_start(&g, i);
		assert_int_equal(chan_try_send(&g.requests, &bad[i].q), 0);
		expect(AGENT_LINK_LOST, i, bad[i].err);
		fill(&h, 40 * i, 7);
		/* Its end, and a disk of it, crossed the message. */
		guest_reads(&g, 1);
		tell_id(AGENT_LINK_END, i);
		guest_end(&g);
	}
	agent_lives();
	wait_figure(&figures->links_lost, ARRAY_SIZE(bad));
	wait_figure(&figures->links, 1);
	guest_end(&h);
}

/* Control tells the agent first, then the worker, which asks at once. */
static void a_disk_that_has_just_come(void **state)
{
	struct guest g;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		guest_link(&g, i);
		(void)usleep((unsigned)random() % 300);
		guest_reads(&g, 0);
		fill(&g, i * 20 % 4000, 2);
		tell_id(AGENT_LINK_END, i);
		guest_end(&g);
	}
	agent_lives();
	assert_int_equal(FIGURE(links_lost), 0);
}

/* In the order in which an agent cannot be made to read it from outside. */
static void a_request_in_doubt(void **state)
{
	struct link_counts counts = { 0 };
	struct store_reader *reader;
	struct pool *p;
	struct guest g;
	struct link *k;
	int fds[LINK_FDS];

	(void)state;
	world_init(&w, BYTES, 0);
	assert_int_equal(pool_create(MIB(8), 4, &p), 0);
	world_open(&w, p);
	guest_make(&g, 1, fds);
	assert_int_equal(region_create(&g.lease, "lease",
				       lease_map_bytes(w.nr_blocks), NODE_AUTO,
				       0),
			 0);
	fds[0] = copy_fd(fds[0]);
	fds[1] = copy_fd(fds[1]);
	assert_int_equal(link_open(1, &counts, fds, &k), 0);
	assert_int_equal(ask(&g, 3, 8, 2, 1), 0);
	link_turn(k);
	assert_true(k->in_doubt && k->awake);
	assert_int_equal(k->error, 0);
	/* Control's message was on its way. */
	assert_int_equal(
		store_reader_add(w.store, copy_fd(g.lease.fd), &reader), 0);
	link_set_disk(k, 3, reader, STORE);
	link_turn(k);
	assert_false(k->in_doubt);
	assert_int_equal(k->error, 0);
	assert_int_equal(hear_answer(&g).nr, 2);
	assert_int_equal(counts.requests, 1);
	/* Nothing was on its way. */
	assert_int_equal(ask(&g, 4, 8, 2, 1), 0);
	link_wake(k, EPOLLIN);
	link_turn(k);
	assert_true(k->in_doubt);
	link_turn(k);
	assert_int_equal(k->error, -EINVAL);
	link_close(k);
	guest_end(&g);
	world_end(&w);
}

static uint64_t seed;

static uint64_t noise(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return seed ^ seed >> 29;
}

enum scribbling { EVERYWHERE, NOT_INDEXES, NOT_RINGS };

/* Does the word hold an index: head, sleep, or tail? */
static bool is_index(size_t word)
{
	return word < 64 || word == CACHE_LINK_RING_OFF / 4;
}

/*
 * Its region, lease map, and socket, while the agent works. Small numbers now
 * and then: they pass more checks.
 */
static void scribble(struct guest *g, enum scribbling where)
{
	volatile uint32_t *words = g->own.base;
	volatile uint64_t *lease = g->lease.base;
	size_t nr = CACHE_LINK_BYTES / sizeof(*words);
	uint32_t *tail = (void *)((char *)g->own.base + CACHE_LINK_RING_OFF);

	for (unsigned n = 0; n < 4000; n++) {
		size_t at = noise() % nr;
		uint64_t v = noise();

		if (where == EVERYWHERE ||
		    (where == NOT_INDEXES && !is_index(at)))
			words[at] = v & 1 ? (uint32_t)v : (uint32_t)v % 512;
		lease[noise() % (lease_map_bytes(w.nr_blocks) / 8)] = v;
		if (where != NOT_RINGS && seed % 8 == 0) /* of garbage */
			__atomic_fetch_add(tail, 1 + v % 3, __ATOMIC_RELEASE);
		if (v % 64 == 0)
			(void)!send(g->wake_tx, "garbage", 7,
				    MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	(void)!send(g->wake_tx, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Whichever end it makes of itself, the others do not notice. */
static void garbage_everywhere(void **state)
{
	unsigned lost = 0;
	struct guest h;

	(void)state;
	guest_start(&h, 1000);
	for (unsigned i = 0; i < 60; i++) {
		struct agent_answer a;
		struct guest g;

		seed = i;
		guest_start(&g, i);
		fill(&g, i, 1);
		for (unsigned n = 0; n < 4; n++) {
			scribble(&g, i % 3);
			fill(&h, 200 + 60 * (i % 50) + 10 * n, 5);
		}
		while (listen_for(&a, 5) == 1) {
			assert_int_equal(a.kind, AGENT_LINK_LOST);
			assert_int_equal(a.link_lost.link, i);
			assert_true(i % 3 != NOT_RINGS);
			assert_true(a.link_lost.error == EPROTO ||
				    a.link_lost.error == EINVAL);
			lost++;
		}
		tell_id(AGENT_LINK_END, i);
		guest_end(&g);
	}
	agent_lives();
	wait_figure(&figures->links_lost, lost);
	print_message("# %u of 60 links lost\n", lost);
	assert_int_equal(lost, 40);
	(void)memset(h.lease.base, 0, lease_map_bytes(w.nr_blocks));
	guest_end(&h);
}

/* Nothing but leases that lie: they keep pages, no more. */
static void a_worker_that_leases_all(void **state)
{
	struct cache_answer a;
	struct guest g, h;

	(void)state;
	guest_start(&g, 1);
	guest_start(&h, 2);
	memset(g.lease.base, 0xff, lease_map_bytes(w.nr_blocks));
	for (uint64_t b = 0; b < 2048; b += 256)
		fill(&h, b, 256);
	assert_int_equal(ask(&h, 0, 3000, 5, 9), 0);
	a = hear_answer(&h);
	assert_int_equal(a.error, ENOSPC);
	assert_int_equal(a.nr, 0);
	/* Its end is the end of its leases. */
	tell_id(AGENT_LINK_END, 1);
	agent_lives();
	fill(&h, 3000, 5);
	guest_end(&g);
	guest_end(&h);
}

/* Nothing else wakes it: it goes on by itself, then it rests. */
static void a_smaller_limit(void **state)
{
	struct guest g;

	(void)state;
	tell_limit(MIB(32));
	guest_start(&g, 1);
	for (uint64_t b = 4000; b > 0; b -= 250)
		fill(&g, b - 250, 250);
	wait_figure(&figures->present_blocks, 4000);
	tell_limit(MIB(1));
	wait_figure(&figures->present_blocks, 256);
	wait_figure(&figures->evicted_blocks, 3744);
	agent_rests();
	fill(&g, 0, 16);
	guest_end(&g);
}

static void ends_with_reads_under_way(void **state)
{
	struct guest g, h;

	(void)state;
	tell_limit(MIB(32));
	guest_start(&h, 1000);
	for (unsigned i = 0; i < 40; i++) {
		guest_start(&g, i);
		for (unsigned n = 0; n < 16; n++)
			(void)ask(&g, 0, 256 * n, 256, n);
		(void)usleep((unsigned)random() % 2000);
		tell_id(AGENT_LINK_END, i);
		guest_end(&g);
		fill(&h, 100 * i, 3);
	}
	/* The store itself, and another one of the same files. */
	for (unsigned n = 0; n < 16; n++)
		(void)ask(&h, 0, 256 * n, 256, n);
	tell_id(AGENT_STORE_END, STORE);
	agent_lives();
	wait_figure(&figures->present_blocks, 0);
	/* What it asks for now is not there. */
	(void)ask(&h, 0, 0, 1, 1);
	expect(AGENT_LINK_LOST, 1000, EINVAL);
	guest_end(&h);
	wait_figure(&figures->links_lost, 1);
}

static void what_cannot_be_made(void **state)
{
	struct agent_request r = {
		.kind = AGENT_STORE,
		.store = { .store = 5, .image_bytes = BYTES + PAGE_BYTES }
	};
	int fds[4] = { w.image, w.memory, w.presence, sock };
	struct guest g;

	(void)state;
	tell(&r, fds, 3);
	expect(AGENT_STORE_LOST, 5, EINVAL);
	r.store.image_bytes = BYTES;
	tell(&r, fds, 2);
	expect(AGENT_STORE_LOST, 5, EBADF);
	r = (struct agent_request){ .kind = AGENT_LINK, .link.link = 6 };
	fds[2] = sock;
	tell(&r, fds, 4);
	expect(AGENT_LINK_LOST, 6, EPROTO);
	tell(&r, fds, 3);
	expect(AGENT_LINK_LOST, 6, EBADF);
	tell(&r, NULL, 0);
	expect(AGENT_LINK_LOST, 6, EBADF);
	/* Not what wakes anybody. */
	fds[3] = w.presence;
	tell(&r, fds, 4);
	expect(AGENT_LINK_LOST, 6, EBADF);
	/* A reader without a lease map, and with a wrong one. */
	guest_link(&g, 7);
	r = (struct agent_request){ .kind = AGENT_READER,
				    .reader = { .link = 7, .store = STORE } };
	tell(&r, NULL, 0);
	expect(AGENT_LINK_LOST, 7, EBADF);
	guest_end(&g);
	guest_link(&g, 8);
	r.reader.link = 8;
	tell(&r, &w.presence, 1);
	expect(AGENT_LINK_LOST, 8, EPROTO);
	guest_end(&g);
	agent_lives();
}

/* --- a pull --- */

static struct agent_request pull_of(pid_t pid, void *at, uint64_t bytes)
{
	return (struct agent_request){
		.kind = AGENT_PULL,
		.pull = { .what = AGENT_ANON,
			  .pid = pid,
			  .bound_ns = 20000000,
			  .nr_ranges = 1,
			  .ranges = { { (uintptr_t)at, bytes } } },
	};
}

static void begin_pull(pid_t pid, void *at, uint64_t bytes)
{
	struct agent_request r = pull_of(pid, at, bytes);
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	tell(&r, &fd, 1);
	(void)close(fd);
}

/* Nothing to move, and long: 4 TiB of addresses in which nothing is. */
static pid_t begin_long_pull(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)close(sock); /* the agent is to see its end */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)pause();
		_exit(0);
	}
	begin_pull(pid, (void *)(1ull << 40), 1ull << 42);
	return pid;
}

static void workers_do_not_wait_for_a_pull(void **state)
{
	struct agent_answer a = { 0 };
	struct guest g;
	unsigned fills = 0;
	pid_t pid;

	(void)state;
	if (move_pages(0, 0, NULL, NULL, NULL, 0) < 0)
		SKIP("no move_pages(2) here");
	guest_start(&g, 1);
	pid = begin_long_pull();
	for (; fills < 100; fills++)
		fill(&g, fills * 10, 4);
	/* A new link as well, and the end of one. */
	tell_id(AGENT_LINK_END, 1);
	guest_end(&g);
	guest_start(&g, 2);
	fill(&g, 0, 4);
	/* It is still at it. */
	while (listen_for(&a, 0) == 1)
		assert_int_equal(a.kind, AGENT_PROGRESS);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	while (a.kind != AGENT_DONE)
		assert_int_equal(listen_for(&a, 10000), 1);
	assert_int_equal(a.done.error, ESRCH);
	fill(&g, 1000, 4);
	guest_end(&g);
}

static void one_pull_at_a_time(void **state)
{
	struct agent_answer a;
	int status;
	pid_t pid;

	(void)state;
	if (move_pages(0, 0, NULL, NULL, NULL, 0) < 0) {
		(void)end(state);
		SKIP("no move_pages(2) here");
	}
	pid = begin_long_pull();
	begin_pull(pid, (void *)(1ull << 40), PAGE_BYTES);
	while (listen_for(&a, 10000) == 1)
		;
	status = status_at_end();
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EINVAL);
}

static void an_id_that_is_in_use(void **state)
{
	struct agent_answer a;
	int status;

	(void)state;
	tell_store(STORE);
	assert_int_equal(listen_for(&a, 10000), -1);
	status = status_at_end();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EINVAL);
}

#define SERVED(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(fills_are_answered),
		SERVED(many_requests_at_once),
		SERVED(answers_that_nobody_takes),
		SERVED(what_is_not_there),
		SERVED(a_disk_that_has_just_come),
		cmocka_unit_test(a_request_in_doubt),
		SERVED(garbage_everywhere),
		SERVED(a_worker_that_leases_all),
		SERVED(a_smaller_limit),
		SERVED(ends_with_reads_under_way),
		SERVED(what_cannot_be_made),
		SERVED(workers_do_not_wait_for_a_pull),
		cmocka_unit_test_setup_teardown(one_pull_at_a_time, start,
						NULL),
		cmocka_unit_test_setup_teardown(an_id_that_is_in_use, start,
						NULL),
	};

	return cmocka_run_group_tests_name("agent_links", tests, NULL, NULL);
}
