/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A home and several holders, each with a view of one segment that the kernel
 * protects, and threads that read and write through these views, while pages are
 * replicated, collapsed and reclaimed all the time. A writer adds 1 to a word of
 * a page and then says so; who reads the word afterwards must find it: anything
 * less is a stale read. At the end all sums are right, and no copy and no
 * reference to one is left.
 *
 * Messages go over sockets, to keep the test short; channels have their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/replica/home.h"
#include "memory/replica/segment_map.h"
#include "tests/unit/support.h"

#define PAGES	 64u
#define BYTES	 ((uint64_t)PAGES * PAGE_BYTES)
#define HOLDERS	 4u
#define NODES	 2u
#define THREADS	 (2 * HOLDERS)
#define LIMIT	 40u /* copies per node: less than the pages */
#define WRITE_IN 64u /* one operation in so many is a write */

struct view {
	unsigned index;
	struct segment_map map;
	struct holder holder;
	int to_home, faults[2];
	pthread_t waiter, runner;
};

static int segment, replicas[NODES], socks[HOLDERS];
static uint8_t *base; /* the home's view of the segment */
static struct view views[HOLDERS];
static struct home home;
static struct home_page pages[PAGES];
static _Atomic(uint64_t) shadow[PAGES], written[PAGES];
static _Atomic(uint64_t) operations, stale, requests;
static _Atomic(bool) stop, end, failed;
static uint64_t wanted_operations;

/* --- the home ------------------------------------------------------------ */

static bool op_send(void *arg, unsigned holder, const struct replica_msg *m)
{
	(void)arg;
	return send(socks[holder], m, sizeof(*m), 0) == (ssize_t)sizeof(*m);
}

static int op_copy(void *arg, uint32_t page, unsigned node)
{
	off_t at = (off_t)page * PAGE_BYTES;

	(void)arg;
	return pwrite(replicas[node], base + at, PAGE_BYTES, at) ==
			       (ssize_t)PAGE_BYTES
		       ? 0
		       : -ENOMEM;
}

static void op_drop(void *arg, uint32_t page, unsigned node)
{
	(void)arg;
	if (fallocate(replicas[node],
		      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)page * PAGE_BYTES, PAGE_BYTES) < 0)
		failed = true;
}

static void op_late(void *arg, unsigned holder)
{
	(void)arg;
	(void)holder;
	failed = true;
}

static const struct home_ops home_ops = { op_send, op_copy, op_drop, op_late,
					  NULL };

static void home_messages(void)
{
	struct pollfd p[HOLDERS];
	struct replica_msg m;

	for (unsigned i = 0; i < HOLDERS; i++)
		p[i] = (struct pollfd){ .fd = socks[i], .events = POLLIN };
	if (poll(p, HOLDERS, 1) <= 0)
		return;
	for (unsigned i = 0; i < HOLDERS; i++)
		while (recv(socks[i], &m, sizeof(m), MSG_DONTWAIT) ==
		       (ssize_t)sizeof(m))
			if (home_receive(&home, i, &m, clock_now_ns()))
				failed = true;
}

/* Some page or other, over and over; at the end none. */
static void home_requests(unsigned *seed)
{
	for (unsigned i = 0; i < 8 && !stop; i++) {
		uint32_t page = (uint32_t)rand_r(seed) % PAGES;

		if (rand_r(seed) % 32 == 0)
			home_collapse(&home, page, clock_now_ns());
		else
			(void)!home_replicate(&home, page, 3, clock_now_ns());
		requests++;
	}
}

static void *home_main(void *arg)
{
	unsigned seed = 4711;

	(void)arg;
	while (!end) {
		home_messages();
		home_requests(&seed);
		for (uint32_t p = 0; stop && p < PAGES; p++)
			home_collapse(&home, p, clock_now_ns());
		(void)home_turn(&home, clock_now_ns());
		if (stop && home_is_plain(&home))
			end = true;
	}
	return NULL;
}

/* --- holders ------------------------------------------------------------- */

static int view_protect(void *arg, uint32_t first, uint32_t nr)
{
	return segment_map_protect(&((struct view *)arg)->map, first, nr);
}

static int view_show(void *arg, uint32_t page)
{
	return segment_map_show(&((struct view *)arg)->map, page);
}

static int view_hide(void *arg, uint32_t page, struct holder_range *hidden)
{
	return segment_map_hide(&((struct view *)arg)->map, page, hidden);
}

static void view_allow(void *arg, uint32_t first, uint32_t nr)
{
	segment_map_allow(&((struct view *)arg)->map, first, nr);
}

static bool view_send(void *arg, const struct replica_msg *m)
{
	return send(((struct view *)arg)->to_home, m, sizeof(*m), 0) ==
	       (ssize_t)sizeof(*m);
}

static const struct holder_ops view_ops = { view_protect, view_show, view_hide,
					    view_allow, view_send };

static void *wait_main(void *arg)
{
	struct view *v = arg;
	uint64_t page;

	while (segment_map_wait(&v->map, &page) == 0)
		if (write(v->faults[1], &page, sizeof(page)) < 0)
			break;
	return NULL;
}

static void *run_main(void *arg)
{
	struct view *v = arg;

	while (!end) {
		struct pollfd p[] = { { .fd = v->to_home, .events = POLLIN },
				      { .fd = v->faults[0],
					.events = POLLIN } };
		struct replica_msg m;
		uint64_t page;

		if (poll(p, 2, 10) <= 0)
			continue;
		if (p[1].revents &&
		    read(v->faults[0], &page, sizeof(page)) ==
			    (ssize_t)sizeof(page) &&
		    holder_fault(&v->holder, page))
			failed = true;
		if (p[0].revents &&
		    recv(v->to_home, &m, sizeof(m), MSG_DONTWAIT) ==
			    (ssize_t)sizeof(m) &&
		    holder_receive(&v->holder, &m))
			failed = true;
	}
	return NULL;
}

