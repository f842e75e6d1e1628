/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads that fail, come short and are interrupted, at every place; requests
 * that wait when their reader or store goes; agents that died.
 */
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/cache/store_world.h"

static struct world w;
static struct fake fake;

static struct pool_stats stats(void)
{
	struct pool_stats st;

	pool_get_stats(w.pool, &st);
	return st;
}

static struct worker *start(uint64_t blocks, uint64_t limit, unsigned depth)
{
	fake = (struct fake){ .later = depth > 1 };
	world_init(&w, blocks * PAGE_BYTES, 0);
	world_open(&w, fake_pool(&fake, limit, depth));
	return world_worker(&w);
}

/* Runs of 3 and gaps of 2, filled in two rounds: many reads of many lengths. */
static void fill_all(struct worker *k, unsigned *failed)
{
	for (uint64_t b = 0; b + 3 <= w.nr_blocks; b += 5)
		if (world_fill(&w, k, b, 3).err)
			(*failed)++;
	for (uint64_t b = 0; b < w.nr_blocks; b += 25) {
		uint32_t n = (uint32_t)min_u64(25, w.nr_blocks - b);
		struct heard h = world_fill(&w, k, b, n);

		if (h.err)
			(*failed)++;
		else
			assert_int_equal(h.nr, n);
		for (uint64_t i = b; i < b + h.nr; i++)
			assert_true(presence_test(w.there, i));
		if (h.err)
			assert_false(presence_test(w.there, b + h.nr));
	}
}

/* For every n: the n-th read does this. Return: requests that failed. */
static unsigned at_every_read(int result, uint64_t spoilt_for, uint64_t *reads)
{
	unsigned failed = 0;

	for (uint64_t n = 1;; n++) {
		struct worker *k = start(120, 120, 1);
		struct pool_stats st;
		bool past;

		fake.spoil = n;
		fake.spoilt_for = spoilt_for;
		fake.result = result;
		fill_all(k, &failed);
		past = fake.nr < n;
		(void)world_check(&w);
		fake.spoil = 0;
		assert_int_equal(world_fill(&w, k, 0, 120).err, 0);
		assert_int_equal(world_check(&w), 120);
		st = stats();
		assert_int_equal(st.filling_blocks, 0);
		assert_int_equal(st.present_blocks, 120);
		*reads = fake.nr;
		world_end(&w);
		if (past)
			return failed;
	}
}

static void errors_at_every_read(void **state)
{
	static const int errors[] = { -EIO, -ENOMEM, -EBADF };
	uint64_t reads;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		assert_true(at_every_read(errors[i], 1, &reads) > 20);
}

static void what_passes_is_tried_again(void **state)
{
	static const int errors[] = { -EINTR, -EAGAIN };
	uint64_t reads;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		assert_int_equal(at_every_read(errors[i], 1, &reads), 0);
		assert_int_equal(
			at_every_read(errors[i], READ_TRIES - 1, &reads), 0);
		assert_true(at_every_read(errors[i], READ_TRIES, &reads) > 0);
	}
}

static void short_at_every_read(void **state)
{
	static const int got[] = { 1,
				   511,
				   512,
				   PAGE_BYTES - 1,
				   PAGE_BYTES,
				   PAGE_BYTES + 1,
				   2 * PAGE_BYTES };
	uint64_t reads;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(got); i++)
		assert_int_equal(at_every_read(got[i], 3, &reads), 0);
	/* The end of a file that became shorter. */
	assert_true(at_every_read(0, 1, &reads) > 20);
	assert_true(at_every_read(100, READ_TRIES, &reads) > 20);
}

static void blocks_before_an_error_are_there(void **state)
{
	struct worker *k = start(64, 64, 1);
	struct heard h;

	(void)state;
	fake.spoil = 2;
	fake.spoilt_for = 1;
	fake.result = -EIO;
	assert_int_equal(world_fill(&w, k, 10, 5).err, 0);
	h = world_fill(&w, k, 8, 20); /* 8-9 fails, 15-27 does not */
	assert_int_equal(h.nr, 0);
	assert_int_equal(h.err, -EIO);
	assert_int_equal(world_check(&w), 18);
	h = world_fill(&w, k, 8, 20);
	assert_int_equal(h.err, 0);
	/* Half of the read comes, then an error. */
	fake.spoil = fake.nr + 2;
	fake.result = -EIO;
	w.pool->limit = 64;
	assert_int_equal(world_fill(&w, k, 30, 1).err, 0);
	h = world_fill(&w, k, 30, 10);
	assert_int_equal(h.nr, 1);
	assert_int_equal(stats().failed_reads, 2);
	world_end(&w);
}

