/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The owner of a guest's copies, and who decides about them, at the other end of
 * its link: this program. What is asked is done and answered, a write is told,
 * pages move only if no copy of them is shown, and the owner's own scan decides
 * only while nobody else does.
 *
 * The kernel's moves are played here, as this machine may have one node: the
 * fake moves a page that one mapping alone has in its page table, as the kernel
 * does for who has no privilege.
 */
#include <errno.h>
#include <fcntl.h>
#include <numaif.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/pagemap.h"
#include "memory/replica/ram_copies.h"
#include "numa/bind.h"
#include "tests/unit/replica/copies_ends.h"
#include "tests/unit/support.h"

#define PAGES 64u
#define BYTES ((uint64_t)PAGES * PAGE_BYTES)
#define VIEWS 3u
#define LIMIT 4u
#define NODE  100 /* number of the first view's node */

static int ram = -1, pagemap = -1;
static uint8_t *host, *raw; /* of devices; one that is in no way guarded */
static struct ram_copies *copies;
static struct copies_link link_to;
static _Atomic(int) failure;
static char ram_name[40]; /* of this test's memfd: others live on */

/* --- the kernel's part ---------------------------------------------------- */

/*
 * [L:owners] what a test sets up anew, and threads of earlier owners read, which
 * live on: all that the fake below looks at.
 */
static pthread_mutex_t owners = PTHREAD_MUTEX_INITIALIZER;

static _Atomic(int) node_of[PAGES];
static _Atomic(unsigned) moves;	       /* calls that move something */
static _Atomic(unsigned) shared_moves; /* pages that others have mapped */

int node_bind_memory(void *addr, size_t bytes, nodeid_t node, bool strict)
{
	(void)addr;
	(void)bytes;
	(void)node;
	(void)strict;
	return 0;
}

static bool is_mapped(const volatile void *p)
{
	uint64_t e = 0;

	return pread(pagemap, &e, sizeof(e),
		     (off_t)((uintptr_t)p / PAGE_BYTES * sizeof(e))) ==
		       (ssize_t)sizeof(e) &&
	       e & PM_PRESENT;
}

/*
 * How many mappings of RAM have the page, but for this test's own: also those that
 * the owner keeps to itself.
 */
static unsigned mapped_by(uint64_t page)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned nr = 0;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		unsigned long long start, stop, offset, at = page * PAGE_BYTES;

		if (!strstr(line, ram_name) ||
		    sscanf(line, "%llx-%llx %*s %llx", &start, &stop,
			   &offset) != 3 ||
		    start == (uintptr_t)raw || at < offset ||
		    at - offset >= stop - start)
			continue;
		nr += is_mapped((void *)(uintptr_t)(start + (at - offset)));
	}
	if (f)
		(void)fclose(f);
	return nr;
}

/* Of whichever mapping; PAGES: none. */
static uint64_t page_at(const void *at)
{
	const uint8_t *p = at;

	for (unsigned i = 0; i < VIEWS; i++) {
		const uint8_t *base = ram_copies_base(copies, i);

		if (p >= base && p < base + BYTES)
			return (uint64_t)(p - base) / PAGE_BYTES;
	}
	return PAGES;
}

long move_pages(int pid, unsigned long nr, void **pages, const int *nodes,
		int *status, int flags)
{
	(void)pid;
	(void)flags;
	(void)pthread_mutex_lock(&owners);
	if (nodes)
		moves++;
	for (unsigned long i = 0; i < nr; i++) {
		uint64_t page = page_at(pages[i]);

		/* The scan of an earlier test's owner, which lives on. */
		if (page == PAGES && !nodes)
			status[i] = NODE + 50;
		else if (page == PAGES)
			failure = -EFAULT;
		else if (!nodes)
			status[i] = is_mapped(pages[i]) ? node_of[page]
							: -ENOENT;
		else if (mapped_by(page) == 1 && is_mapped(pages[i]))
			node_of[page] = nodes[i];
		else
			shared_moves++;
	}
	(void)pthread_mutex_unlock(&owners);
	return 0;
}

/* --- an owner, and a link ------------------------------------------------- */

static void when_failed(void *arg, int err)
{
	(void)arg;
	failure = err;
}

static void open_link(void)
{
	int decider[COPIES_LINK_FDS], owner[COPIES_LINK_FDS];

	copies_link_close(&link_to);
	copies_ends_make(decider, owner);
	assert_int_equal(copies_link_open(&link_to, decider, true), 0);
	ram_copies_link(copies, owner);
}

static unsigned nr_owners;