/* --- guests -------------------------------------------------------------- */

static _Atomic(uint64_t) *word_of(const struct view *v, uint32_t page)
{
	return (_Atomic(uint64_t) *)(void *)(v->map.base + page * PAGE_BYTES +
					     8 * (page % 512));
}

static void guest_write(struct view *v, uint32_t page)
{
	uint64_t value = atomic_fetch_add(word_of(v, page), 1) + 1;
	uint64_t seen = atomic_load(&shadow[page]);

	written[page]++;
	while (seen < value &&
	       !atomic_compare_exchange_weak(&shadow[page], &seen, value))
		;
}

static void *guest_main(void *arg)
{
	struct view *v = &views[(uintptr_t)arg % HOLDERS];
	unsigned seed = (unsigned)(uintptr_t)arg + 1;
	uint64_t mine = wanted_operations / THREADS;

	for (uint64_t i = 0; i < mine; i++) {
		uint32_t page = (uint32_t)rand_r(&seed) % PAGES;
		uint64_t least;

		if (rand_r(&seed) % WRITE_IN == 0) {
			guest_write(v, page);
			continue;
		}
		least = atomic_load(&shadow[page]);
		if (atomic_load(word_of(v, page)) < least)
			stale++;
	}
	operations += mine;
	return NULL;
}

/* --- all of it ----------------------------------------------------------- */

static int memory(void)
{
	int fd = memfd_create("stress", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	return fd;
}

static void start_view(unsigned i)
{
	struct view *v = &views[i];
	char path[32];
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	socks[i] = pair[0];
	v->to_home = pair[1];
	v->index = i;
	assert_int_equal(pipe(v->faults), 0);
	assert_int_equal(segment_map_create(&v->map, segment, BYTES, true), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d",
		       replicas[i % NODES]);
	segment_map_set_replicas(&v->map, open(path, O_RDONLY | O_CLOEXEC));
	holder_init(&v->holder, PAGES, &view_ops, v, v->map.shown,
		    v->map.waiting);
	assert_int_equal(pthread_create(&v->waiter, NULL, wait_main, v), 0);
	assert_int_equal(pthread_create(&v->runner, NULL, run_main, v), 0);
	home_add(&home, i, i % NODES, clock_now_ns());
}

static void check_end(void)
{
	struct stat st;

	for (uint32_t p = 0; p < PAGES; p++) {
		uint64_t *w = (uint64_t *)(void *)(base + p * PAGE_BYTES +
						   8 * (p % 512));

		assert_int_equal(*w, written[p]);
		assert_int_equal(pages[p].held, 0);
		assert_int_equal(pages[p].copied, 0);
		assert_int_equal(pages[p].pending, 0);
	}
	for (unsigned n = 0; n < NODES; n++) {
		assert_int_equal(home.stats.copies[n], 0);
		assert_int_equal(fstat(replicas[n], &st), 0);
		assert_int_equal(st.st_blocks, 0);
	}
	for (unsigned i = 0; i < HOLDERS; i++) {
		assert_int_equal(views[i].holder.nr_shown, 0);
		assert_int_equal(views[i].map.nr_runs, 0);
	}
}

static void no_read_is_stale(void **state)
{
	const struct home_config c = { .nr_pages = PAGES,
				       .trial_ns = 100000,
				       .bound_ns = 60000000000ull,
				       .backoff_ns = 100000,
				       .limit = LIMIT };
	pthread_t threads[THREADS], owner;
	const char *ops = getenv("DISCO_STRESS_OPERATIONS");

	(void)state;
	wanted_operations = ops ? strtoull(ops, NULL, 10) : 100000;
	segment = memory();
	for (unsigned n = 0; n < NODES; n++)
		replicas[n] = memory();
	base = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, segment, 0);
	assert_true(base != MAP_FAILED);
	home_init(&home, &c, &home_ops, NULL, pages);
	for (unsigned i = 0; i < HOLDERS; i++)
		start_view(i);
	home_complete(&home);
	assert_int_equal(pthread_create(&owner, NULL, home_main, NULL), 0);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, guest_main,
						(void *)i),
				 0);
	for (unsigned i = 0; i < THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	stop = true;
	(void)pthread_join(owner, NULL);
	for (unsigned i = 0; i < HOLDERS; i++)
		(void)pthread_join(views[i].runner, NULL);
	print_message(
		"# %llu reads and writes, %llu requests; %llu copies, %llu "
		"pages collapsed by a write, %llu reclaimed, %llu "
		"disproved; %llu stale reads\n",
		(unsigned long long)operations, (unsigned long long)requests,
		(unsigned long long)home.stats.replicated,
		(unsigned long long)home.stats.collapsed,
		(unsigned long long)home.stats.reclaimed,
		(unsigned long long)home.stats.disproved,
		(unsigned long long)stale);
	assert_int_equal(stale, 0);
	assert_false(failed);
	assert_true(home.stats.replicated > 0 && home.stats.collapsed > 0);
	check_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
		no_read_is_stale) };
	int err = segment_map_probe();

	if (err) {
		print_message(
			"# skip: no write-protection by userfaultfd: %s\n",
			strerror(-err));
		return 0;
	}
	return cmocka_run_group_tests_name("replica_stress", tests, NULL, NULL);
}
