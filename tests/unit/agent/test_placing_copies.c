/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The placement of pages of a guest with copies for its views, in an agent: from a
 * window of counters through a policy's decisions to what is asked of the owner
 * of the copies, and what it answers. This program is the worker, whose RAM is
 * mapped several times, and the owner.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/placement/engine.h"
#include "memory/placement/page_copies.h"
#include "memory/replica/copies_link.h"
#include "memory/trace/trace_ring.h"
#include "numa/region.h"
#include "tests/unit/agent/placing_rig.h"
#include "tests/unit/replica/copies_ends.h"
#include "tests/unit/support.h"

static struct copies_link owner; /* the worker's end of a link */

/* What the owner of copies says is in a recording, and before it the tracking. */
static void is_recorded_with_copies(void)
{
	struct agent_request r = { .kind = AGENT_TRACE_END, .trace.vm = 5 };
	static const int want[] = { TRACE_POLICY, TRACE_NODE, TRACE_NODE,
				    TRACE_TRACK, TRACE_COPIES };
	struct trace_ring_cursor c = { 0 };
	struct region_view ring = { 0 };
	struct trace_item i;

	begin_recording(&ring);
	copies_link_tell(&owner, 4, COPIES_COPIED, 0);
	turn();
	for (size_t n = 0; n < ARRAY_SIZE(want); n++) {
		assert_true(trace_ring_take(ring.base, &c, &i));
		assert_int_equal(i.is_event ? i.event.kind : 0, want[n]);
	}
	assert_int_equal(i.event.copies.page, 4);
	assert_int_equal(i.event.copies.there, 1);
	obey(&r, -1, -1, -1);
	region_detach(&ring);
}

static void link_copies(void)
{
	struct agent_request r = { .kind = AGENT_COPIES, .copies.vm = 5 };
	int decider[COPIES_LINK_FDS], fds[COPIES_LINK_FDS];

	copies_ends_make(decider, fds);
	copies_link_close(&owner);
	assert_int_equal(copies_link_open(&owner, fds, false), 0);
	obey(&r, decider[0], decider[1], decider[2]);
}

static bool is_asked(struct copies_note *n)
{
	return chan_try_recv(&owner.rx, n) == 0;
}

/* Turns, until something is asked for. */
static void turn_until_asked(enum copies_kind kind, uint64_t page)
{
	uint64_t end = wait_end_ns();
	struct copies_note n = { 0 };

	while (!is_asked(&n)) {
		assert_true(clock_now_ns() < end);
		turn();
	}
	assert_int_equal(n.kind, kind);
	assert_int_equal(n.page, page);
	assert_int_equal(n.node, 1);
}

static uint64_t outcome_of_last(void)
{
	const struct placement_figures *f = said();

	return f->log[(f->logged - 1) % PLACEMENT_LOG].what >> 32;
}

/* Of another node, as often as a policy needs to see it. */
static void read_by_both(uint64_t page)
{
	hot(0, frames[page]);
	turn(); /* nodes' queues are read in turns: this one first */
	hot(1, frames[page]);
}

static char *second; /* another mapping of RAM */
static bool hidden;  /* frames are, from who is not root */

#define POLICY "disco,trigger=128,sharing=32,reset=1000"

/* A guest whose RAM is mapped twice; each page is in one of the page tables. */
static int begin(void **state)
{
	int fd = memfd_create("disco-ram", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, PAGES * PAGE_BYTES), 0);
	ram = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, 0);
	second = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_SHARED, fd, 0);
	(void)close(fd);
	hidden = !find_frames();
	if (hidden)
		return 0;
	for (unsigned i = 0; i < PAGES; i++) {
		(void)*(volatile char *)(second + i * PAGE_BYTES);
		assert_int_equal(
			madvise((i % 2 ? ram : second) + i * PAGE_BYTES,
				PAGE_BYTES, MADV_DONTNEED),
			0);
	}
	assert_int_equal(placing_create(&placing), 0);
	tell_machine(make_window());
	tell_place(POLICY);
	link_copies();
	placing_turn(placing); /* it looks up the frames */
	return 0;
}

static int end(void **state)
{
	(void)state;
	copies_link_close(&owner);
	end_placing();
	(void)munmap(ram, PAGES * PAGE_BYTES);
	(void)munmap(second, PAGES * PAGE_BYTES);
	return 0;
}

#define SKIP_HIDDEN()                                                          \
	do {                                                                   \
		if (hidden)                                                    \
			SKIP("frames are hidden from who is not root");        \
	} while (0)

/* No mapping has all pages that are there. */
static void pages_of_all_mappings_are_found(void **state)
{
	uint64_t before;

	(void)state;
	SKIP_HIDDEN();
	before = said()->strange;
	for (unsigned i = 0; i < PAGES; i++)
		hot(0, frames[i]);
	turn_until(PAGES);
	assert_int_equal(said()->local, 128 * PAGES);
	assert_int_equal(said()->strange, before);
}

