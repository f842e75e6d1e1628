/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine between records and moves: with a policy of the test's own, which
 * says what the engine hands on, and with the product's over a small machine
 * that is played to its end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory/placement/engine.h"
#include "memory/placement/page_copies.h"
#include "tests/unit/support.h"

#define NODES 4u
#define PAGES 4096u
#define MS    1000000ull

static uint32_t latency[NODES * NODES];
static struct placement *engine;

/* --- a policy that notes and obeys ---------------------------------------- */

static struct policy_page seen;
static struct policy_sums seen_sums;
static struct policy_now seen_now;
static uint32_t seen_cost;
static unsigned periods;
static struct policy_decision order;

static uint8_t noting_place(void *state, const struct policy_now *now,
			    uint64_t page, uint8_t node)
{
	(void)state;
	(void)now;
	return page == 13 ? 200 : node;
}

static void noting_page(void *state, const struct policy_now *now,
			const struct policy_page *p,
			struct policy_decision *out)
{
	uint64_t *calls = state;

	(*calls)++;
	seen = *p;
	seen_now = *now;
	seen_cost = policy_move_cost(now->machine, 0, 1);
	*out = order;
}

static void noting_period(void *state, const struct policy_now *now,
			  const struct policy_sums *sums)
{
	(void)state;
	(void)now;
	seen_sums = *sums;
	periods++;
}

static const struct policy noting = {
	.abi = POLICY_ABI,
	.state_bytes = 8,
	.name = "noting",
	.help = "of a test",
	.place = noting_place,
	.page = noting_page,
	.period = noting_period,
};

static bool replicates; /* the owner of the next engine */

static int start_with(const struct policy_choice *choice)
{
	struct placement_config c = { .pages = PAGES,
				      .choice = *choice,
				      .nr_nodes = NODES,
				      .latency_ns = latency,
				      .move_ns = 8000,
				      .replicas = replicates };

	for (unsigned i = 0; i < NODES; i++)
		for (unsigned j = 0; j < NODES; j++)
			latency[i * NODES + j] = i == j ? 300 : 900;
	placement_destroy(engine);
	engine = NULL;
	return placement_create(&engine, &c);
}

static int start(void **state)
{
	struct policy_choice c = { .policy = &noting };

	(void)state;
	periods = 0;
	order = (struct policy_decision){ 0 };
	return start_with(&c);
}

static int end(void **state)
{
	(void)state;
	placement_destroy(engine);
	engine = NULL;
	return 0;
}

static void record(uint64_t ms, uint64_t page, uint8_t node, uint8_t home,
		   uint32_t weight)
{
	struct access_record r = { .time_ns = ms * MS,
				   .page = page,
				   .weight = weight,
				   .node = node,
				   .home = home,
				   .kind = POLICY_WRITE };

	placement_record(engine, &r);
}

static uint64_t figure(const _Atomic(uint64_t) *f)
{
	return atomic_load(f);
}

/* --- what goes in and comes out ------------------------------------------- */

static void a_policy_sees_the_page(void **state)
{
	(void)state;
	record(1000, 7, 2, 1, 5);
	record(1010, 7, 3, 1, 2);
	assert_int_equal(seen.page, 7);
	assert_int_equal(seen.home, 1);
	assert_int_equal(seen.node, 3);
	assert_int_equal(seen.previous, 2);
	assert_int_equal(seen.kind, POLICY_WRITE);
	assert_int_equal(seen.counts[0], 5);
	assert_int_equal(seen.nodes[1], 3);
	assert_int_equal(seen.writes, 7);
	assert_int_equal(seen_now.time_ns, 1010 * MS);
	assert_int_equal(seen_now.elapsed_ns, 10 * MS);
	assert_int_equal(seen_now.period_ns, 100 * MS);
	assert_int_equal(seen_cost, 8000);
}

