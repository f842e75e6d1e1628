/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random requests, leases, ends of reads, errors, limits and deaths, checked
 * after each step against what a store promises and a shadow of who leases.
 */
#include "tests/unit/cache/store_world.h"

#define BLOCKS	150u
#define WORKERS 3u
#define STEPS	3000u
#define SEEDS	12u

struct request {
	struct heard heard;
	uint64_t first;
	uint32_t nr;
	unsigned worker;
	bool open, forgotten;
};

static struct world w;
static struct fake fake;
static bool leased[WORKERS][BLOCKS];
static struct request requests[STEPS];
static unsigned nr_requests;
static uint64_t limit;
static uint64_t ceiling; /* more than the limit: leased when that came down */

static unsigned below(unsigned n)
{
	return (unsigned)random() % n;
}

static void fill_step(void)
{
	struct request *q = &requests[nr_requests++];

	q->worker = below(WORKERS);
	q->first = below(BLOCKS);
	q->nr = 1 + below((unsigned)(BLOCKS - q->first));
	if (below(2))
		q->nr = (uint32_t)min_u64(q->nr, 4);
	q->open = true;
	assert_int_equal(store_fill(w.workers[q->worker].reader, q->first,
				    q->nr, hear, &q->heard, nr_requests),
			 0);
}

static void finish_step(void)
{
	if (fake.nr_jobs == fake.nr_over)
		return;
	fake.spoil = below(5) ? 0 : 1;
	fake.spoilt_for = UINT64_MAX - 1;
	fake.result = below(2) ? -EIO : (int)below(3 * PAGE_BYTES);
	fake_finish(&fake, below(fake.nr_jobs - fake.nr_over));
	fake.spoil = 0;
	if (below(3))
		pool_ready(w.pool);
}

static void lease_step(void)
{
	unsigned k = below(WORKERS), b = below(BLOCKS), n = 0;
	lease_word *map = w.workers[k].lease.base;

	if (leased[k][b]) {
		lease_drop(map, b, 1);
		leased[k][b] = false;
		return;
	}
	while (n < 8 && b + n < BLOCKS && !leased[k][b + n])
		n++;
	n = lease_take(map, w.there, b, n);
	for (unsigned i = b; i < b + n; i++) {
		leased[k][i] = true;
		assert_true(block_right(&w, i));
	}
}

static uint64_t used(void)
{
	struct pool_stats st;

	pool_get_stats(w.pool, &st);
	return st.present_blocks + st.filling_blocks;
}

static void set_limit(void)
{
	pool_set_limit(w.pool, limit * PAGE_BYTES);
	ceiling = used();
}

static void limit_step(void)
{
	limit = 10 + below(BLOCKS);
	set_limit();
}

static void forget_of(unsigned worker)
{
	for (unsigned i = 0; i < nr_requests; i++)
		if (requests[i].worker == worker && !requests[i].heard.calls)
			requests[i].forgotten = true;
}

/* A worker that dies, and one that starts, with the same lease map. */
static void worker_step(void)
{
	unsigned k = below(WORKERS);

	for (unsigned b = 0; b < BLOCKS; b++) {
		if (leased[k][b])
			lease_drop(w.workers[k].lease.base, b, 1);
		leased[k][b] = false;
	}
	store_reader_remove(w.workers[k].reader);
	forget_of(k);
	assert_int_equal(store_reader_add(w.store,
					  copy_fd(w.workers[k].lease.fd),
					  &w.workers[k].reader),
			 0);
}

static void open_again(void)
{
	fake = (struct fake){ .later = true };
	w.nr_workers = 0;
	world_open(&w, fake_pool(&fake, 0, 1 + below(8)));
	for (unsigned k = 0; k < WORKERS; k++)
		(void)world_worker(&w);
	set_limit();
}

/* The end of reads is not waited for by who is dead; the bytes still come. */
static void death_step(void)
{
	if (below(20))
		return;
	for (unsigned k = 0; k < WORKERS; k++)
		forget_of(k);
	world_close(&w);
	open_again();
}

static void check_step(void)
{
	assert_true(used() <= max_u64(limit, ceiling));
	assert_true(memory_blocks(&w) <= used());
	ceiling = min_u64(ceiling, used());
	for (unsigned b = 0; b < BLOCKS; b++) {
		bool wanted = presence_test(w.there, b);

		for (unsigned k = 0; k < WORKERS; k++)
			wanted |= leased[k][b];
		if (wanted)
			assert_true(block_right(&w, b));
	}
	for (unsigned i = 0; i < nr_requests; i++) {
		struct request *q = &requests[i];

		assert_true(q->heard.calls <= !q->forgotten);
		if (!q->open || !q->heard.calls)
			continue;
		q->open = false;
		assert_int_equal(q->heard.tag, i + 1);
		assert_true(q->heard.nr <= q->nr);
		assert_int_equal(q->heard.nr < q->nr, q->heard.err != 0);
	}
}

static void one_seed(unsigned seed)
{
	static void (*const steps[])(void) = {
		fill_step,   fill_step,	  finish_step, finish_step, finish_step,
		finish_step, lease_step,  lease_step,  lease_step,  lease_step,
		limit_step,  worker_step, death_step
	};

	srandom(seed);
	memset(requests, 0, sizeof(requests));
	memset(leased, 0, sizeof(leased));
	nr_requests = 0;
	limit = 40;
	world_init(&w, BLOCKS * PAGE_BYTES - 512 * (uint64_t)below(8), 0);
	open_again();
	for (unsigned i = 0; i < STEPS; i++) {
		/* Changes of limits are rare, fills are not. */
		unsigned what = below(ARRAY_SIZE(steps));

		if (steps[what] == limit_step && below(10))
			what = 0;
		steps[what]();
		check_step();
	}
	while (fake.nr_jobs) {
		if (fake.nr_jobs > fake.nr_over)
			fake_finish(&fake, 0);
		pool_ready(w.pool);
	}
	for (unsigned i = 0; i < nr_requests; i++)
		assert_int_equal(requests[i].heard.calls,
				 !requests[i].forgotten);
	world_end(&w);
}

static void random_steps(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= SEEDS; seed++)
		one_seed(seed);
}

/* With no lease and one limit, never a page more: invariant 4. */
static void never_above_the_limit(void **state)
{
	struct heard h[200] = { 0 };

	(void)state;
	limit = 33;
	world_init(&w, BLOCKS * PAGE_BYTES, 0);
	open_again();
	for (unsigned i = 0; i < ARRAY_SIZE(h); i++) {
		assert_int_equal(store_fill(w.workers[0].reader,
					    below(BLOCKS - 20), 1 + below(20),
					    hear, &h[i], i),
				 0);
		(void)world_check(&w);
		while (fake.nr_jobs > below(6)) {
			finish_step();
			pool_ready(w.pool);
			(void)world_check(&w);
		}
	}
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_steps),
		cmocka_unit_test(never_above_the_limit),
	};

	return cmocka_run_group_tests_name("store_model", tests, NULL, NULL);
}