static int start(uint64_t backoff_ns, uint64_t round_ns)
{
	struct ram_copies_spec s = { .bytes = BYTES,
				     .nr_views = VIEWS,
				     .limit = LIMIT,
				     .max_mappings = 1000,
				     .trial_ns = 1000000,
				     .backoff_ns = backoff_ns,
				     .round_ns = round_ns,
				     .failed = when_failed };
	int err = ram_copies_probe();
	char name[16];

	if (err)
		SKIP("no write-protection by userfaultfd: %s", strerror(-err));
	for (unsigned i = 0; i < VIEWS; i++)
		s.nodes[i] = (nodeid_t)(NODE + i);
	(void)pthread_mutex_lock(&owners);
	for (unsigned i = 0; i < PAGES; i++)
		node_of[i] = NODE + 50;
	moves = shared_moves = 0;
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	/* What the kernel puts behind it tells ram-1 from ram-10. */
	(void)snprintf(name, sizeof(name), "ram-%u", ++nr_owners);
	(void)snprintf(ram_name, sizeof(ram_name), "%s (deleted)", name);
	ram = memfd_create(name, MFD_CLOEXEC);
	assert_int_equal(ftruncate(ram, BYTES), 0);
	host = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ram, 0);
	raw = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ram, 0);
	for (unsigned i = 0; i < PAGES; i++)
		memset(raw + i * PAGE_BYTES, (int)i, PAGE_BYTES);
	s.ram_fd = ram;
	s.base = host;
	failure = 0;
	assert_int_equal(ram_copies_create(&s, &copies), 0);
	(void)pthread_mutex_unlock(&owners);
	assert_int_equal(ram_copies_start(copies), 0);
	open_link();
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return start(1000, 0);
}

/* What was written once is not tried again in this test. */
static int setup_resting(void **state)
{
	(void)state;
	return start(600000000000ull, 0);
}

static int setup_scanned(void **state)
{
	(void)state;
	return start(1000, 1000000);
}

static int teardown(void **state)
{
	(void)state;
	copies_link_close(&link_to);
	assert_int_equal(failure, 0);
	return 0;
}

static volatile uint8_t *at(unsigned view, uint64_t page)
{
	return ram_copies_base(copies, view) + page * PAGE_BYTES;
}

static struct ram_copies_stats stats(void)
{
	struct ram_copies_stats s;

	ram_copies_read_stats(copies, &s);
	return s;
}

static void all_show(uint64_t page, unsigned offset, uint8_t value)
{
	for (unsigned i = 0; i < VIEWS; i++)
		assert_int_equal(at(i, page)[offset], value);
	assert_int_equal(host[page * PAGE_BYTES + offset], value);
	assert_int_equal(raw[page * PAGE_BYTES + offset], value);
}

static void ask(enum copies_kind kind, uint64_t page, int node)
{
	const struct copies_note n = { .page = page,
				       .kind = kind,
				       .node = node };

	WAIT_UNTIL(chan_try_send(&link_to.tx, &n) == 0);
}

static struct copies_note answer(void)
{
	struct copies_note n = { 0 };

	WAIT_UNTIL(chan_try_recv(&link_to.rx, &n) == 0);
	return n;
}

static void is_answered(uint64_t page, enum copies_kind kind)
{
	struct copies_note n = answer();

	assert_int_equal(n.page, page);
	assert_int_equal(n.kind, kind);
}

/* As often as its rest needs. */
static void copy(uint64_t page, unsigned view)
{
	struct copies_note n;

	do {
		ask(COPIES_REPLICATE, page, NODE + (int)view);
		n = answer();
		assert_int_equal(n.page, page);
	} while (n.kind == COPIES_RESTS);
	assert_int_equal(n.kind, COPIES_COPIED);
}

/* --- tests ---------------------------------------------------------------- */

static void copies_are_made_for_views_of_a_node(void **state)
{
	(void)state;
	copy(5, 1);
	WAIT_UNTIL(stats().now[1] == 1);
	assert_int_equal(stats().now[0] + stats().now[2], 0);
	copy(5, 0); /* one more, at once */
	WAIT_UNTIL(stats().now[0] == 1 && stats().shared == 1);
	all_show(5, 100, 5);
	ask(COPIES_REPLICATE, 5, NODE + VIEWS);
	is_answered(5, COPIES_FULL); /* no view is there */
	ask(COPIES_REPLICATE, 6, -1);
	is_answered(6, COPIES_FULL);
}