/* Read by both nodes: a copy. It is written, and rests, however often it is read. */
static void a_written_page_backs_off(void **state)
{
	(void)state;
	SKIP_HIDDEN();
	read_by_both(3);
	turn_until_asked(COPIES_REPLICATE, 3);
	copies_link_tell(&owner, 3, COPIES_COPIED, 0);
	turn();
	assert_int_equal(said()->replicas, 1);
	assert_int_equal(outcome_of_last(), PLACEMENT_DONE);
	copies_link_tell(&owner, 3, COPIES_WRITTEN, 0);
	turn();
	assert_int_equal(said()->collapsed, 1);
	read_by_both(3);
	turn_until(4);
	assert_true(said()->reasons[POLICY_RESTS] > 0);
	assert_int_equal(outcome_of_last(), PLACEMENT_STAYED);
	pass_ms(PLACEMENT_REST_NS / 1000000);
	read_by_both(3);
	turn_until_asked(COPIES_REPLICATE, 3);
}

/* By who has all the mappings, and not by the agent. */
static void moves_are_asked_for(void **state)
{
	(void)state;
	SKIP_HIDDEN();
	hot(1, frames[8]);
	turn_until_asked(COPIES_MOVE, 8);
	assert_int_equal(said()->moves + said()->failed, 0);
	copies_link_tell(&owner, 8, COPIES_NOT_MOVED, 99);
	turn();
	assert_int_equal(outcome_of_last(), PLACEMENT_FAILED);
	assert_int_equal(said()->failed, 1);
	assert_int_equal(ram[8 * PAGE_BYTES], 1);
}

/* The standard policy copies only what can be, and says what it gains. */
static void gains_are_predicted(void **state)
{
	struct agent_request r = { .kind = AGENT_POLICY, .policy.vm = 5 };
	const struct placement_entry *e;

	(void)state;
	SKIP_HIDDEN();
	(void)strcpy(r.policy.policy, "balanced");
	obey(&r, -1, -1, -1);
	turn(); /* it looks up the frames again */
	read_by_both(5);
	hot(1, frames[5]);
	turn_until_asked(COPIES_REPLICATE, 5);
	copies_link_tell(&owner, 5, COPIES_COPIED, 0);
	turn();
	assert_int_equal(outcome_of_last(), PLACEMENT_DONE);
	e = &said()->log[(said()->logged - 1) % PLACEMENT_LOG];
	assert_true(e->gain_ns > e->cost_ns);
}

/* Its engine begins anew for a recording; what it had asked is nobody's. */
static void copies_are_recorded(void **state)
{
	(void)state;
	SKIP_HIDDEN();
	hot(1, frames[8]);
	turn_until_asked(COPIES_MOVE, 8);
	is_recorded_with_copies();
	copies_link_tell(&owner, 8, COPIES_MOVED, 99);
	turn();
	assert_int_equal(said()->moves, 0);
}

static void links_may_be_strange(void **state)
{
	struct agent_request r = { .kind = AGENT_COPIES, .copies.vm = 77 };
	uint64_t limit = wait_end_ns();

	(void)state;
	SKIP_HIDDEN();
	/* Another one, in place of the first. */
	hot(1, frames[8]);
	turn_until_asked(COPIES_MOVE, 8);
	link_copies();
	assert_int_equal(said()->failed, 1);
	hot(1, frames[9]);
	turn_until_asked(COPIES_MOVE, 9);
	/* Of no VM; without descriptors. */
	obey(&r, open("/dev/zero", O_RDONLY | O_CLOEXEC), -1, -1);
	r.copies.vm = 5;
	obey(&r, -1, -1, -1);
	copies_link_tell(&owner, 9, COPIES_MOVED, 99);
	turn();
	assert_int_equal(said()->moves, 1);
	/* One that is none: what is decided has failed, and all goes on. */
	obey(&r, open("/dev/zero", O_RDONLY | O_CLOEXEC),
	     open("/dev/zero", O_RDONLY | O_CLOEXEC),
	     open("/dev/zero", O_RDONLY | O_CLOEXEC));
	hot(1, frames[10]);
	while (said()->failed < 2) {
		assert_true(clock_now_ns() < limit);
		turn();
	}
	assert_int_equal(ram[10 * PAGE_BYTES], 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pages_of_all_mappings_are_found),
		TEST(a_written_page_backs_off),
		TEST(moves_are_asked_for),
		TEST(gains_are_predicted),
		TEST(copies_are_recorded),
		TEST(links_may_be_strange),
	};

	return cmocka_run_group_tests_name("placing_copies", tests, NULL, NULL);
}
