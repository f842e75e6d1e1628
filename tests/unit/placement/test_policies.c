/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each policy makes of inputs whose answer can be worked out by hand; then
 * that no page bounces for ever under the standard one.
 *
 * The machine: four nodes in a ring, 300 ns near, 900 ns to a neighbour, 1200 ns
 * across; a page takes 10 us to move.
 */
#include <stdlib.h>
#include <string.h>

#include "memory/placement/policies.h"
#include "tests/unit/support.h"

#define NODES	4u
#define MOVE_NS 10000u
#define MS	1000000ull

static struct policy_node nodes[NODES];
static uint32_t latency[NODES * NODES], move_cost[NODES * NODES];
static const struct policy_machine machine = { .nr_nodes = NODES,
					       .nodes = nodes,
					       .latency_ns = latency,
					       .move_ns = move_cost };
static struct policy_choice choice;
static uint64_t state[POLICY_STATE_MAX / sizeof(uint64_t)];
static uint64_t now_ns;

static int make_machine(void **unused)
{
	(void)unused;
	for (unsigned i = 0; i < NODES; i++) {
		nodes[i] = (struct policy_node){ .free_pages = 1u << 20,
						 .has_memory = 1 };
		for (unsigned j = 0; j < NODES; j++) {
			unsigned hops = (i - j) % NODES;

			latency[i * NODES + j] = hops == 0   ? 300
						 : hops == 2 ? 1200
							     : 900;
			move_cost[i * NODES + j] = MOVE_NS;
		}
	}
	memset(state, 0, sizeof(state));
	now_ns = 5000 * MS;
	return 0;
}

static void choose(const char *text)
{
	struct diag d = { 0 };

	if (policy_parse(text, NULL, &choice, &d))
		fail_msg("%s", d.text);
	memset(state, 0, sizeof(state));
}

static struct policy_now at_now(void)
{
	return (struct policy_now){ .time_ns = now_ns,
				    .period_ns = policy_period_ns(&choice),
				    .params = choice.params,
				    .machine = &machine };
}

static struct policy_decision decide(const struct policy_page *p)
{
	struct policy_now now = at_now();
	struct policy_decision d = { 0 };

	choice.policy->page(state, &now, p, &d);
	return d;
}

static void sums(const struct policy_sums *s)
{
	struct policy_now now = at_now();

	choice.policy->period(state, &now, s);
}

/* A page of @home, missed @a times by node @x, and @b times by node @y. */
static struct policy_page page_of(uint8_t home, uint8_t x, uint32_t a,
				  uint8_t y, uint32_t b)
{
	return (struct policy_page){ .page = 100,
				     .home = home,
				     .node = x,
				     .previous = x,
				     .nodes = { x, y },
				     .counts = { a, b } };
}

static struct policy_page page_of_one(uint8_t home, uint8_t x, uint32_t a)
{
	return page_of(home, x, a, POLICY_NO_NODE, 0);
}

static void expect(const struct policy_page *p, enum policy_action action,
		   enum policy_reason reason, uint8_t to)
{
	struct policy_decision d = decide(p);

	if (d.action != action || d.reason != reason ||
	    (action != POLICY_STAY && d.to != to))
		fail_msg("%s: action %u (%s) to %u, not %u (%s) to %u",
			 choice.policy->name, d.action,
			 policy_reason_text(d.reason), d.to, action,
			 policy_reason_text(reason), to);
}

static uint8_t place(uint64_t page, uint8_t node)
{
	struct policy_now now = at_now();

	return choice.policy->place(state, &now, page, node);
}

/* --- the ones to compare with --------------------------------------------- */

static void first_touch_stays(void **unused)
{
	struct policy_page p = page_of_one(0, 1, 4000);

	(void)unused;
	choose("first-touch");
	assert_int_equal(place(7, 2), 2);
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
}

static void interleave_goes_round(void **unused)
{
	struct policy_page p = page_of_one(1, 1, 10);

	(void)unused;
	choose("interleave");
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(place(i, 3), i % 4);
	nodes[1].has_memory = 0;
	assert_int_equal(place(0, 3), 0);
	assert_int_equal(place(1, 3), 2);
	assert_int_equal(place(2, 3), 3);
	assert_int_equal(place(3, 1), 0);
	p.page = 4; /* its turn: 4 mod 3 */
	expect(&p, POLICY_MOVE, POLICY_SPREAD, 2);
	p.home = 2;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
}

