/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decider's end of the link to the owner of a guest's copies: what an engine
 * decides is asked for, what an owner says goes to the engine, and an owner that
 * lies does no harm. The owner is this program, at the other end of a real link;
 * the policy is one that decides what a test wants.
 */
#include <errno.h>
#include <string.h>

#include "memory/replica/copies_ask.h"
#include "tests/unit/replica/copies_ends.h"
#include "tests/unit/support.h"

#define PAGES 4096u
#define NODES 2u

static struct policy_decision order;

static uint8_t obeying_place(void *state, const struct policy_now *now,
			     uint64_t page, uint8_t node)
{
	(void)state;
	(void)now;
	(void)page;
	return node;
}

static void obeying_page(void *state, const struct policy_now *now,
			 const struct policy_page *p,
			 struct policy_decision *out)
{
	(void)state;
	(void)now;
	(void)p;
	*out = order;
}

static const struct policy obeying = {
	.abi = POLICY_ABI,
	.name = "obeying",
	.help = "of a test",
	.place = obeying_place,
	.page = obeying_page,
};

static const uint32_t latency[NODES * NODES] = { 300, 900, 900, 300 };
static const int32_t numbers[MAX_NODES] = { 7, 9 };
static const struct trace_tap no_tap;
static struct placement *engine;
static struct copies_ask ask;
static struct copies_ask_engine of;
static struct copies_link owner;
static uint64_t last_moved;
static unsigned nr_moved;

static void note_moved(void *arg, uint64_t page)
{
	assert_ptr_equal(arg, &nr_moved);
	last_moved = page;
	nr_moved++;
}

static int start_engine(void)
{
	const struct placement_config c = { .pages = PAGES,
					    .choice = { .policy = &obeying },
					    .nr_nodes = NODES,
					    .latency_ns = latency,
					    .move_ns = 8000 };

	placement_destroy(engine);
	engine = NULL;
	return placement_create(&engine, &c);
}

static int start(void **state)
{
	int decider[COPIES_LINK_FDS], owners[COPIES_LINK_FDS];

	(void)state;
	nr_moved = 0;
	assert_int_equal(start_engine(), 0);
	of = (struct copies_ask_engine){ .tap = &no_tap,
					 .engine = engine,
					 .pages = PAGES,
					 .nodes = numbers,
					 .moved = note_moved,
					 .arg = &nr_moved };
	copies_ends_make(decider, owners);
	assert_int_equal(copies_ask_open(&ask, &of, decider), 0);
	return copies_link_open(&owner, owners, false);
}

static int end(void **state)
{
	(void)state;
	copies_ask_close(&ask, &of);
	copies_link_close(&owner);
	placement_destroy(engine);
	engine = NULL;
	return 0;
}

static const struct placement_figures *said(void)
{
	return placement_figures(engine);
}

static unsigned outcome_of(uint64_t entry)
{
	return (unsigned)(said()->log[entry % PLACEMENT_LOG].what >> 32);
}

static uint64_t now_ns = 1;

/* The engine decides so about a page of node 0 that node 1 reads. */
static bool decide(enum policy_action action, uint64_t page)
{
	struct access_record r = { .time_ns = now_ns,
				   .page = page,
				   .weight = 1,
				   .node = 1,
				   .kind = POLICY_READ };

	order = (struct policy_decision){ .action = (uint8_t)action,
					  .reason = POLICY_READ_SHARED,
					  .to = 1 };
	return placement_record(engine, &r);
}

/* ... and it is asked for. Return: the entry of the log. */
static uint64_t asked(enum policy_action action, uint64_t page)
{
	struct placement_action a;
	struct copies_note n = { 0 };

	assert_true(decide(action, page));
	assert_int_equal(placement_take(engine, &a, 1), 1);
	copies_ask_for(&ask, &of, &a, 1);
	assert_int_equal(chan_try_recv(&owner.rx, &n), 0);
	assert_int_equal(n.page, page);
	assert_int_equal(n.node, 9);
	assert_int_equal(n.kind, action == POLICY_MOVE ? COPIES_MOVE
						       : COPIES_REPLICATE);
	return a.entry;
}

static void say(uint64_t page, enum copies_kind kind, uint64_t spent_ns)
{
	copies_link_tell(&owner, page, kind, spent_ns);
	copies_ask_turn(&ask, &of);
}