/* By a write, whoever's, and before there was a copy. */
static void writes_are_told(void **state)
{
	(void)state;
	copy(7, 1);
	at(2, 7)[9] = 77;
	is_answered(7, COPIES_WRITTEN);
	all_show(7, 9, 77);
	/* It rests here as well, whatever the other side thinks. */
	ask(COPIES_REPLICATE, 7, NODE + 1);
	is_answered(7, COPIES_RESTS);
	copy(8, 1);
	host[8 * PAGE_BYTES] = 1;
	is_answered(8, COPIES_WRITTEN);
	/* A device has it: it is not copied, and nothing is waited for. */
	ram_copies_change(copies, 9 * PAGE_BYTES, PAGE_BYTES);
	ask(COPIES_REPLICATE, 9, NODE);
	is_answered(9, COPIES_WRITTEN);
	ram_copies_idle(copies);
	/* Who asks for its end is answered so. */
	copy(10, 2);
	ram_copies_ask(copies, 10, 0);
	is_answered(10, COPIES_ENDED);
	assert_int_equal(stats().made[0], 0);
}

static void the_limit_holds(void **state)
{
	struct copies_note n;
	bool ended = false;

	(void)state;
	for (uint64_t p = 20; p < 20 + LIMIT; p++)
		copy(p, 1);
	/* The oldest goes for another one. */
	do {
		ask(COPIES_REPLICATE, 30, NODE + 1);
		n = answer();
		if (n.kind == COPIES_ENDED) {
			assert_int_equal(n.page, 20);
			ended = true;
			n = answer();
		}
		assert_int_equal(n.page, 30);
	} while (n.kind == COPIES_FULL || n.kind == COPIES_RESTS);
	assert_int_equal(n.kind, COPIES_COPIED);
	assert_true(ended);
	WAIT_UNTIL(stats().now[1] == LIMIT);
}

static void young_copies_stay(void **state)
{
	(void)state;
	for (uint64_t p = 20; p < 20 + LIMIT; p++)
		copy(p, 1);
	ask(COPIES_REPLICATE, 30, NODE + 1);
	is_answered(30, COPIES_FULL);
	WAIT_UNTIL(stats().now[1] == LIMIT);
	assert_int_equal(stats().reclaimed, 0);
}

static void plain_pages_move(void **state)
{
	struct copies_note n;

	(void)state;
	all_show(11, 1, 11); /* all have it mapped */
	assert_int_equal(mapped_by(11), VIEWS + 1);
	ask(COPIES_MOVE, 11, NODE + 2);
	n = answer();
	assert_int_equal(n.kind, COPIES_MOVED);
	assert_true(n.spent_ns > 0);
	assert_int_equal(node_of[11], NODE + 2);
	assert_int_equal(shared_moves, 0);
	all_show(11, 1, 11);
	at(1, 11)[1] = 12;
	all_show(11, 1, 12);
	/* To a node without a view; and once more, back. */
	ask(COPIES_MOVE, 11, NODE + 50);
	is_answered(11, COPIES_MOVED);
	/* After a trial: the mapping that copies are made from has it, too. */
	copy(12, 1);
	at(0, 12)[0] = 99;
	is_answered(12, COPIES_WRITTEN);
	ask(COPIES_MOVE, 12, NODE);
	is_answered(12, COPIES_MOVED);
	all_show(12, 0, 99);
	assert_int_equal(shared_moves, 0);
	at(2, 12)[0] = 98;
	all_show(12, 0, 98);
}

/* Many of one node are one call; what is in between is done as well. */
static void moves_are_batched(void **state)
{
	unsigned done = 0, copied = 0, before;

	(void)state;
	before = moves;
	for (uint64_t p = 40; p < 48; p++)
		ask(COPIES_MOVE, p, NODE);
	ask(COPIES_REPLICATE, 50, NODE + 1);
	for (uint64_t p = 48; p < 50; p++)
		ask(COPIES_MOVE, p, NODE + 1);
	while (done + copied < 11) {
		struct copies_note n = answer();

		done += n.kind == COPIES_MOVED;
		copied += n.kind == COPIES_COPIED;
	}
	assert_int_equal(done, 10);
	assert_true(moves - before >= 2 && moves - before <= 10);
	for (uint64_t p = 40; p < 50; p++)
		assert_int_equal(node_of[p], p < 48 ? NODE : NODE + 1);
	for (uint64_t p = 40; p < 51; p++)
		all_show(p, 3, (uint8_t)p);
}

/* Safely: neither is a copy left behind, nor is one moved away from. */
static void pages_with_copies_do_not_move(void **state)
{
	(void)state;
	copy(13, 1);
	ask(COPIES_MOVE, 13, NODE + 1);
	is_answered(13, COPIES_HAS_COPIES);
	assert_int_equal(moves, 0);
	assert_int_equal(stats().shared, 1);
	at(1, 13)[0] = 1;
	is_answered(13, COPIES_WRITTEN);
	ask(COPIES_MOVE, 13, NODE + 1);
	is_answered(13, COPIES_MOVED);
	all_show(13, 0, 1);
	/* One whose trial is not over. */
	ask(COPIES_REPLICATE, 14, NODE + 1);
	ask(COPIES_MOVE, 14, NODE + 1);
	assert_int_equal(answer().page, 14);
	assert_int_equal(answer().page, 14);
	assert_int_equal(moves, 1);
}