static void migrate_has_a_threshold(void **unused)
{
	struct policy_page p = page_of(0, 1, 128, 0, 31);

	(void)unused;
	choose("migrate");
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 1);
	p.counts[0] = 127;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
	p.counts[0] = 128;
	p.counts[1] = 32;
	expect(&p, POLICY_STAY, POLICY_WRITE_SHARED, 0);
	p.counts[1] = 0;
	p.moved = 1;
	expect(&p, POLICY_STAY, POLICY_TOO_OFTEN, 0);
	choose("migrate,migrate=2,trigger=200");
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
	p.counts[0] = 200;
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 1);
	p.home = 1;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
}

static void replicate_wants_readers(void **unused)
{
	struct policy_page p = page_of(0, 1, 128, 0, 31);

	(void)unused;
	choose("replicate");
	expect(&p, POLICY_REPLICATE, POLICY_READ_SHARED, 1);
	p.counts[0] = 127;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
	p.counts[0] = 128;
	p.writes = 1;
	expect(&p, POLICY_STAY, POLICY_WRITE_SHARED, 0);
	choose("replicate,writes=2,trigger=5");
	expect(&p, POLICY_REPLICATE, POLICY_READ_SHARED, 1);
	p.home = 1;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
}

/* --- disco: each leaf of the tree, and each threshold from both sides -------- */

static void disco_walks_its_tree(void **unused)
{
	struct policy_page p = page_of(0, 2, 128, 1, 32);

	(void)unused;
	choose("disco");
	assert_int_equal(policy_period_ns(&choice), 100 * MS);
	expect(&p, POLICY_REPLICATE, POLICY_READ_SHARED, 2);
	p.writes = 1;
	expect(&p, POLICY_STAY, POLICY_WRITE_SHARED, 0);
	p.counts[1] = 31;
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 2);
	p.moved = 1;
	expect(&p, POLICY_STAY, POLICY_TOO_OFTEN, 0);
	p.moved = 0;
	p.counts[0] = 127;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
	p.counts[0] = 128;
	p.home = 2;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
	/* The home shares, too. */
	p = page_of(0, 2, 300, 0, 40);
	p.writes = 5;
	expect(&p, POLICY_STAY, POLICY_WRITE_SHARED, 0);
	/* The second of the counts may be the one that is hot. */
	p = page_of(0, 1, 500, 2, 130);
	p.node = 2;
	expect(&p, POLICY_REPLICATE, POLICY_READ_SHARED, 2);
	choose("disco,trigger=4,sharing=2,write=3,migrate=3,reset=10");
	assert_int_equal(policy_period_ns(&choice), 10 * MS);
	p = page_of(0, 2, 4, 1, 2);
	p.writes = 2;
	expect(&p, POLICY_REPLICATE, POLICY_READ_SHARED, 2);
}

/* --- autonuma ------------------------------------------------------------- */

static void autonuma_wants_two_in_a_row(void **unused)
{
	struct policy_page p = page_of_one(0, 3, 1);

	(void)unused;
	choose("autonuma");
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 3);
	p.previous = 0;
	expect(&p, POLICY_STAY, POLICY_NOT_AGREED, 0);
	p.previous = POLICY_NO_NODE;
	expect(&p, POLICY_STAY, POLICY_NOT_AGREED, 0);
	p.home = 3;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
}

/* --- carrefour ------------------------------------------------------------ */

static void carrefour_does_what_the_sums_ask_for(void **unused)
{
	struct policy_page one = page_of_one(0, 1, 2);
	struct policy_page shared = page_of(0, 1, 2, 2, 1);
	struct policy_page written = shared;

	(void)unused;
	written.writes = 1;
	written.page = 6; /* its turn: node 2 */
	choose("carrefour");
	/* The first period only looks. */
	expect(&one, POLICY_STAY, POLICY_ONE_NODE, 0);
	/* 79 % local, even, all read: migrate and replicate. */
	sums(&(struct policy_sums){ .local = 79,
				    .remote = 21,
				    .reads = 95,
				    .writes = 5,
				    .at = { 25, 25, 25, 25 } });
	expect(&one, POLICY_MOVE, POLICY_ONE_NODE, 1);
	expect(&shared, POLICY_REPLICATE, POLICY_READ_SHARED, 1);
	expect(&written, POLICY_STAY, POLICY_SPREAD, 0);
	/* 80 % local, 6 % written; 100, 0, 0, 0: deviation 173 % of the mean. */
	sums(&(struct policy_sums){ .local = 80,
				    .remote = 20,
				    .reads = 94,
				    .writes = 6,
				    .at = { 100 } });
	expect(&one, POLICY_STAY, POLICY_ONE_NODE, 0);
	expect(&shared, POLICY_STAY, POLICY_READ_SHARED, 0);
	expect(&written, POLICY_MOVE, POLICY_SPREAD, 2);
	written.home = 2;
	expect(&written, POLICY_STAY, POLICY_NOTHING, 0);
	one.counts[0] = 1;
	expect(&one, POLICY_STAY, POLICY_NOTHING, 0);
	/* 120, 80 twice each: deviation 20 % of the mean. */
	sums(&(struct policy_sums){ .at = { 120, 80, 120, 80 } });
	written.home = 0;
	expect(&written, POLICY_STAY, POLICY_SPREAD, 0);
	/* 140, 60 twice each: 40 %. */
	sums(&(struct policy_sums){ .at = { 140, 60, 140, 60 } });
	expect(&written, POLICY_MOVE, POLICY_SPREAD, 2);
}

