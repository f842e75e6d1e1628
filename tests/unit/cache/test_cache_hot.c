/* SPDX-License-Identifier: BSD-2-Clause */
/* When a block of another node is hot enough for the agent to be told. */
#include "tests/unit/cache/cache_bench.h"

static void expect_hot(struct bench *b, uint64_t first, uint32_t nr)
{
	struct cache_request q = { 0 };

	assert_true(agent_recv(&b->link, &q));
	assert_int_equal(q.kind, CACHE_REPLICATE);
	assert_int_equal(q.disk, AGENT_DISK);
	assert_int_equal(q.first, first);
	assert_int_equal(q.nr, nr);
}

static void expect_nothing(struct bench *b)
{
	struct cache_request q;

	assert_false(agent_recv(&b->link, &q));
}

static void use_far(struct bench *b, uint64_t first, unsigned nr)
{
	hit(b, BLK(first), BLK(nr), FAR);
}

/* Each CACHE_HOT_USES of them, whole runs. */
static void uses_make_hot(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->far, 10, 20);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 1; i < CACHE_HOT_USES; i++)
			use_far(b, 10, 20);
		expect_nothing(b);
		use_far(b, 10, 20);
		expect_hot(b, 10, 20);
		expect_nothing(b);
	}
	assert_int_equal(stats(b).remote_blocks, 3 * CACHE_HOT_USES * 20);
}

static void blocks_are_counted_apart(void **state)
{
	struct bench *b = *state;

	_Static_assert(CACHE_HOT_USES == 2, "counted here by hand");
	agent_fill(&b->far, 0, 100);
	use_far(b, 10, 6);
	use_far(b, 20, 2);
	use_far(b, 30, 1);
	expect_nothing(b);
	use_far(b, 12, 19); /* 12 .. 30 */
	expect_hot(b, 12, 4);
	expect_hot(b, 20, 2);
	expect_hot(b, 30, 1);
	expect_nothing(b);
	use_far(b, 10, 4); /* 12 and 13 are as new */
	expect_hot(b, 10, 2);
	expect_nothing(b);
}

static void long_runs_are_cut(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->far, 0, BLOCKS);
	use_far(b, 0, 500);
	use_far(b, 0, 500);
	expect_hot(b, 0, CACHE_FILL_MAX);
	expect_hot(b, CACHE_FILL_MAX, 500 - CACHE_FILL_MAX);
	expect_nothing(b);
}

static void copied_ones_are_used(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->far, 0, 30);
	use_far(b, 0, 30);
	use_far(b, 0, 30);
	expect_hot(b, 0, 30);
	agent_fill(&b->near, 0, 20);
	for (unsigned i = 0; i < 4; i++)
		hit(b, 0, BLK(20), NEAR);
	expect_nothing(b);
	assert_int_equal(stats(b).remote_blocks, 60);
	/* What was not copied is told again. */
	use_far(b, 20, 10);
	use_far(b, 20, 10);
	expect_hot(b, 20, 10);
}

static void on_one_node_nothing_is_counted(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->near, 0, 100);
	for (unsigned i = 0; i < 5; i++)
		hit(b, 0, BLK(100), NEAR);
	expect_nothing(b);
	assert_false(cache_count_shown(b->c));
	assert_int_equal(stats(b).remote_blocks, 0);
	for (struct cache_source *s = b->c->disks[AGENT_DISK]; s; s = s->next)
		assert_null(s->heat);
}

/* No agent to tell, or no cache on its node. */
static void nobody_to_tell(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->far, 0, 10);
	cache_set_home(b->c, 7);
	for (unsigned i = 0; i < 4; i++)
		use_far(b, 0, 10);
	expect_nothing(b);
	cache_set_home(b->c, 0);
	cache_unlink(b->c);
	for (unsigned i = 0; i < 4; i++)
		use_far(b, 0, 10);
	expect_nothing(b);
}

/* Half of it is for reads, which wait; what could not be said is said later. */
static void a_ring_that_is_full(void **state)
{
	struct bench *b = *state;
	struct cache_request q;
	struct miss m;

	agent_fill(&b->far, 0, 500);
	for (unsigned i = 0; i < 400; i++)
		use_far(b, i, 1);
	for (unsigned i = 0; i < 400; i++)
		use_far(b, i, 1);
	start(b, &m.q, IO_BASE, BLK(550), m.to, PAGE_BYTES);
	assert_int_equal(m.q.done, 0);
	for (unsigned i = 0; i < CACHE_LINK_SLOTS / 2; i++)
		expect_hot(b, i, 1);
	assert_true(agent_recv(&b->link, &q));
	assert_int_equal(q.kind, CACHE_FILL);
	agent_fill(&b->near, 550, 1);
	agent_answer(&b->link, q.tag, 1, 0);
	m.block = 550;
	assert_missed(b, &m, NEAR);
	expect_nothing(b);
	assert_int_equal(stats(b).lost, 0);
	/* At their next use. */
	use_far(b, 0, 400);
	expect_hot(b, CACHE_LINK_SLOTS / 2, CACHE_FILL_MAX);
	expect_hot(b, CACHE_LINK_SLOTS / 2 + CACHE_FILL_MAX,
		   400 - CACHE_LINK_SLOTS / 2 - CACHE_FILL_MAX);
	expect_nothing(b);
}

/* What is held, as pages that are shown are, is used at each look. */
static void what_stays_shown_is_used(void **state)
{
	struct bench *b = *state;
	const uint8_t *page, *other;

	assert_false(cache_count_shown(b->c));
	agent_fill(&b->far, 100, 50);
	assert_int_equal(cache_lookup(b->c, AGENT_DISK, 100, 50, &page), 50);
	assert_int_equal(cache_lookup(b->c, AGENT_DISK, 120, 1, &other), 1);
	expect_hot(b, 120, 1);
	/* One use before, and this one. */
	assert_true(cache_count_shown(b->c));
	expect_hot(b, 100, 20);
	expect_hot(b, 121, 29);
	expect_nothing(b);
	/* What has come home is not told of again; it is not nearer yet. */
	agent_fill(&b->near, 110, 30);
	for (unsigned i = 1; i < CACHE_HOT_USES; i++)
		assert_true(cache_count_shown(b->c));
	expect_nothing(b);
	assert_true(cache_count_shown(b->c));
	expect_hot(b, 100, 10);
	expect_hot(b, 140, 10);
	expect_nothing(b);
	cache_put(b->c, AGENT_DISK, other, 1);
	cache_put(b->c, AGENT_DISK, page, 50);
	assert_false(cache_count_shown(b->c));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_plain, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(uses_make_hot),
		TEST(blocks_are_counted_apart),
		TEST(long_runs_are_cut),
		TEST(copied_ones_are_used),
		TEST(on_one_node_nothing_is_counted),
		TEST(nobody_to_tell),
		TEST(a_ring_that_is_full),
		TEST(what_stays_shown_is_used),
	};

	return cmocka_run_group_tests_name("cache_hot", tests, NULL, NULL);
}