static void periods_have_sums(void **state)
{
	(void)state;
	record(1000, 7, 2, 1, 5);
	record(1050, 8, 1, 1, 3);
	assert_int_equal(periods, 0);
	record(1100, 7, 2, 1, 1);
	assert_int_equal(periods, 1);
	assert_int_equal(seen_sums.local, 3);
	assert_int_equal(seen_sums.remote, 5);
	assert_int_equal(seen_sums.writes, 8);
	assert_int_equal(seen_sums.at[1], 8);
	/* Counts begin anew; times that go back are as the latest one. */
	assert_int_equal(seen.counts[0], 1);
	record(900, 7, 2, 1, 1);
	assert_int_equal(seen_now.time_ns, 1100 * MS);
	assert_int_equal(periods, 1);
	record(1900, 7, 2, 1, 1);
	assert_int_equal(periods, 2);
}

static void strange_records_are_counted_alone(void **state)
{
	const struct placement_figures *f = placement_figures(engine);

	(void)state;
	record(1, PAGES, 0, 0, 1);
	record(1, UINT64_MAX, 0, 0, 1);
	record(1, 1, NODES, 0, 1);
	record(1, PAGES, ACCESS_NO_NODE, 0, 1);
	record(1, 1, 0, NODES, 1);
	assert_int_equal(figure(&f->strange), 5);
	assert_int_equal(figure(&f->unknown_node), 0);
	assert_int_equal(figure(&f->records), 0);
	record(1, 1, 0, 0, 4);
	record(1, 1, 1, 0, 6);
	assert_int_equal(figure(&f->local), 4);
	assert_int_equal(figure(&f->remote), 6);
	placement_count_owner(engine, 50, 2, 1);
	assert_int_equal(figure(&f->strange), 6);
	assert_int_equal(figure(&f->lost), 2);
	assert_int_equal(figure(&f->cpu_ns), 50);
}

/* Accessed bits, and writes, of a VM whose vCPUs are on several nodes. */
static void nobodys_records_decide_nothing(void **state)
{
	const struct placement_figures *f = placement_figures(engine);
	struct access_record r = { .time_ns = 1010 * MS,
				   .page = 7,
				   .weight = 1000,
				   .node = ACCESS_NO_NODE,
				   .home = 1,
				   .kind = POLICY_UNKNOWN,
				   .class = ACCESS_BIT };

	(void)state;
	record(1000, 7, 2, 1, 5);
	seen.page = 99;
	assert_false(placement_record(engine, &r));
	r.kind = POLICY_READ;
	assert_false(placement_record(engine, &r));
	assert_int_equal(seen.page, 99); /* no policy was asked */
	assert_int_equal(figure(&f->unknown_node), 2);
	assert_int_equal(figure(&f->records), 3);
	assert_int_equal(figure(&f->local) + figure(&f->remote), 5);
	record(1020, 7, 3, 1, 1);
	assert_int_equal(seen.writes, 6);
	assert_int_equal(seen.previous, 2);
	assert_int_equal(seen.counts[0], 5);
	/* A write counts as one, for whoever thinks of copies. */
	r.kind = POLICY_WRITE;
	r.class = ACCESS_DIRTY;
	r.weight = 3;
	assert_false(placement_record(engine, &r));
	record(1030, 7, 3, 1, 1);
	assert_int_equal(seen.writes, 10);
	assert_int_equal(seen.counts[0], 5);
	/* Of a page near which nothing was counted yet, and no more than fit. */
	r.page = PAGES - 1;
	r.weight = UINT32_MAX;
	assert_false(placement_record(engine, &r));
	record(1040, PAGES - 1, 3, 1, 1);
	assert_int_equal(seen.writes, 255);
	assert_int_equal(seen.previous, POLICY_NO_NODE);
}

static void actions_come_by_destination_and_page(void **state)
{
	static const struct {
		uint64_t page;
		uint8_t to;
	} want[] = { { 4, 1 }, { 5, 1 }, { 9, 1 }, { 3, 2 }, { 6, 2 } };
	struct placement_action a[PLACEMENT_PENDING];

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		unsigned at = (i * 3 + 2) % 5;

		order = (struct policy_decision){ .action = POLICY_MOVE,
						  .reason = POLICY_ONE_NODE,
						  .to = want[at].to };
		record(1, want[at].page, want[at].to, 0, 1);
		record(1, want[at].page, want[at].to, 0, 1); /* not again */
	}
	assert_int_equal(placement_take(engine, a, PLACEMENT_PENDING), 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(a[i].page, want[i].page);
		assert_int_equal(a[i].to, want[i].to);
		assert_int_equal(a[i].from, 0);
	}
	assert_int_equal(placement_take(engine, a, PLACEMENT_PENDING), 0);
}