/* All who wait for a block hear of it, in whatever order reads end. */
static void all_hear_of_an_error(void **state)
{
	struct worker *k = start(64, 64, 8), *l = world_worker(&w);
	struct heard a = { 0 }, b = { 0 }, c = { 0 };

	(void)state;
	assert_int_equal(store_fill(k->reader, 10, 10, hear, &a, 1), 0);
	assert_int_equal(store_fill(l->reader, 5, 10, hear, &b, 2), 0);
	assert_int_equal(store_fill(l->reader, 18, 10, hear, &c, 3), 0);
	assert_int_equal(fake.nr, 3); /* 10-19, 5-9, 20-27 */
	assert_int_equal(stats().joined_blocks, 5 + 2);
	fake_finish(&fake, 1);
	pool_ready(w.pool);
	assert_int_equal(a.calls + b.calls + c.calls, 0);
	fake.spoil = fake.nr;
	fake.spoilt_for = 1;
	fake.result = -EIO;
	for (unsigned i = 0; i < fake.nr_jobs; i++)
		if (fake.jobs[i]->offset == 10 * PAGE_BYTES)
			fake_finish(&fake, i);
	pool_ready(w.pool);
	assert_int_equal(a.calls, 1);
	assert_int_equal(a.nr, 0);
	assert_int_equal(a.err, -EIO);
	assert_int_equal(b.calls, 1);
	assert_int_equal(b.nr, 5);
	assert_int_equal(b.err, -EIO);
	assert_int_equal(c.calls, 0);
	fake.spoil = 0;
	fake_finish(&fake, 0);
	pool_ready(w.pool);
	assert_int_equal(c.calls, 1);
	assert_int_equal(c.nr, 0);
	assert_int_equal(c.err, -EIO);
	assert_int_equal(world_check(&w), 5 + 8);
	world_end(&w);
}

/* Two reads of one request fail, in either order. */
static void the_first_block_that_fails_counts(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 2; order++) {
		struct worker *k = start(64, 64, 8);
		struct heard one = { 0 }, h = { 0 };

		assert_int_equal(store_fill(k->reader, 8, 1, hear, &one, 0), 0);
		fake_finish(&fake, 0);
		pool_ready(w.pool);
		assert_int_equal(store_fill(k->reader, 4, 9, hear, &h, 0), 0);
		fake.spoil = 1;
		fake.spoilt_for = UINT64_MAX - 1;
		fake.result = order ? -EIO : -ENOMEM;
		fake_finish(&fake, order);
		pool_ready(w.pool);
		fake.result = order ? -ENOMEM : -EIO;
		fake_finish(&fake, 0);
		pool_ready(w.pool);
		assert_int_equal(h.calls, 1);
		assert_int_equal(h.nr, 0);
		assert_int_equal(h.err, -ENOMEM);
		world_end(&w);
	}
}

/* However often: as long as blocks come. */
static void slow_but_sure(void **state)
{
	struct worker *k = start(64, 64, 1);

	(void)state;
	fake.spoil = 1;
	fake.spoilt_for = UINT64_MAX - 1;
	fake.result = PAGE_BYTES;
	fake.interrupted = true;
	assert_int_equal(world_fill(&w, k, 0, 64).err, 0);
	assert_int_equal(fake.nr, 128);
	assert_int_equal(world_check(&w), 64);
	world_end(&w);
}

/* Was there, went, and comes again for another: not what is waited for. */
static void a_wait_counts_its_own_blocks(void **state)
{
	struct worker *k = start(64, 2, 8), *l = world_worker(&w);
	struct heard first = { 0 }, a = { 0 }, b = { 0 };

	(void)state;
	assert_int_equal(store_fill(k->reader, 3, 1, hear, &first, 0), 0);
	fake_finish(&fake, 0);
	pool_ready(w.pool);
	assert_int_equal(store_fill(k->reader, 3, 2, hear, &a, 0), 0);
	assert_int_equal(stats().filling_blocks, 1); /* 4 */
	assert_int_equal(store_fill(l->reader, 9, 1, hear, &b, 0), 0);
	assert_false(presence_test(w.there, 3));
	fake_finish(&fake, 1); /* 9 */
	pool_ready(w.pool);
	assert_int_equal(b.calls, 1);
	assert_int_equal(store_fill(l->reader, 3, 1, hear, &b, 0), 0);
	assert_false(presence_test(w.there, 9));
	fake_finish(&fake, 1); /* 3 */
	pool_ready(w.pool);
	assert_int_equal(b.calls, 2);
	assert_int_equal(a.calls, 0);
	fake_finish(&fake, 0);
	pool_ready(w.pool);
	assert_int_equal(a.calls, 1);
	world_end(&w);
}