/* --- balanced ------------------------------------------------------------- */

/*
 * 10 misses by a neighbour: 10 x 600 ns saved in 200 ms, 10 times that in 2 s:
 * 60 us. A move costs 10 us, and 64 misses of 300 ns: 29.2 us.
 */
static void balanced_weighs_gain_and_cost(void **unused)
{
	struct policy_page p = page_of_one(0, 1, 10);
	struct policy_decision d;

	(void)unused;
	choose("balanced");
	d = decide(&p);
	assert_int_equal(d.gain_ns, 60000);
	assert_int_equal(d.cost_ns, 29200);
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 1);
	p.counts[0] = 4; /* 24 us */
	expect(&p, POLICY_STAY, POLICY_NO_GAIN, 0);
	p.counts[0] = 5; /* 30 us */
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 1);
	/* Dearer moves; a shorter horizon. */
	move_cost[0 * NODES + 1] = 11000;
	expect(&p, POLICY_STAY, POLICY_NO_GAIN, 0);
	move_cost[0 * NODES + 1] = MOVE_NS;
	choose("balanced,horizon=1900");
	expect(&p, POLICY_STAY, POLICY_NO_GAIN, 0);
	choose("balanced");
	p.previous = 0;
	expect(&p, POLICY_STAY, POLICY_NOT_AGREED, 0);
	p.home = 1;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
}

/* Two users: the saving of one is what the other pays. */
static void balanced_counts_all_users(void **unused)
{
	struct policy_page p = page_of(0, 1, 100, 0, 100);

	(void)unused;
	choose("balanced");
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
	p.counts[0] = 104; /* 4 x 600 ns */
	expect(&p, POLICY_STAY, POLICY_NO_GAIN, 0);
	p.counts[0] = 105;
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 1);
	/* Users across the ring: either of them is as good, and home is better. */
	p = page_of(1, 0, 50, 2, 50);
	assert_int_equal(decide(&p).action, POLICY_MOVE);
	p.home = 0;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
}

static void balanced_backs_off(void **unused)
{
	struct policy_page p = page_of_one(0, 1, 9); /* 54 us */

	(void)unused;
	choose("balanced");
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 1);
	p.moves = 1; /* 58.4 us */
	expect(&p, POLICY_STAY, POLICY_TOO_OFTEN, 0);
	p.counts[0] = 10;
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 1);
	p.moves = 5;	   /* 934.4 us */
	p.counts[0] = 155; /* 930 us */
	expect(&p, POLICY_STAY, POLICY_TOO_OFTEN, 0);
	p.counts[0] = 156;
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 1);
}

static void balanced_leaves_full_and_busy_nodes_alone(void **unused)
{
	struct policy_page p = page_of_one(0, 1, 100);

	(void)unused;
	choose("balanced");
	nodes[1].free_pages = 1023;
	expect(&p, POLICY_STAY, POLICY_NODE_FULL, 0);
	nodes[1].free_pages = 1024;
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 1);
	/* 300 ns / (1 - 0.6) = 750, still less than 900; 0.7: 1000. */
	nodes[1].busy_permille = 600;
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 1);
	nodes[1].busy_permille = 700;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
	/* A home that is busier makes it worth while, up to the limit. */
	nodes[0].busy_permille = 900;
	nodes[2].busy_permille = nodes[3].busy_permille = 900;
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 1);
	nodes[1].busy_permille = 851;
	expect(&p, POLICY_STAY, POLICY_NODE_BUSY, 0);
	nodes[1].has_memory = 0;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
}

/* At home on a busy node: half of the pages go next door, half stay. */
static void balanced_spreads_a_busy_node(void **unused)
{
	struct policy_page p = page_of_one(0, 0, 100);

	(void)unused;
	choose("balanced");
	nodes[0].busy_permille = 600; /* 750 ns: as far as a neighbour? no */
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
	nodes[0].busy_permille = 800; /* 1500 ns */
	expect(&p, POLICY_MOVE, POLICY_SPREAD, 1);
	p.page = 101;
	expect(&p, POLICY_STAY, POLICY_NODE_BUSY, 0);
}