static void what_was_measured_counts(void **state)
{
	const struct placement_figures *f = placement_figures(engine);
	struct placement_action a;

	(void)state;
	order = (struct policy_decision){ .action = POLICY_MOVE,
					  .reason = POLICY_ONE_NODE,
					  .to = 1 };
	record(1, 4, 1, 0, 1);
	assert_int_equal(placement_take(engine, &a, 1), 1);
	record(1, 4, 1, 0, 1); /* under way: not asked */
	placement_done(engine, &a, true, 16000);
	order = (struct policy_decision){ 0 };
	record(1, 4, 1, 1, 1);
	assert_int_equal(seen_cost, 9000); /* 7/8 of 8000, 1/8 of 16000 */
	assert_int_equal(seen.moves, 1);
	assert_int_equal(seen.moved, 1);
	assert_int_equal(figure(&f->moves), 1);
	assert_int_equal(figure(&f->spent_ns), 16000);
	assert_int_equal(figure(&f->bounced), 0);
	/* One that fails says nothing of costs, and counts for the back-off. */
	order = (struct policy_decision){ .action = POLICY_MOVE, .to = 0 };
	record(2, 4, 0, 1, 1);
	assert_int_equal(placement_take(engine, &a, 1), 1);
	placement_done(engine, &a, false, 99000);
	assert_int_equal(figure(&f->failed), 1);
	record(3, 4, 0, 1, 1);
	assert_int_equal(seen.moves, 2);
	assert_int_equal(seen_cost, 9000);
	assert_int_equal(figure(&f->bounced), 0);
	assert_int_equal(placement_take(engine, &a, 1), 1);
	assert_int_equal(placement_pending(engine), 0);
	/* Nor does one of which the time is not known. */
	placement_done(engine, &a, true, 0);
	assert_int_equal(figure(&f->bounced), 1);
	order = (struct policy_decision){ 0 };
	record(3, 4, 0, 0, 1);
	assert_int_equal(seen_cost, 9000);
}

/* One that was held up for long, at the worst time: the first one. */
static void a_dear_move_is_forgotten(void **state)
{
	struct placement_action a;

	(void)state;
	order = (struct policy_decision){ .action = POLICY_MOVE, .to = 1 };
	record(0, 4, 1, 0, 1);
	assert_int_equal(placement_take(engine, &a, 1), 1);
	placement_done(engine, &a, true, 11 * MS);
	order = (struct policy_decision){ 0 };
	record(0, 4, 1, 1, 1);
	assert_int_equal(seen_cost, 11000); /* 7/8 of 8000, 1/8 of 32000 */
	record(100, 4, 1, 1, 1);
	assert_int_equal(seen_cost, 11000 - 94); /* 1/32 of 3000, upwards */
	record(100 + 100 * 256, 4, 1, 1, 1);
	assert_int_equal(seen_cost, 8000);
}

/* To an owner that can: with what the policy has to know of the page. */
static void replicas_are_handed_out(void **state)
{
	const struct policy_choice c = { .policy = &noting };
	const struct placement_figures *f;
	struct placement_action a;

	(void)state;
	replicates = true;
	assert_int_equal(start_with(&c), 0);
	replicates = false;
	f = placement_figures(engine);
	order = (struct policy_decision){ .action = POLICY_REPLICATE,
					  .reason = POLICY_READ_SHARED,
					  .to = 1 };
	record(1, 6, 1, 2, 1);
	assert_int_equal(placement_take(engine, &a, 1), 1);
	assert_int_equal(a.page, 6);
	assert_int_equal(a.to, 1);
	assert_int_equal(a.action, POLICY_REPLICATE);
	placement_done(engine, &a, true, 100);
	assert_int_equal(figure(&f->replicas), 1);
	assert_int_equal(figure(&f->moves), 0);
	assert_int_equal(figure(&f->replicas_refused), 0);
	record(2, 6, 1, 2, 1);
	assert_int_equal(seen.moved, 0); /* no move of it */
	assert_int_equal(placement_take(engine, &a, 1), 1);
	placement_done(engine, &a, false, 100);
	assert_int_equal(figure(&f->failed), 1);
	order.action = POLICY_MOVE;
	record(3, 6, 1, 2, 1);
	assert_int_equal(placement_take(engine, &a, 1), 1);
	assert_int_equal(a.action, POLICY_MOVE);
}