static void copies_are_asked_for(void **state)
{
	uint64_t a = asked(POLICY_REPLICATE, 5), b;

	(void)state;
	assert_int_equal(outcome_of(a), PLACEMENT_DECIDED);
	assert_false(decide(POLICY_REPLICATE, 5)); /* while it is not known */
	say(5, COPIES_COPIED, 0);
	assert_int_equal(outcome_of(a), PLACEMENT_DONE);
	assert_int_equal(said()->replicas, 1);
	assert_int_equal(copies_ask_room(&ask), COPIES_ASKED);
	/* Having copies it does not move; it is written, and it may. */
	assert_false(decide(POLICY_MOVE, 5));
	say(5, COPIES_WRITTEN, 0);
	assert_int_equal(said()->collapsed, 1);
	assert_false(decide(POLICY_REPLICATE, 5));
	assert_int_equal(said()->reasons[POLICY_RESTS], 1);
	b = asked(POLICY_MOVE, 5);
	say(5, COPIES_NOT_MOVED, 77);
	assert_int_equal(outcome_of(b), PLACEMENT_FAILED);
	assert_int_equal(nr_moved, 0);
}

/* Why there is no copy is in the log, and the page rests. */
static void refusals_are_explained(void **state)
{
	static const struct {
		enum copies_kind said;
		enum placement_outcome logged;
	} of_copies[] = {
		{ COPIES_WRITTEN, PLACEMENT_WRITTEN },
		{ COPIES_FULL, PLACEMENT_NO_ROOM },
		{ COPIES_ENDED, PLACEMENT_FAILED },
		{ COPIES_RESTS, PLACEMENT_RESTING },
		{ COPIES_BUSY, PLACEMENT_BUSY },
	};
	uint64_t entry;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(of_copies); i++) {
		entry = asked(POLICY_REPLICATE, 10 + i);
		say(10 + i, of_copies[i].said, 0);
		assert_int_equal(outcome_of(entry), of_copies[i].logged);
		assert_int_equal(said()->failed, i + 1);
		assert_false(decide(POLICY_REPLICATE, 10 + i));
	}
	assert_int_equal(said()->replicas, 0);
	/* One more copy of a page that has some: these stay. */
	say(30, COPIES_COPIED, 0);
	(void)asked(POLICY_REPLICATE, 30);
	say(30, COPIES_FULL, 0);
	assert_false(decide(POLICY_MOVE, 30));
	assert_int_equal(said()->copies_ended, 0);
	/* They go while another one is made. */
	now_ns += 60000000000ull;
	entry = asked(POLICY_REPLICATE, 30);
	say(30, COPIES_WRITTEN, 0);
	assert_int_equal(outcome_of(entry), PLACEMENT_WRITTEN);
	assert_int_equal(said()->collapsed, 1);
	assert_false(decide(POLICY_REPLICATE, 30));
}

static void moves_are_asked_for(void **state)
{
	uint64_t entry = asked(POLICY_MOVE, 6);

	(void)state;
	of.timed = true;
	say(6, COPIES_MOVED, 1234);
	assert_int_equal(outcome_of(entry), PLACEMENT_DONE);
	assert_int_equal(said()->log[entry].spent_ns, 1234);
	assert_int_equal(nr_moved, 1);
	assert_int_equal(last_moved, 6);
	/* Of another clock than the engine's, times are of no use. */
	of.timed = false;
	entry = asked(POLICY_MOVE, 7);
	say(7, COPIES_MOVED, 1234);
	assert_int_equal(said()->log[entry].spent_ns, 0);
	entry = asked(POLICY_MOVE, 8);
	say(8, COPIES_HAS_COPIES, 0);
	assert_int_equal(outcome_of(entry), PLACEMENT_COPIED);
	assert_false(decide(POLICY_MOVE, 8)); /* known by now */
	entry = asked(POLICY_MOVE, 9);
	say(9, COPIES_BUSY, 0);
	assert_int_equal(outcome_of(entry), PLACEMENT_BUSY);
	assert_int_equal(said()->moves, 2);
	assert_int_equal(nr_moved, 2);
}

/* The owner has lost count: what was asked has failed, nothing is known. */
static void notes_may_be_lost(void **state)
{
	uint64_t entry;

	(void)state;
	say(3, COPIES_COPIED, 0);
	assert_false(decide(POLICY_MOVE, 3));
	entry = asked(POLICY_REPLICATE, 4);
	say(UINT64_MAX, COPIES_LOST, 0);
	assert_int_equal(outcome_of(entry), PLACEMENT_BUSY);
	assert_int_equal(copies_ask_room(&ask), COPIES_ASKED);
	(void)asked(POLICY_MOVE, 3);
	/* The answer that comes late is of a page that was not asked for. */
	say(4, COPIES_COPIED, 0);
	assert_false(decide(POLICY_MOVE, 4));
	assert_int_equal(said()->replicas, 0);
}

/* What is recorded has to be of the VM: else nobody reads the recording. */
static void check_item(void *arg, const struct trace_item *i)
{
	(void)arg;
	if (i->is_event && i->event.kind == TRACE_COPIES)
		assert_true(i->event.copies.page < PAGES);
	if (i->is_event && i->event.kind == TRACE_DONE)
		assert_true(i->event.done.page < PAGES);
}

