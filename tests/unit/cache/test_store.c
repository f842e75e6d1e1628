/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A store over a real file, read as an agent reads it: by a ring with
 * O_DIRECT where this machine has them, and by plain reads.
 */
#include "tests/unit/cache/store_world.h"

static struct world w;

static struct pool *real_pool(uint64_t limit_bytes)
{
	struct pool *p;

	assert_int_equal(pool_create(limit_bytes, 8, &p), 0);
	return p;
}

static struct pool_stats stats(void)
{
	struct pool_stats st;

	pool_get_stats(w.pool, &st);
	return st;
}

static void contents_equal(uint64_t bytes, int flags)
{
	struct worker *k;
	uint64_t b, n;

	world_init(&w, bytes, flags);
	world_open(&w, real_pool(GIB(1)));
	k = world_worker(&w);
	for (b = 0; b < w.nr_blocks; b += n) {
		struct heard h;

		n = min_u64(w.nr_blocks - b, 1 + b % CACHE_FILL_MAX);
		h = world_fill(&w, k, b, (uint32_t)n);
		assert_int_equal(h.err, 0);
		assert_int_equal(h.nr, n);
	}
	assert_int_equal(world_check(&w), w.nr_blocks);
	assert_int_equal(stats().present_blocks, w.nr_blocks);
	assert_int_equal(stats().filling_blocks, 0);
	assert_int_equal(stats().read_bytes, bytes);
	assert_int_equal(stats().failed_reads, 0);
	world_end(&w);
}

/* With last blocks of every length that a file of sectors can have. */
static void contents_by_ring(void **state)
{
	(void)state;
	for (uint64_t tail = 0; tail < PAGE_BYTES; tail += 512)
		contents_equal(MIB(3) + tail, O_DIRECT);
	contents_equal(512, O_DIRECT);
}

static void contents_by_plain_reads(void **state)
{
	(void)state;
	for (uint64_t tail = 0; tail < PAGE_BYTES; tail += 512)
		contents_equal(MIB(3) + tail, 0);
}

static void this_machine_has_a_ring(void **state)
{
	(void)state;
	world_init(&w, MIB(1), O_DIRECT);
	world_open(&w, real_pool(MIB(1)));
	if (pool_event_fd(w.pool) < 0 || !w.store->direct) {
		world_end(&w);
		SKIP("no io_uring or no O_DIRECT here");
	}
	world_end(&w);
}

/* What is beyond the end when it was opened is not the image's. */
static void a_file_that_grew(void **state)
{
	static const int flags[] = { O_DIRECT, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		world_init(&w, MIB(1), flags[i]);
		w.bytes -= 512;
		memset(w.content + w.bytes, 0, 512);
		world_open(&w, real_pool(MIB(1)));
		assert_int_equal(world_fill(&w, world_worker(&w), 255, 1).err,
				 0);
		assert_int_equal(world_check(&w), 1);
		world_end(&w);
	}
}

static void a_file_that_shrank(void **state)
{
	static const int flags[] = { O_DIRECT, 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		char path[64];
		struct heard h;
		int fd;

		world_init(&w, MIB(1), flags[i]);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", w.image);
		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_int_equal(ftruncate(fd, 10 * PAGE_BYTES + 512), 0);
		(void)close(fd);
		world_open(&w, real_pool(MIB(1)));
		h = world_fill(&w, world_worker(&w), 8, 8);
		assert_int_equal(h.err, -EIO);
		assert_int_equal(h.nr, 2);
		assert_int_equal(world_check(&w), 2);
		assert_int_equal(memory_blocks(&w), 2);
		world_end(&w);
	}
}

/* N guests of one image: each block is read once. */
static void one_read_for_many(void **state)
{
	struct heard h[WORKERS_MAX] = { 0 };
	unsigned calls = 0;

	(void)state;
	world_init(&w, MIB(64), O_DIRECT);
	world_open(&w, real_pool(MIB(64)));
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		(void)world_worker(&w);
	for (uint64_t b = 0; b < w.nr_blocks; b += 64) {
		calls++;
		for (unsigned i = 0; i < WORKERS_MAX; i++)
			assert_int_equal(store_fill(w.workers[i].reader, b, 64,
						    hear, &h[i], i),
					 0);
		for (unsigned i = 0; i < WORKERS_MAX; i++)
			world_wait(&w, &h[i], calls);
	}
	assert_int_equal(world_check(&w), w.nr_blocks);
	assert_int_equal(stats().read_bytes, MIB(64));
	assert_int_equal(stats().asked_blocks, WORKERS_MAX * w.nr_blocks);
	if (w.store->direct && pool_event_fd(w.pool) >= 0)
		assert_true(stats().joined_blocks > 0);
	world_end(&w);
}