/* 250 permille of the time: a move of 10 us each 40 us, and 200 ms at once. */
static void balanced_has_a_budget_for_each_pair(void **unused)
{
	struct policy_page p = page_of_one(0, 1, 100);
	struct policy_page other = page_of_one(2, 1, 100);
	unsigned nr = 0;

	(void)unused;
	choose("balanced");
	while (decide(&p).action == POLICY_MOVE)
		nr++;
	assert_int_equal(nr, 200 * MS * 4 / 40000 + 1);
	expect(&p, POLICY_STAY, POLICY_NO_BUDGET, 0);
	expect(&other, POLICY_MOVE, POLICY_ONE_NODE, 1);
	now_ns += 40000;
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 1);
	expect(&p, POLICY_STAY, POLICY_NO_BUDGET, 0);
	now_ns += 100 * MS;
	for (nr = 0; decide(&p).action == POLICY_MOVE;)
		nr++;
	assert_int_equal(nr, 100 * MS / 40000);
}

static void balanced_replicates_what_is_not_written(void **unused)
{
	struct policy_page p = page_of(0, 1, 100, 2, 100);

	(void)unused;
	choose("balanced");
	p.flags = POLICY_PAGE_SHARED | POLICY_PAGE_UNWRITTEN |
		  POLICY_PAGE_PINNED;
	expect(&p, POLICY_REPLICATE, POLICY_READ_SHARED, 1);
	p.writes = 1;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
	p.writes = 0;
	p.flags = POLICY_PAGE_SHARED | POLICY_PAGE_PINNED;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
	p.flags |= POLICY_PAGE_UNWRITTEN;
	/* The others read it in between: a sum is no chance, a sample is. */
	p.previous = 2;
	expect(&p, POLICY_STAY, POLICY_NOT_AGREED, 1);
	p.flags |= POLICY_PAGE_COUNTED;
	expect(&p, POLICY_REPLICATE, POLICY_READ_SHARED, 1);
	p.counts[0] = 4;
	expect(&p, POLICY_STAY, POLICY_NO_GAIN, 0);
	p.node = p.previous = 0; /* at home */
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
	/* One that can move, and has one user, moves. */
	p = page_of_one(0, 1, 100);
	p.flags = POLICY_PAGE_SHARED | POLICY_PAGE_UNWRITTEN;
	expect(&p, POLICY_MOVE, POLICY_ONE_NODE, 1);
	p.flags |= POLICY_PAGE_PINNED;
	expect(&p, POLICY_STAY, POLICY_NOTHING, 0);
}

/* --- no page bounces for ever ------------------------------------------------ */

static uint32_t random_state;

static uint32_t below(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

/*
 * Any two users in any proportion, any loads: with counts that stay so, a page
 * comes to rest after at most nodes - 1 moves, whoever accesses it next.
 */
static void balanced_comes_to_rest(void **unused)
{
	(void)unused;
	choose("balanced");
	random_state = 22;
	for (unsigned round = 0; round < 100000; round++) {
		struct policy_page p = page_of(
			(uint8_t)below(NODES), (uint8_t)below(NODES),
			1 + below(4095), (uint8_t)below(NODES), below(4096));
		unsigned moves = 0;

		p.page = round;
		if (p.nodes[1] == p.nodes[0])
			p.counts[1] = 0, p.nodes[1] = POLICY_NO_NODE;
		for (unsigned n = 0; n < NODES; n++)
			nodes[n].busy_permille = below(1001);
		for (unsigned i = 0; i < 50; i++) {
			struct policy_decision d = decide(&p);

			now_ns += 1000 * MS;
			p.previous = p.node = p.nodes[below(2)];
			if (p.node == POLICY_NO_NODE)
				p.node = p.previous = p.nodes[0];
			if (d.action != POLICY_MOVE)
				continue;
			assert_int_not_equal(d.to, p.home);
			assert_true(d.gain_ns > d.cost_ns);
			p.home = d.to;
			moves++;
		}
		assert_true(moves < NODES);
	}
}

/*
 * The worst that counts can do: whichever node the page is not on misses it as
 * often as can be counted. In an hour of that it moves once per 10 s, but for
 * those moves until the back-off has grown.
 */
static void balanced_gives_up_on_a_page_that_bounces(void **unused)
{
	struct policy_page p = page_of_one(0, 2, 4095);
	uint64_t forgotten = now_ns + POLICY_REST_NS;
	unsigned moves = 0, hour = 3600;

	(void)unused;
	choose("balanced");
	for (unsigned i = 0; i < hour * 10; i++, now_ns += 100 * MS) {
		if (now_ns >= forgotten) {
			forgotten += POLICY_REST_NS;
			p.moves = p.moves ? p.moves - 1 : 0;
		}
		p.nodes[0] = (uint8_t)((p.home + 2) % NODES);
		p.node = p.previous = p.nodes[0];
		if (decide(&p).action != POLICY_MOVE)
			continue;
		p.home = p.node;
		if (p.moves < POLICY_MOVES_MAX)
			p.moves++;
		moves++;
	}
	/* 4095 x 900 ns x 10 / 29.2 us: 2^10.3 */
	assert_true(moves <= hour / 10 + 11);
	assert_true(moves >= hour / 10);
}

/* --- what users write ----------------------------------------------------- */

static void words_are_checked(void **unused)
{
	static const char *const wrong[] = {
		"",
		"disk",
		"balanced,",
		"disco,x=1",
		"disco,trigger",
		"disco,trigger=",
		"disco,trigger=-1",
		"disco,trigger=0",
		"disco,trigger=4096",
		"disco,trigger=1x",
		"disco,trigger=99999999999999999999",
		"disco trigger=1",
		"first-touch,trigger=1",
		"balancedbalancedbalancedbalancedbalanced",
	};
	struct policy_choice c = { 0 };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct diag d = { 0 };

		if (policy_parse(wrong[i], NULL, &c, &d) != -EINVAL)
			fail_msg("'%s' was taken", wrong[i]);
		assert_int_equal(d.status, ST_USAGE);
		assert_null(c.policy);
	}
}