/* As long as there is a link the scan is off; without one it is on. */
static void the_scan_is_for_who_has_no_link(void **state)
{
	(void)state;
	copy(40, 2); /* the link is there */
	for (unsigned i = 0; i < VIEWS; i++)
		(void)at(i, 8)[0];
	for (unsigned i = 0; i < 30; i++) {
		uint64_t page = 41 + i % 3;

		/* 30 trials are as long as 30 rounds of the scan. */
		copy(page, 2);
		at(0, page)[0] = 1;
		is_answered(page, COPIES_WRITTEN);
	}
	WAIT_UNTIL(stats().collapsed == 30);
	assert_int_equal(stats().now[0] + stats().now[1], 0);
	copies_link_close(&link_to);
	WAIT_UNTIL(stats().now[0] && stats().now[1]);
	all_show(8, 0, 8);
	/* The next one. */
	open_link();
	ask(COPIES_REPLICATE, 50, -1);
	is_answered(50, COPIES_FULL);
	at(0, 8)[0] = 3;
	is_answered(8, COPIES_WRITTEN); /* of a copy that the scan has made */
}

/* An index that is too far ahead; and a wake-up, or the owner may not look. */
static void break_the_link(void)
{
	struct chan_ring *ring =
		(void *)((uint8_t *)link_to.own.base + COPIES_LINK_RING_OFF);

	atomic_store(&ring->tail, 77777777);
	(void)send(link_to.wake, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/*
 * Of an agent that is wrong, and of one that breaks the channel: then the scan
 * decides again.
 */
static void nonsense_is_ignored(void **state)
{
	(void)state;
	ask(COPIES_REPLICATE, PAGES, NODE);
	ask(COPIES_MOVE, UINT64_MAX, NODE);
	ask(COPIES_COPIED, 1, NODE);
	ask(COPIES_LOST, UINT64_MAX, NODE);
	ask((enum copies_kind)77, 1, NODE);
	copy(3, 1);
	assert_int_equal(moves, 0);
	(void)at(0, 8)[0];
	(void)at(1, 8)[0];
	break_the_link();
	WAIT_UNTIL(stats().now[0]);
	/* Whatever the owner does at that moment. */
	for (unsigned i = 0; i < 30; i++) {
		uint64_t before = stats().collapsed;
		struct copies_note n;

		open_link();
		ask(COPIES_REPLICATE, 1, -1);
		/* No nap: the owner is about to look for more. */
		while (chan_try_recv(&link_to.rx, &n))
			;
		break_the_link();
		at(0, 8)[0] = (uint8_t)i;
		WAIT_UNTIL(stats().collapsed > before && stats().now[0]);
	}
}

/* A decider that does not read finds out that it has missed something. */
static void what_does_not_fit_is_lost(void **state)
{
	const unsigned more = COPIES_LINK_SLOTS + 100;
	struct copies_note n = { 0 };
	unsigned got = 0;

	(void)state;
	for (unsigned i = 0; i < more; i++)
		ask(COPIES_REPLICATE, i % PAGES, -1); /* FULL */
	/* All of it was read. */
	WAIT_UNTIL(atomic_load(&((const struct chan_reader *)link_to.peer.base)
					->head) == more);
	ram_copies_ask(copies, 1, 0); /* after the last answer */
	WAIT_UNTIL(stats().asked == 1);
	while (chan_try_recv(&link_to.rx, &n) == 0) {
		assert_int_equal(n.kind, COPIES_FULL);
		got++;
	}
	assert_int_equal(got, COPIES_LINK_SLOTS);
	ask(COPIES_REPLICATE, 1, -1);
	n = answer();
	assert_int_equal(n.kind, COPIES_LOST);
	is_answered(1, COPIES_FULL);
	copy(2, 1);
}

#define TEST(f)	     cmocka_unit_test_setup_teardown(f, setup, teardown)
#define RESTING(f)   cmocka_unit_test_setup_teardown(f, setup_resting, teardown)
#define WITH_SCAN(f) cmocka_unit_test_setup_teardown(f, setup_scanned, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(copies_are_made_for_views_of_a_node),
		RESTING(writes_are_told),
		TEST(the_limit_holds),
		RESTING(young_copies_stay),
		TEST(plain_pages_move),
		TEST(moves_are_batched),
		RESTING(pages_with_copies_do_not_move),
		WITH_SCAN(the_scan_is_for_who_has_no_link),
		WITH_SCAN(nonsense_is_ignored),
		TEST(what_does_not_fit_is_lost),
	};

	return cmocka_run_group_tests_name("ram_copies_link", tests, NULL,
					   NULL);
}