static uint64_t outcome_of(uint64_t entry)
{
	return figure(&placement_figures(engine)->log[entry].what) >> 32;
}

/* A decision of now about page 6: its action, as it is logged. */
static unsigned decide(uint64_t ms, enum policy_action action)
{
	const struct placement_figures *f = placement_figures(engine);

	order = (struct policy_decision){ .action = (uint8_t)action,
					  .reason = POLICY_READ_SHARED,
					  .to = 1,
					  .gain_ns = 700 };
	record(ms, 6, 1, 2, 1);
	assert_int_equal(
		figure(&f->log[(figure(&f->logged) - 1) % PLACEMENT_LOG]
				.gain_ns),
		700);
	return figure(&f->log[(figure(&f->logged) - 1) % PLACEMENT_LOG].what) >>
		       16 &
	       0xff;
}

static void copy_succeeds(bool copied)
{
	struct placement_action a;

	assert_int_equal(placement_take(engine, &a, 1), 1);
	assert_int_equal(a.action, POLICY_REPLICATE);
	placement_done(engine, &a, copied, 0);
	if (!copied)
		placement_explain(engine, &a, PLACEMENT_WRITTEN);
}

/* Of an owner that says when copies end: a page that is written backs off. */
static void written_pages_rest(void **state)
{
	const struct placement_figures *f = placement_figures(engine);
	const uint64_t rest_ms = PLACEMENT_REST_NS / MS;
	uint64_t now = 1;

	(void)state;
	/* Nothing to be tracked yet. */
	placement_copies_changed(engine, 6, true, false);
	assert_int_equal(decide(now, POLICY_REPLICATE), POLICY_REPLICATE);
	assert_int_equal(figure(&f->replicas_refused), 1);
	assert_int_equal(placement_track_copies(engine), 0);
	assert_int_equal(placement_track_copies(engine), 0);
	assert_int_equal(decide(now, POLICY_REPLICATE), POLICY_REPLICATE);
	copy_succeeds(true);
	assert_int_equal(figure(&f->replicas), 1);
	/* It is written: it rests, and another page does not. */
	placement_copies_changed(engine, 6, false, true);
	placement_copies_changed(engine, 6, false, true); /* says the same */
	assert_int_equal(figure(&f->collapsed), 1);
	assert_int_equal(decide(now, POLICY_REPLICATE), POLICY_STAY);
	assert_int_equal(outcome_of(figure(&f->logged) - 1), PLACEMENT_STAYED);
	assert_int_equal(figure(&f->reasons[POLICY_RESTS]), 1);
	record(now, 6 + PLACEMENT_RESTS / 2, 1, 2, 1);
	assert_int_equal(placement_pending(engine), 1);
	copy_succeeds(true);
	now += rest_ms - 1;
	assert_int_equal(decide(now, POLICY_REPLICATE), POLICY_STAY);
	now += 1;
	assert_int_equal(decide(now, POLICY_REPLICATE), POLICY_REPLICATE);
	/* Before it was copied, this time: twice as long. */
	copy_succeeds(false);
	assert_int_equal(outcome_of(figure(&f->logged) - 1), PLACEMENT_WRITTEN);
	now += 2 * rest_ms - 1;
	assert_int_equal(decide(now, POLICY_REPLICATE), POLICY_STAY);
	now += 1;
	assert_int_equal(decide(now, POLICY_REPLICATE), POLICY_REPLICATE);
	copy_succeeds(true);
	/* It was worth it: what it did before is forgiven. */
	now += 2 * rest_ms;
	order = (struct policy_decision){ 0 };
	record(now, 100, 0, 0, 1); /* the engine's time is that of records */
	placement_copies_changed(engine, 6, false, true);
	now += rest_ms - 1;
	assert_int_equal(decide(now, POLICY_REPLICATE), POLICY_STAY);
	now += 1;
	assert_int_equal(decide(now, POLICY_REPLICATE), POLICY_REPLICATE);
	copy_succeeds(true);
	/* Their place was needed: that is no reason to wait. */
	placement_copies_changed(engine, 6, false, false);
	assert_int_equal(figure(&f->copies_ended), 1);
	assert_int_equal(decide(now, POLICY_REPLICATE), POLICY_REPLICATE);
	copy_succeeds(true);
	placement_copies_changed(engine, PAGES, true, true); /* no page */
}