static void built_in_policies_are_sound(void **unused)
{
	const struct policy *p;
	struct policy bad;
	unsigned nr = 0;

	(void)unused;
	for (; (p = policy_builtin(nr)); nr++) {
		assert_true(policy_is_sound(p));
		assert_ptr_equal(policy_find(p->name), p);
	}
	assert_int_equal(nr, 8);
	assert_string_equal(policy_builtin(0)->name, POLICY_STANDARD);
	for (unsigned r = 0; r < POLICY_NR_REASONS; r++)
		assert_non_null(policy_reason_text(r));
	assert_string_equal(policy_reason_text(POLICY_NR_REASONS), "?");
	bad = policy_disco, bad.abi++;
	assert_false(policy_is_sound(&bad));
	bad = policy_disco, bad.name = "Disco";
	assert_false(policy_is_sound(&bad));
	bad = policy_disco, bad.page = NULL;
	assert_false(policy_is_sound(&bad));
	bad = policy_disco, bad.nr_params = POLICY_MAX_PARAMS + 1;
	assert_false(policy_is_sound(&bad));
	bad = policy_disco, bad.period_param = 0;
	assert_true(policy_is_sound(&bad));
	bad = policy_balanced, bad.state_bytes = POLICY_STATE_MAX + 1;
	assert_false(policy_is_sound(&bad));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(first_touch_stays, make_machine),
		cmocka_unit_test_setup(interleave_goes_round, make_machine),
		cmocka_unit_test_setup(migrate_has_a_threshold, make_machine),
		cmocka_unit_test_setup(replicate_wants_readers, make_machine),
		cmocka_unit_test_setup(disco_walks_its_tree, make_machine),
		cmocka_unit_test_setup(autonuma_wants_two_in_a_row,
				       make_machine),
		cmocka_unit_test_setup(carrefour_does_what_the_sums_ask_for,
				       make_machine),
		cmocka_unit_test_setup(balanced_weighs_gain_and_cost,
				       make_machine),
		cmocka_unit_test_setup(balanced_counts_all_users, make_machine),
		cmocka_unit_test_setup(balanced_backs_off, make_machine),
		cmocka_unit_test_setup(
			balanced_leaves_full_and_busy_nodes_alone,
			make_machine),
		cmocka_unit_test_setup(balanced_spreads_a_busy_node,
				       make_machine),
		cmocka_unit_test_setup(balanced_has_a_budget_for_each_pair,
				       make_machine),
		cmocka_unit_test_setup(balanced_replicates_what_is_not_written,
				       make_machine),
		cmocka_unit_test_setup(balanced_comes_to_rest, make_machine),
		cmocka_unit_test_setup(balanced_gives_up_on_a_page_that_bounces,
				       make_machine),
		cmocka_unit_test(words_are_checked),
		cmocka_unit_test(built_in_policies_are_sound),
	};

	return cmocka_run_group_tests_name("policies", tests, NULL, NULL);
}