static void no_room_is_said_at_once(void **state)
{
	struct worker *k;
	struct heard h;

	(void)state;
	world_init(&w, MIB(1), O_DIRECT);
	world_open(&w, real_pool(10 * PAGE_BYTES));
	k = world_worker(&w);
	h = world_fill(&w, k, 0, 10);
	assert_int_equal(h.err, 0);
	assert_int_equal(lease_take(k->lease.base, w.there, 0, 10), 10);
	h = world_fill(&w, k, 20, 5);
	assert_int_equal(h.err, -ENOSPC);
	assert_int_equal(h.nr, 0);
	assert_int_equal(stats().refused_blocks, 5);
	/* Two of them are given back. */
	lease_drop(k->lease.base, 4, 2);
	h = world_fill(&w, k, 20, 5);
	assert_int_equal(h.err, -ENOSPC);
	assert_int_equal(h.nr, 2);
	assert_int_equal(stats().evicted_blocks, 2);
	assert_true(stats().leased_blocks >= 8);
	assert_int_equal(world_check(&w), 10);
	assert_false(presence_test(w.there, 4));
	assert_true(presence_test(w.there, 3));
	assert_true(presence_test(w.there, 21));
	world_end(&w);
}

static void referenced_ones_get_a_round(void **state)
{
	struct worker *k;

	(void)state;
	world_init(&w, MIB(1), O_DIRECT);
	world_open(&w, real_pool(8 * PAGE_BYTES));
	k = world_worker(&w);
	assert_int_equal(world_fill(&w, k, 0, 8).err, 0);
	/* Clears all marks, and takes the first one. */
	assert_int_equal(world_fill(&w, k, 100, 1).err, 0);
	assert_false(presence_test(w.there, 0));
	assert_int_equal(world_fill(&w, k, 1, 2).err, 0);
	assert_int_equal(world_fill(&w, k, 110, 1).err, 0);
	assert_true(presence_test(w.there, 1));
	assert_true(presence_test(w.there, 2));
	assert_false(presence_test(w.there, 3));
	assert_int_equal(world_check(&w), 8);
	world_end(&w);
}

/* 16 MiB of cache, all of it leased, of an image of 20. */
static struct worker *all_leased(void)
{
	struct worker *k;

	world_init(&w, MIB(20), O_DIRECT);
	world_open(&w, real_pool(MIB(16)));
	k = world_worker(&w);
	for (uint64_t b = 4096; b > 0;) { /* no row: nothing is read ahead */
		b -= CACHE_FILL_MAX;
		assert_int_equal(world_fill(&w, k, b, CACHE_FILL_MAX).err, 0);
		assert_int_equal(
			lease_take(k->lease.base, w.there, b, CACHE_FILL_MAX),
			CACHE_FILL_MAX);
	}
	return k;
}

/* Return: whether there was room for it. */
static bool ask_for_one(struct worker *k, uint64_t block)
{
	struct heard h = world_fill(&w, k, block, 1);

	assert_int_equal(h.err, h.nr ? 0 : -ENOSPC);
	return h.nr;
}

/* Requests that are all refused, and no row. Return: how many looks. */
static uint64_t storm(struct worker *k, unsigned nr)
{
	uint64_t before = stats().looks;

	for (unsigned i = 0; i < nr; i++)
		assert_false(ask_for_one(k, 5119 - i % 1024));
	return stats().looks - before;
}

static void a_storm_of_requests_against_leases(void **state)
{
	struct worker *k = all_leased();
	unsigned refused = 0;

	(void)state;
	/* Marks are cleared; what was saved up is spent. */
	assert_in_range(storm(k, 2000), 4096, EVICT_LOOKS + 64 + 2000 * 8);
	assert_in_range(storm(k, 2000), 1, 2000 * 8);
	assert_int_equal(stats().evicted_blocks, 0);
	assert_true(stats().refused_blocks >= 4000);
	/* One of 4096 is given back: found within a round of the hand. */
	lease_drop(k->lease.base, 2222, 1);
	while (refused < 100 && !ask_for_one(k, 4100))
		refused++;
	assert_in_range(refused, 0, 4096 / 64 / 8 + 1);
	assert_false(presence_test(w.there, 2222));
	assert_int_equal(stats().evicted_blocks, 1);
	/* A half of them: at once, as far as they go. */
	lease_drop(k->lease.base, 0, 512);
	lease_drop(k->lease.base, 512, 512);
	refused = 0;
	for (unsigned i = 0; i < 1000; i++)
		refused += !ask_for_one(k, 5119 - i);
	assert_in_range(refused, 0, 4096 / 64 / 8 + 1);
	assert_true(world_check(&w) > 4000);
	world_end(&w);
}

/*
 * Who leased it all ends: nothing is refused any more. Not even while marks
 * have to be cleared first, which is no look for nothing.
 */