static void more_reads_than_the_depth(void **state)
{
	struct worker *k = start(256, 256, 4);
	struct heard h[64] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(
			store_fill(k->reader, 4 * i, 2, hear, &h[i], i), 0);
	assert_int_equal(fake.nr, 4);
	assert_int_equal(stats().filling_blocks, 128);
	assert_int_equal(store_ahead(k->reader, 2, 1), 0); /* given up */
	assert_int_equal(stats().ahead_blocks, 0);
	while (fake.nr_jobs) {
		assert_true(fake.nr_jobs <= 4);
		fake_finish(&fake, (unsigned)random() % fake.nr_jobs);
		pool_ready(w.pool);
	}
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(h[i].calls, 1);
	assert_int_equal(world_check(&w), 128);
	world_end(&w);
}

static void too_many_requests(void **state)
{
	struct worker *k = start(64, 64, 4);
	struct heard h = { 0 };

	(void)state;
	for (unsigned i = 0; i < POOL_WAITS_MAX; i++)
		assert_int_equal(store_fill(k->reader, 0, 1, hear, &h, 0), 0);
	assert_int_equal(store_fill(k->reader, 0, 1, hear, &h, 0), -EAGAIN);
	fake_finish(&fake, 0);
	pool_ready(w.pool);
	assert_int_equal(h.calls, POOL_WAITS_MAX);
	assert_int_equal(store_fill(k->reader, 0, 1, hear, &h, 0), 0);
	assert_int_equal(h.calls, POOL_WAITS_MAX + 1);
	world_end(&w);
}

static void who_went_is_not_answered(void **state)
{
	struct worker *k = start(64, 64, 4), *l = world_worker(&w);
	struct heard a = { 0 }, b = { 0 };

	(void)state;
	assert_int_equal(store_fill(k->reader, 0, 4, hear, &a, 0), 0);
	assert_int_equal(store_fill(l->reader, 0, 8, hear, &b, 0), 0);
	store_reader_remove(k->reader);
	fake_finish(&fake, 0);
	fake_finish(&fake, 0);
	pool_ready(w.pool);
	assert_int_equal(a.calls, 0);
	assert_int_equal(b.calls, 1);
	assert_int_equal(world_check(&w), 8);
	/* A store that goes, with reads under way and waiting. */
	for (unsigned i = 10; i < 30; i += 2)
		assert_int_equal(store_fill(l->reader, i, 1, hear, &b, 0), 0);
	store_close(w.store);
	assert_int_equal(b.calls, 1);
	assert_int_equal(stats().present_blocks + stats().filling_blocks, 0);
	world_end(&w);
}

static void a_pool_that_goes(void **state)
{
	struct worker *k = start(64, 64, 4);
	struct heard h = { 0 };

	(void)state;
	for (unsigned i = 10; i < 30; i += 2)
		assert_int_equal(store_fill(k->reader, i, 1, hear, &h, 0), 0);
	world_end(&w);
	assert_int_equal(h.calls, 0);
}

/* --- agents that died --- */

static void died_with(uint64_t limit)
{
	w.nr_workers = 0;
	fake = (struct fake){ .later = false };
	world_open(&w, fake_pool(&fake, limit, 4));
}

static void what_is_there_is_counted(void **state)
{
	struct worker *k = start(640, 640, 1);

	(void)state;
	assert_int_equal(world_fill(&w, k, 3, 200).err, 0);
	assert_int_equal(world_fill(&w, k, 600, 40).err, 0);
	world_close(&w);
	died_with(0);
	k = world_worker(&w);
	assert_int_equal(stats().present_blocks, 240);
	/* Not all readers are known: nothing comes or goes. */
	assert_int_equal(world_fill(&w, k, 0, 1).err, -ENOSPC);
	assert_int_equal(world_fill(&w, k, 3, 200).err, 0);
	assert_int_equal(stats().evicted_blocks + fake.nr, 0);
	pool_set_limit(w.pool, 100 * PAGE_BYTES);
	assert_int_equal(world_check(&w), 100);
	world_end(&w);
}