/* A worker may be its guest's. */
static void lies_do_no_harm(void **state)
{
	static const struct trace_tap checking = { .to = check_item };
	uint64_t entry;

	(void)state;
	of.tap = &checking;
	for (unsigned kind = 0; kind < 20; kind++) {
		if (kind == COPIES_LOST)
			continue;
		say(PAGES, (enum copies_kind)kind, UINT64_MAX);
		say(UINT64_MAX, (enum copies_kind)kind, UINT64_MAX);
	}
	entry = asked(POLICY_MOVE, 6);
	/* Answers to nothing, and of another kind of question. */
	for (unsigned kind = 0; kind < 20; kind++)
		if (kind != COPIES_LOST)
			say(5, (enum copies_kind)kind, 5);
	say(6, COPIES_FULL, 0);
	say(6, COPIES_RESTS, 0);
	assert_int_equal(nr_moved, 0);
	assert_int_equal(said()->moves + said()->failed, 0);
	assert_int_equal(outcome_of(entry), PLACEMENT_DECIDED);
	/* An index that went backwards ends the link, and what was asked. */
	atomic_store(&((struct chan_ring *)((uint8_t *)owner.own.base +
					    COPIES_LINK_RING_OFF))
			      ->tail,
		     1);
	copies_ask_turn(&ask, &of);
	assert_false(copies_link_is_open(&ask.link));
	assert_int_equal(outcome_of(entry), PLACEMENT_BUSY);
	/* Without a link nothing can be done, and all goes on. */
	assert_true(decide(POLICY_MOVE, 6));
	struct placement_action a;
	assert_int_equal(placement_take(engine, &a, 1), 1);
	copies_ask_for(&ask, &of, &a, 1);
	assert_int_equal(outcome_of(a.entry), PLACEMENT_FAILED);
	copies_ask_turn(&ask, &of);
}

/* An owner that answers nothing is asked so often, and not more. */
static void who_does_not_answer_is_not_asked_for_ever(void **state)
{
	struct placement_action a[COPIES_ASKED + 1];
	unsigned nr = 0;

	(void)state;
	for (uint64_t page = 0; page < COPIES_ASKED + 1; page++)
		assert_true(decide(POLICY_REPLICATE, page));
	nr = placement_take(engine, a, COPIES_ASKED + 1);
	assert_int_equal(nr, COPIES_ASKED + 1);
	copies_ask_for(&ask, &of, a, nr);
	assert_int_equal(copies_ask_room(&ask), 0);
	assert_int_equal(said()->failed, 1);
	/* Another link: what was asked by the first has failed. */
	int decider[COPIES_LINK_FDS], owners[COPIES_LINK_FDS];
	copies_ends_make(decider, owners);
	copies_link_close(&owner);
	assert_int_equal(copies_ask_open(&ask, &of, decider), 0);
	assert_int_equal(copies_link_open(&owner, owners, false), 0);
	assert_int_equal(copies_ask_room(&ask), COPIES_ASKED);
	assert_int_equal(said()->failed, COPIES_ASKED + 1);
	now_ns += 3600000000000ull;
	(void)asked(POLICY_REPLICATE, 1);
}

/* As when a recording begins: what the old one has asked is not answered. */
static void another_engine_begins_anew(void **state)
{
	(void)state;
	(void)asked(POLICY_REPLICATE, 1);
	assert_int_equal(start_engine(), 0);
	of.engine = engine;
	assert_int_equal(copies_ask_begin(&ask, &of), 0);
	assert_int_equal(copies_ask_room(&ask), COPIES_ASKED);
	say(1, COPIES_COPIED, 0);
	assert_int_equal(said()->replicas, 0);
	assert_false(decide(POLICY_MOVE, 1));
	(void)asked(POLICY_REPLICATE, 2);
}

static void what_is_no_link(void **state)
{
	int decider[COPIES_LINK_FDS], owners[COPIES_LINK_FDS];
	struct copies_link l = { 0 };

	(void)state;
	copies_ends_make(decider, owners);
	copies_link_close(&l);
	copies_link_tell(&l, 1, COPIES_COPIED, 0);
	/* The other side's region is not this side's to take. */
	assert_int_equal(
		dup2(decider[COPIES_LINK_PEER], decider[COPIES_LINK_OWN]),
		decider[COPIES_LINK_OWN]);
	assert_true(copies_ask_open(&ask, &of, decider) < 0);
	assert_false(copies_link_is_open(&ask.link));
	assert_int_equal(copies_link_open(&l, owners, false), 0);
	copies_link_close(&l);
	copies_link_close(&l);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(copies_are_asked_for),
		TEST(refusals_are_explained),
		TEST(moves_are_asked_for),
		TEST(notes_may_be_lost),
		TEST(lies_do_no_harm),
		TEST(who_does_not_answer_is_not_asked_for_ever),
		TEST(another_engine_begins_anew),
		TEST(what_is_no_link),
	};

	return cmocka_run_group_tests_name("copies_ask", tests, NULL, NULL);
}
