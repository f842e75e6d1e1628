/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest with views whose pages are copied, written, collapsed and reclaimed
 * all the time, against a shadow model. Threads stand in for vCPUs, each with
 * the mapping of a view; one more is a device, which writes through a mapping
 * that nothing protects. A writer adds 1 to a word of a page and then says so;
 * who reads the word afterwards must find it: anything less is a stale read. At
 * the end all sums are right, and no copy is left. One more thread decides, at
 * the other end of a link: it asks for copies, and for moves to the first node,
 * which take pages out of page tables, wherever they are.
 *
 * DISCO_COPIES_OPERATIONS: reads and writes at least, 200000 without it, and with
 * ThreadSanitizer: it carries atomic operations out under locks of its own, with
 * which a thread then waits for its fault to be served; GCC 13's and later ones take
 * all of these locks after some million operations, and so wait for ever. They go on
 * until there were enough copies and collapses, too.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/replica/ram_copies.h"
#include "tests/unit/replica/copies_ends.h"
#include "tests/unit/support.h"

#define PAGES	 64u
#define BYTES	 ((uint64_t)PAGES * PAGE_BYTES)
#define VIEWS	 3u
#define VCPUS	 4u
#define LIMIT	 40u /* copies per view: less than the pages */
#define WRITE_IN 64u /* one operation in so many is a write */
#define BATCH	 100u

#define COPY_IN	    100u
#define COLLAPSE_IN 400u

static uint8_t *host, *raw;
static struct ram_copies *copies;
static _Atomic(uint64_t) shadow[PAGES], written[PAGES];
static _Atomic(uint64_t) operations, stale, asked, device_writes;
static _Atomic(bool) stop, failed;
static struct copies_link decider;
static uint64_t notes, moved, kept; /* its thread's, until it has ended */
static uint64_t wanted_operations;

static void when_failed(void *arg, int err)
{
	(void)arg;
	(void)err;
	failed = true;
}

static _Atomic(uint64_t) *word_of(uint8_t *base, uint32_t page)
{
	return (_Atomic(uint64_t) *)(void *)(base + page * PAGE_BYTES +
					     8 * (page % 512));
}

static void write_word(uint8_t *base, uint32_t page)
{
	uint64_t value = atomic_fetch_add(word_of(base, page), 1) + 1;
	uint64_t seen = atomic_load(&shadow[page]);

	written[page]++;
	while (seen < value &&
	       !atomic_compare_exchange_weak(&shadow[page], &seen, value))
		;
}

static void read_word(uint8_t *base, uint32_t page)
{
	uint64_t least = atomic_load(&shadow[page]);

	if (atomic_load(word_of(base, page)) < least)
		stale++;
}

/* One page in so many operations is copied, and collapsed by a write. */
static bool enough(void)
{
	struct ram_copies_stats s;

	ram_copies_read_stats(copies, &s);
	return operations >= wanted_operations &&
	       s.replicated >= wanted_operations / COPY_IN &&
	       s.collapsed >= wanted_operations / COLLAPSE_IN;
}

static void *vcpu_main(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg + 1;
	uint8_t *base =
		ram_copies_base(copies, (unsigned)((uintptr_t)arg % VIEWS));

	while (!enough() && !failed) {
		for (unsigned i = 0; i < BATCH; i++) {
			uint32_t page = (uint32_t)rand_r(&seed) % PAGES;

			if (rand_r(&seed) % WRITE_IN == 0)
				write_word(base, page);
			else
				read_word(base, page);
		}
		operations += BATCH;
	}
	return NULL;
}

/* The I/O thread: of its writes, some fault, and some must not need to. */
static void *device_main(void *arg)
{
	unsigned seed = 815;

	(void)arg;
	while (!stop && !failed) {
		uint32_t page = (uint32_t)rand_r(&seed) % PAGES;

		for (unsigned i = 0; i < 64; i++)
			read_word(host, (uint32_t)rand_r(&seed) % PAGES);
		if (rand_r(&seed) % 2) {
			write_word(host, page);
		} else {
			ram_copies_change(copies, page * PAGE_BYTES, 1);
			ram_copies_ask(copies, page, 7);
			(void)usleep(rand_r(&seed) % 500);
			write_word(raw, page);
			ram_copies_idle(copies);
		}
		device_writes++;
		(void)usleep(300);
	}
	return NULL;
}

static void *ask_main(void *arg)
{
	unsigned seed = 4711;

	(void)arg;
	while (!stop && !failed) {
		uint32_t page = (uint32_t)rand_r(&seed) % PAGES;
		uint64_t views = (uint64_t)rand_r(&seed) % 8;

		ram_copies_ask(copies, page,
			       rand_r(&seed) % 16 ? views | 1 : 0);
		asked++;
		if (rand_r(&seed) % 8 == 0)
			(void)usleep(100);
	}
	return NULL;
}