/* It had cleared the bit, and died before it saw the lease. */
static void a_leased_page_without_a_bit(void **state)
{
	struct worker *k = start(64, 64, 1);
	lease_word *map = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			       MAP_SHARED, w.presence, 0);

	(void)state;
	assert_int_equal(world_fill(&w, k, 0, 4).err, 0);
	assert_int_equal(lease_take(k->lease.base, w.there, 0, 4), 4);
	world_close(&w);
	atomic_store(map, 0xd); /* not block 1 */
	died_with(4);
	k = world_worker(&w);
	assert_int_equal(stats().present_blocks, 4);
	pool_set_limit(w.pool, PAGE_BYTES);
	assert_int_equal(memory_blocks(&w), 4);
	assert_true(block_right(&w, 1));
	assert_false(presence_test(w.there, 1));
	/* A read that fails takes nothing away, one that does not has it. */
	pool_set_limit(w.pool, 8 * PAGE_BYTES);
	fake.later = true;
	assert_int_equal(store_ahead(k->reader, 1, 1), 0);
	fake_read(&fake, fake.jobs[0]);
	fake.later = false;
	fake.jobs[0]->result = -EIO;
	fake.nr_over = 1;
	assert_int_equal(eventfd_write(pool_event_fd(w.pool), 1), 0);
	pool_ready(w.pool);
	assert_int_equal(stats().failed_reads, 1);
	assert_int_equal(stats().present_blocks, 4);
	assert_true(block_right(&w, 1));
	assert_int_equal(world_fill(&w, k, 1, 1).err, 0);
	assert_true(presence_test(w.there, 1));
	assert_int_equal(world_check(&w), 4);
	lease_drop(k->lease.base, 0, 4);
	pool_set_limit(w.pool, 0);
	assert_int_equal(memory_blocks(&w), 0);
	(void)munmap((void *)map, PAGE_BYTES);
	world_end(&w);
}

/* It was being filled: garbage, which nobody may get. */
static void a_page_half_filled(void **state)
{
	struct worker *k = start(64, 64, 1);

	(void)state;
	assert_int_equal(world_fill(&w, k, 0, 4).err, 0);
	world_close(&w);
	assert_int_equal(pwrite(w.memory, "garbage", 7, 9 * PAGE_BYTES), 7);
	died_with(0);
	k = world_worker(&w);
	assert_int_equal(stats().present_blocks, 5);
	assert_int_equal(lease_take(k->lease.base, w.there, 9, 1), 0);
	pool_set_limit(w.pool, 64 * PAGE_BYTES);
	assert_int_equal(world_fill(&w, k, 9, 1).err, 0);
	assert_int_equal(stats().present_blocks, 5);
	assert_int_equal(world_check(&w), 5);
	world_end(&w);
}

/* Nothing can do that; it would be wrong data. */
static void a_bit_without_a_page(void **state)
{
	struct worker *k = start(640, 640, 1);

	(void)state;
	assert_int_equal(world_fill(&w, k, 0, 4).err, 0);
	world_close(&w);
	assert_int_equal(pwrite(w.presence, "\xff\xff", 2, 0), 2);
	assert_int_equal(pwrite(w.presence, "\xff\xff", 2, 40), 2);
	died_with(640);
	assert_int_equal(world_check(&w), 4);
	world_end(&w);
}

/* Killed anywhere: in a child, which shares what an agent shares. */
static void killed_anywhere(void **state)
{
	(void)state;
	world_init(&w, 512 * PAGE_BYTES, 0);
	for (unsigned round = 0; round < 60; round++) {
		pid_t pid = fork();

		if (pid == 0) {
			struct worker *k;

			srandom(round);
			died_with(100);
			k = world_worker(&w);
			for (;;)
				(void)world_fill(&w, k,
						 (uint64_t)random() % 480,
						 1 + (uint32_t)random() % 32);
		}
		(void)usleep(500 + (unsigned)random() % 4000);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		died_with(100);
		assert_int_equal(stats().present_blocks, memory_blocks(&w));
		(void)world_check(&w);
		world_close(&w);
	}
	died_with(512);
	assert_int_equal(world_fill(&w, world_worker(&w), 0, 256).err, 0);
	assert_true(world_check(&w) >= 256);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_at_every_read),
		cmocka_unit_test(what_passes_is_tried_again),
		cmocka_unit_test(short_at_every_read),
		cmocka_unit_test(blocks_before_an_error_are_there),
		cmocka_unit_test(all_hear_of_an_error),
		cmocka_unit_test(the_first_block_that_fails_counts),
		cmocka_unit_test(slow_but_sure),
		cmocka_unit_test(a_wait_counts_its_own_blocks),
		cmocka_unit_test(more_reads_than_the_depth),
		cmocka_unit_test(too_many_requests),
		cmocka_unit_test(who_went_is_not_answered),
		cmocka_unit_test(a_pool_that_goes),
		cmocka_unit_test(what_is_there_is_counted),
		cmocka_unit_test(a_leased_page_without_a_bit),
		cmocka_unit_test(a_page_half_filled),
		cmocka_unit_test(a_bit_without_a_page),
		cmocka_unit_test(killed_anywhere),
	};

	return cmocka_run_group_tests_name("store_faults", tests, NULL, NULL);
}