/* Who counts no accesses to copies does not move what has some. */
static void pages_with_copies_stay(void **state)
{
	const struct placement_figures *f = placement_figures(engine);
	struct placement_action a;

	(void)state;
	assert_int_equal(placement_track_copies(engine), 0);
	placement_copies_changed(engine, 6, true, false);
	assert_int_equal(decide(1, POLICY_MOVE), POLICY_STAY);
	assert_int_equal(figure(&f->reasons[POLICY_HAS_COPIES]), 1);
	placement_copies_changed(engine, 6, false, true);
	/* A rest is one of copies: it may move. */
	assert_int_equal(decide(1, POLICY_MOVE), POLICY_MOVE);
	assert_int_equal(placement_take(engine, &a, 1), 1);
	placement_done(engine, &a, false, 0);
	placement_explain(engine, &a, PLACEMENT_COPIED);
	assert_int_equal(outcome_of(a.entry), PLACEMENT_COPIED);
	placement_copies_changed(engine, 6, true, false);
	assert_int_equal(decide(1, POLICY_MOVE), POLICY_STAY);
	placement_forget_copies(engine);
	assert_int_equal(decide(1, POLICY_MOVE), POLICY_MOVE);
}

static void decisions_are_logged(void **state)
{
	const struct placement_figures *f = placement_figures(engine);
	struct placement_action a;

	(void)state;
	record(1, 4, 1, 0, 1); /* nothing: not logged */
	order = (struct policy_decision){ .reason = POLICY_NODE_FULL };
	record(2, 4, 1, 0, 1);
	order = (struct policy_decision){ .action = POLICY_MOVE,
					  .reason = POLICY_ONE_NODE,
					  .to = 3,
					  .gain_ns = 700,
					  .cost_ns = 300 };
	record(3, 5, 1, 2, 1);
	order.action = POLICY_REPLICATE;
	record(4, 6, 1, 2, 1);
	assert_int_equal(figure(&f->logged), 3);
	assert_int_equal(figure(&f->log[0].what),
			 (uint64_t)PLACEMENT_STAYED << 32 | POLICY_NODE_FULL
								    << 24);
	assert_int_equal(figure(&f->log[1].stamp), 2);
	assert_int_equal(figure(&f->log[1].time_ns), 3 * MS);
	assert_int_equal(figure(&f->log[1].page), 5);
	assert_int_equal(figure(&f->log[1].gain_ns), 700);
	assert_int_equal(figure(&f->log[1].cost_ns), 300);
	assert_int_equal(figure(&f->log[1].what),
			 (uint64_t)PLACEMENT_DECIDED << 32 |
				 POLICY_ONE_NODE << 24 | POLICY_MOVE << 16 |
				 3 << 8 | 2);
	assert_int_equal(figure(&f->log[2].what) >> 32, PLACEMENT_FAILED);
	assert_int_equal(figure(&f->replicas_refused), 1);
	assert_int_equal(placement_take(engine, &a, 1), 1);
	placement_done(engine, &a, true, 1234);
	assert_int_equal(figure(&f->log[1].what) >> 32, PLACEMENT_DONE);
	assert_int_equal(figure(&f->log[1].spent_ns), 1234);
	assert_int_equal(figure(&f->reasons[POLICY_NOTHING]), 1);
	assert_int_equal(figure(&f->reasons[POLICY_ONE_NODE]), 2);
	/* An outcome of an entry that is overwritten goes nowhere. */
	order.action = POLICY_MOVE;
	record(5, 7, 1, 2, 1);
	order = (struct policy_decision){ .reason = POLICY_NO_GAIN };
	for (unsigned i = 0; i < PLACEMENT_LOG; i++)
		record(6, 8, 1, 2, 1);
	assert_int_equal(placement_take(engine, &a, 1), 1);
	placement_done(engine, &a, true, 1);
	for (unsigned i = 0; i < PLACEMENT_LOG; i++)
		assert_int_equal(figure(&f->log[i].what) >> 32,
				 PLACEMENT_STAYED);
}