/* Who decides, as an agent does: in turns. */
static void *decide_main(void *arg)
{
	struct copies_note n = { 0 };
	unsigned seed = 1147;

	(void)arg;
	while (!stop && !failed) {
		for (unsigned i = 0; i < 8; i++) {
			n = (struct copies_note){
				.page = (uint32_t)rand_r(&seed) % PAGES,
				.kind = i % 2 ? COPIES_MOVE : COPIES_REPLICATE,
				.node = i % 2 ? 0 : NODE_AUTO,
			};
			(void)!chan_try_send(&decider.tx, &n);
		}
		(void)usleep(rand_r(&seed) % 500);
		while (chan_try_recv(&decider.rx, &n) == 0) {
			notes++;
			moved += n.kind == COPIES_MOVED;
			kept += n.kind == COPIES_HAS_COPIES;
		}
	}
	return NULL;
}

static void make_link(void)
{
	int fds[COPIES_LINK_FDS], owner[COPIES_LINK_FDS];

	copies_ends_make(fds, owner);
	assert_int_equal(copies_link_open(&decider, fds, true), 0);
	ram_copies_link(copies, owner);
}

static void make_copies(void)
{
	struct ram_copies_spec s = { .bytes = BYTES,
				     .nr_views = VIEWS,
				     .limit = LIMIT,
				     .max_mappings = 10000,
				     .trial_ns = 10000,
				     .backoff_ns = 1000,
				     .failed = when_failed };

	for (unsigned i = 0; i < VIEWS; i++)
		s.nodes[i] = NODE_AUTO;
	s.ram_fd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(s.ram_fd, BYTES), 0);
	host = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s.ram_fd,
		    0);
	raw = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, s.ram_fd,
		   0);
	s.base = host;
	assert_int_equal(ram_copies_create(&s, &copies), 0);
	assert_int_equal(ram_copies_start(copies), 0);
}

static void check_end(void)
{
	uint64_t end = wait_end_ns();
	struct ram_copies_stats s;

	for (uint32_t p = 0; p < PAGES; p++)
		ram_copies_ask(copies, p, 0);
	do {
		assert_true(clock_now_ns() < end);
		(void)usleep(1000);
		ram_copies_read_stats(copies, &s);
	} while (s.shared);
	for (uint32_t p = 0; p < PAGES; p++) {
		assert_int_equal(*word_of(raw, p), written[p]);
		for (unsigned i = 0; i < VIEWS; i++)
			assert_int_equal(
				*word_of(ram_copies_base(copies, i), p),
				written[p]);
	}
	for (unsigned i = 0; i < VIEWS; i++) {
		assert_int_equal(s.now[i], 0);
		assert_int_equal(s.made[i], s.dropped[i]);
	}
	assert_true(s.replicated > 0 && s.collapsed > 0);
	print_message(
		"# %llu reads and writes of %u vCPUs, %llu writes of a "
		"device, %llu requests; %llu copies, %llu pages "
		"collapsed by a write, %llu reclaimed, %llu disproved; "
		"%llu stale reads; %llu notes, %llu pages moved, %llu kept as "
		"they had copies\n",
		(unsigned long long)operations, VCPUS,
		(unsigned long long)device_writes, (unsigned long long)asked,
		(unsigned long long)s.replicated,
		(unsigned long long)s.collapsed,
		(unsigned long long)s.reclaimed,
		(unsigned long long)s.disproved, (unsigned long long)stale,
		(unsigned long long)notes, (unsigned long long)moved,
		(unsigned long long)kept);
	assert_true(moved > 0 && kept > 0);
}

static void no_read_is_stale(void **state)
{
	const char *ops = getenv("DISCO_COPIES_OPERATIONS");
	pthread_t vcpus[VCPUS], device, asker, agent;

	(void)state;
#ifdef __SANITIZE_THREAD__
	ops = NULL;
#endif
	wanted_operations = ops ? strtoull(ops, NULL, 10) : 200000;
	make_copies();
	make_link();
	assert_int_equal(pthread_create(&agent, NULL, decide_main, NULL), 0);
	assert_int_equal(pthread_create(&device, NULL, device_main, NULL), 0);
	assert_int_equal(pthread_create(&asker, NULL, ask_main, NULL), 0);
	for (uintptr_t i = 0; i < VCPUS; i++)
		assert_int_equal(
			pthread_create(&vcpus[i], NULL, vcpu_main, (void *)i),
			0);
	for (unsigned i = 0; i < VCPUS; i++)
		(void)pthread_join(vcpus[i], NULL);
	stop = true;
	(void)pthread_join(device, NULL);
	(void)pthread_join(asker, NULL);
	(void)pthread_join(agent, NULL);
	assert_int_equal(stale, 0);
	assert_false(failed);
	check_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
		no_read_is_stale) };
	int err = ram_copies_probe();

	if (err) {
		print_message(
			"# skip: no write-protection by userfaultfd: %s\n",
			strerror(-err));
		return 0;
	}
	return cmocka_run_group_tests_name("ram_copies_stress", tests, NULL,
					   NULL);
}