static void the_end_of_who_leased(void **state)
{
	struct worker *k = all_leased(), *l = world_worker(&w);

	(void)state;
	(void)storm(l, 2000);
	store_reader_remove(k->reader);
	for (uint64_t b = 0; b < 4096; b += CACHE_FILL_MAX)
		assert_int_equal(world_fill(&w, l, 3840 - b, CACHE_FILL_MAX).nr,
				 CACHE_FILL_MAX);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(ask_for_one(l, 5119 - i));
	world_end(&w);
}

static void a_smaller_limit(void **state)
{
	struct worker *k;

	(void)state;
	world_init(&w, MIB(1), O_DIRECT);
	world_open(&w, real_pool(MIB(1)));
	k = world_worker(&w);
	assert_int_equal(world_fill(&w, k, 0, 256).err, 0);
	assert_int_equal(lease_take(k->lease.base, w.there, 30, 20), 20);
	pool_set_limit(w.pool, 100 * PAGE_BYTES);
	assert_int_equal(world_check(&w), 100);
	pool_set_limit(w.pool, 10 * PAGE_BYTES);
	assert_int_equal(stats().present_blocks, 20);
	for (uint64_t b = 30; b < 50; b++)
		assert_true(presence_test(w.there, b) && block_right(&w, b));
	assert_int_equal(memory_blocks(&w), 20);
	/* What was leased goes when somebody asks. */
	lease_drop(k->lease.base, 30, 20);
	assert_int_equal(world_fill(&w, k, 200, 1).err, 0);
	assert_true(world_check(&w) <= 10);
	pool_set_limit(w.pool, 0);
	assert_int_equal(memory_blocks(&w), 0);
	assert_int_equal(world_fill(&w, k, 0, 1).err, -ENOSPC);
	world_end(&w);
}

/* In batches; a request in between gets no room, and evicts nothing. */
static void a_much_smaller_limit(void **state)
{
	struct worker *k = all_leased();
	unsigned turns = 0, left;
	bool more = true;

	(void)state;
	for (uint64_t b = 0; b < 4096; b += LEASE_RUN_MAX)
		lease_drop(k->lease.base, b, LEASE_RUN_MAX);
	assert_int_equal(lease_take(k->lease.base, w.there, 2000, 100), 100);
	assert_false(pool_turn(w.pool));
	pool_set_limit(w.pool, MIB(1));
	for (left = 3072; more; left -= 1024) {
		assert_int_equal(stats().present_blocks, max_u64(left, 256));
		assert_false(ask_for_one(k, 5000 + turns));
		assert_int_equal(stats().present_blocks, max_u64(left, 256));
		more = pool_turn(w.pool);
		turns++;
	}
	assert_int_equal(turns, 3);
	assert_int_equal(world_check(&w), 256);
	assert_true(presence_test(w.there, 2000));
	assert_true(ask_for_one(k, 5100));
	/* Less than what is leased: it ends, and goes on with a request. */
	pool_set_limit(w.pool, 10 * PAGE_BYTES);
	assert_false(pool_turn(w.pool));
	assert_int_equal(stats().present_blocks, 100);
	lease_drop(k->lease.base, 2000, 95);
	assert_true(ask_for_one(k, 5101));
	assert_true(world_check(&w) <= 10);
	world_end(&w);
}

/* As many as there is room for go at once for a request, and no more. */
static void a_limit_below_what_was_leased(void **state)
{
	struct worker *k = all_leased();

	(void)state;
	pool_set_limit(w.pool, MIB(1));
	while (pool_turn(w.pool))
		;
	assert_int_equal(stats().present_blocks, 4096);
	for (uint64_t b = 0; b < 4096; b += LEASE_RUN_MAX)
		lease_drop(k->lease.base, b, LEASE_RUN_MAX);
	for (unsigned left = 3072; left > 256; left -= 1024) {
		assert_false(ask_for_one(k, 5000));
		assert_int_equal(stats().present_blocks, left);
	}
	assert_true(ask_for_one(k, 5000));
	assert_int_equal(world_check(&w), 256);
	world_end(&w);
}

static void rows_are_read_ahead(void **state)
{
	struct worker *k;
	uint64_t asked = 0;

	(void)state;
	world_init(&w, MIB(8), O_DIRECT);
	world_open(&w, real_pool(MIB(8)));
	k = world_worker(&w);
	/* As a guest does: what is there it does not ask for. */
	for (uint64_t b = 0; b < w.nr_blocks; b += 4) {
		while (stats().filling_blocks)
			pool_ready(w.pool);
		if (presence_test(w.there, b))
			continue;
		assert_int_equal(world_fill(&w, k, b, 4).err, 0);
		asked += 4;
	}
	assert_true(asked < w.nr_blocks / 10);
	assert_int_equal(stats().read_bytes, MIB(8));
	assert_int_equal(stats().ahead_blocks, w.nr_blocks - asked);
	assert_int_equal(world_check(&w), w.nr_blocks);
	world_end(&w);
}