/* A plug-in may say anything. */
static void nonsense_is_taken_for_stay(void **state)
{
	static const struct policy_decision nonsense[] = {
		{ .action = 3 },
		{ .action = POLICY_MOVE, .to = NODES },
		{ .action = POLICY_MOVE, .to = 0 }, /* home */
		{ .action = POLICY_MOVE, .to = 1, .reason = 200 },
		{ .reason = POLICY_NR_REASONS },
	};
	struct placement_action a;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
		order = nonsense[i];
		record(1, i, 1, 0, 1);
	}
	assert_int_equal(placement_take(engine, &a, 1), 0);
	assert_int_equal(
		figure(&placement_figures(engine)->reasons[POLICY_OTHER]),
		ARRAY_SIZE(nonsense));
	assert_int_equal(placement_place(engine, 1, 13, 2), 2);
	assert_int_equal(placement_place(engine, 1, 14, 2), 2);
}

static void too_many_actions_are_dropped(void **state)
{
	static struct placement_action a[PLACEMENT_PENDING];
	struct policy_choice c = { .policy = &noting };
	struct placement_config big = { .pages = 2 * PLACEMENT_PENDING,
					.choice = c,
					.nr_nodes = NODES,
					.latency_ns = latency };

	(void)state;
	placement_destroy(engine);
	assert_int_equal(placement_create(&engine, &big), 0);
	order = (struct policy_decision){ .action = POLICY_MOVE, .to = 1 };
	for (uint64_t i = 0; i < PLACEMENT_PENDING + 5; i++)
		record(1, i, 1, 0, 1);
	assert_int_equal(figure(&placement_figures(engine)->dropped), 5);
	assert_int_equal(placement_take(engine, a, 10), 10);
	assert_int_equal(placement_take(engine, a, PLACEMENT_PENDING),
			 PLACEMENT_PENDING - 10);
}

static void a_policy_can_be_changed(void **state)
{
	struct policy_choice c;
	struct diag d = { 0 };
	struct placement_action a;

	(void)state;
	record(1, 4, 1, 0, 500);
	assert_int_equal(policy_parse("interleave", NULL, &c, &d), 0);
	assert_int_equal(placement_set_policy(engine, &c), 0);
	record(2, 6, 0, 0, 1);
	assert_int_equal(placement_take(engine, &a, 1), 1);
	assert_int_equal(a.to, 2);
	/* Counts began anew, and what was decided is forgotten. */
	record(2, 5, 0, 2, 1);
	assert_int_equal(placement_pending(engine), 1);
	c = (struct policy_choice){ .policy = &noting };
	order = (struct policy_decision){ .action = POLICY_MOVE, .to = 1 };
	assert_int_equal(placement_set_policy(engine, &c), 0);
	assert_int_equal(placement_pending(engine), 0);
	assert_int_equal(figure(&placement_figures(engine)->dropped), 1);
	record(3, 4, 1, 0, 1);
	assert_int_equal(seen.counts[0], 1);
	record(3, 5, 1, 0, 1); /* the page that was pending may move again */
	assert_int_equal(placement_pending(engine), 2);
}