static void leaps_are_not(void **state)
{
	struct worker *k;

	(void)state;
	world_init(&w, MIB(8), O_DIRECT);
	world_open(&w, real_pool(MIB(8)));
	k = world_worker(&w);
	for (uint64_t b = w.nr_blocks - 8; b > 8; b -= 8)
		assert_int_equal(world_fill(&w, k, b, 4).err, 0);
	assert_int_equal(stats().ahead_blocks, 0);
	world_end(&w);
}

static void hints_are_followed(void **state)
{
	struct worker *k;

	(void)state;
	world_init(&w, MIB(8), O_DIRECT);
	world_open(&w, real_pool(MIB(1)));
	k = world_worker(&w);
	assert_int_equal(store_ahead(k->reader, 100, 200), 0);
	while (stats().filling_blocks)
		pool_ready(w.pool);
	assert_int_equal(world_check(&w), 200);
	assert_int_equal(stats().ahead_blocks, 200);
	assert_int_equal(stats().asked_blocks, 0);
	world_end(&w);
}

static void what_makes_no_sense(void **state)
{
	static const struct {
		uint64_t first;
		uint32_t nr;
	} bad[] = { { 0, 0 },		{ 0, CACHE_FILL_MAX + 1 },
		    { 2048, 1 },	{ 2047, 2 },
		    { UINT64_MAX, 1 },	{ UINT64_MAX, 2 },
		    { 1ull << 60, 16 }, { 0, UINT32_MAX } };
	struct heard h = { 0 };
	struct worker *k;
	struct store *s;

	(void)state;
	world_init(&w, MIB(8), O_DIRECT);
	world_open(&w, real_pool(MIB(8)));
	k = world_worker(&w);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(store_fill(k->reader, bad[i].first, bad[i].nr,
					    hear, &h, 0),
				 -EINVAL);
		assert_int_equal(
			store_ahead(k->reader, bad[i].first, bad[i].nr),
			-EINVAL);
	}
	assert_int_equal(h.calls, 0);
	/* Sizes that do not fit. */
	for (uint64_t bytes = 0; bytes <= MIB(16); bytes += MIB(4) + 511)
		assert_int_equal(store_open(w.pool, copy_fd(w.image), bytes,
					    copy_fd(w.memory),
					    copy_fd(w.presence), &s),
				 -EINVAL);
	assert_int_equal(store_open(w.pool, copy_fd(w.image), MIB(8),
				    copy_fd(w.memory), copy_fd(w.memory), &s),
			 -EINVAL);
	/* A lease map that is none. */
	assert_int_equal(
		store_reader_add(w.store, copy_fd(w.presence), &k->reader),
		-EPROTO);
	world_end(&w);
}

/* All stores share one limit, and one clock. */
static void two_images(void **state)
{
	static struct world other;
	struct worker *k, *l;

	(void)state;
	world_init(&w, MIB(2), O_DIRECT);
	world_init(&other, MIB(2), O_DIRECT);
	world_open(&w, real_pool(MIB(1)));
	world_open(&other, w.pool);
	k = world_worker(&w);
	l = world_worker(&other);
	for (uint64_t b = 0; b < w.nr_blocks; b += 64) {
		assert_int_equal(world_fill(&w, k, b, 64).err, 0);
		assert_int_equal(world_fill(&other, l, b, 64).err, 0);
		assert_true(memory_blocks(&w) + memory_blocks(&other) <= 256);
	}
	assert_true(world_check(&w) > 0);
	assert_true(world_check(&other) > 0);
	/* The end of one gives its room to the other one. */
	store_close(w.store);
	assert_int_equal(world_fill(&other, l, 0, 256).err, 0);
	assert_int_equal(world_check(&other), 256);
	other.pool = NULL;
	world_end(&w);
	world_end(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(this_machine_has_a_ring),
		cmocka_unit_test(contents_by_ring),
		cmocka_unit_test(contents_by_plain_reads),
		cmocka_unit_test(a_file_that_grew),
		cmocka_unit_test(a_file_that_shrank),
		cmocka_unit_test(one_read_for_many),
		cmocka_unit_test(no_room_is_said_at_once),
		cmocka_unit_test(referenced_ones_get_a_round),
		cmocka_unit_test(a_storm_of_requests_against_leases),
		cmocka_unit_test(the_end_of_who_leased),
		cmocka_unit_test(a_smaller_limit),
		cmocka_unit_test(a_much_smaller_limit),
		cmocka_unit_test(a_limit_below_what_was_leased),
		cmocka_unit_test(rows_are_read_ahead),
		cmocka_unit_test(leaps_are_not),
		cmocka_unit_test(hints_are_followed),
		cmocka_unit_test(what_makes_no_sense),
		cmocka_unit_test(two_images),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