static void wrong_values_are_refused(void **state)
{
	struct placement_config c = { .pages = 1,
				      .choice = { .policy = &noting },
				      .nr_nodes = 1,
				      .latency_ns = latency };
	struct placement_config bad;
	struct placement *e = NULL;

	(void)state;
	bad = c, bad.pages = 0;
	assert_int_equal(placement_create(&e, &bad), -EINVAL);
	bad = c, bad.nr_nodes = POLICY_MAX_NODES + 1;
	assert_int_equal(placement_create(&e, &bad), -EINVAL);
	bad = c, bad.choice.policy = NULL;
	assert_int_equal(placement_create(&e, &bad), -EINVAL);
	bad = c, bad.latency_ns = NULL;
	assert_int_equal(placement_create(&e, &bad), -EINVAL);
	assert_null(e);
	placement_destroy(NULL);
}

/* --- a run, played to its end --------------------------------------------- */

/*
 * Every page is used by one node, and all are on node 0: after a second, 99 % of
 * misses are local, no page moved twice. Then the users change node.
 */
static void play(const char *policy, unsigned *local, unsigned *bounced)
{
	static struct placement_action a[PLACEMENT_PENDING];
	static uint8_t home[PAGES];
	struct policy_choice c;
	struct diag d = { 0 };
	uint64_t misses = 0, near = 0;

	assert_int_equal(policy_parse(policy, NULL, &c, &d), 0);
	assert_int_equal(start_with(&c), 0);
	memset(home, 0, sizeof(home));
	srandom(22);
	for (uint64_t ms = 1000; ms < 5000; ms++) {
		unsigned turn = ms >= 3000;

		for (unsigned i = 0; i < 400; i++) {
			uint64_t page = (uint64_t)random() % 200;
			uint8_t node = (uint8_t)((page + turn) % NODES);

			record(ms, page, node, home[page], 128);
			if (ms % 2000 >= 1000)
				continue; /* the second after a change */
			misses++;
			near += node == home[page];
		}
		for (unsigned n = placement_take(engine, a, PLACEMENT_PENDING);
		     n-- > 0;) {
			home[a[n].page] = a[n].to;
			placement_done(engine, &a[n], true, 8000);
		}
	}
	*local = (unsigned)(near * 1000 / misses);
	*bounced = (unsigned)figure(&placement_figures(engine)->bounced);
}

static void a_run_becomes_local(void **state)
{
	static const struct {
		const char *policy;
		unsigned least, most;
	} cases[] = {
		{ "first-touch", 200, 300 }, { "interleave", 450, 550 },
		{ "migrate", 990, 1000 },    { "disco", 990, 1000 },
		{ "autonuma", 990, 1000 },   { "balanced", 990, 1000 },
	};
	unsigned local, bounced;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		play(cases[i].policy, &local, &bounced);
		print_message("# %s: %u permille local, %u moved again\n",
			      cases[i].policy, local, bounced);
		assert_true(local >= cases[i].least && local <= cases[i].most);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_policy_sees_the_page, start),
		cmocka_unit_test_setup(periods_have_sums, start),
		cmocka_unit_test_setup(nobodys_records_decide_nothing, start),
		cmocka_unit_test_setup(strange_records_are_counted_alone,
				       start),
		cmocka_unit_test_setup(actions_come_by_destination_and_page,
				       start),
		cmocka_unit_test_setup(what_was_measured_counts, start),
		cmocka_unit_test_setup(a_dear_move_is_forgotten, start),
		cmocka_unit_test_setup(decisions_are_logged, start),
		cmocka_unit_test_setup(replicas_are_handed_out, start),
		cmocka_unit_test_setup(written_pages_rest, start),
		cmocka_unit_test_setup(pages_with_copies_stay, start),
		cmocka_unit_test_setup(nonsense_is_taken_for_stay, start),
		cmocka_unit_test_setup(too_many_actions_are_dropped, start),
		cmocka_unit_test_setup(a_policy_can_be_changed, start),
		cmocka_unit_test_setup(wrong_values_are_refused, start),
		cmocka_unit_test_setup(a_run_becomes_local, start),
	};

	return cmocka_run_group_tests_name("engine", tests, NULL, end);
}
