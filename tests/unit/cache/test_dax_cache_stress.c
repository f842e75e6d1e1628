/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "vCPUs" that read all of a region again and again, and check each byte they
 * see, while an agent takes blocks away and fills them anew, as slowly as it
 * likes. DISCO_SOAK: for a minute.
 */
#include <errno.h>

#include "tests/unit/cache/dax_cache_bench.h"

#define READERS	   3u
#define RUBBISH	   0xee
#define STRESS_NS  1500000000ull
#define SOAK_NS	   60000000000ull
#define PER_FILL   4u /* blocks taken away for each that is filled */
#define FIRST_SEED 88172645463325252ull

static struct {
	struct bench *b;
	_Atomic(bool) stop;
	_Atomic(uint64_t) bad, pages, evicted;
} w;

static uint64_t next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	return *seed ^= *seed << 17;
}

/* All copies are true ones: any of them may be seen, nothing else. */
static bool is_true(const uint8_t *p, uint64_t page)
{
	for (unsigned i = 0; i < PAGE_BYTES; i += 64)
		if (p[i] != agent_byte(IN_FILE, page * PAGE_BYTES + i))
			return false;
	return true;
}

static void *reader(void *arg)
{
	uint64_t seed = FIRST_SEED + (uintptr_t)arg;

	while (!atomic_load(&w.stop)) {
		uint64_t page = next(&seed) % WHOLE;

		if (!is_true(bench_at(w.b, page), page))
			(void)atomic_fetch_add(&w.bad, 1);
		(void)atomic_fetch_add(&w.pages, 1);
	}
	return NULL;
}

static void fill(struct agent_store *s, uint64_t block)
{
	uint8_t *to = s->base + block * PAGE_BYTES;

	if (presence_test(s->presence.base, block))
		return;
	memset(to, RUBBISH, PAGE_BYTES);
	agent_bytes(IN_FILE, block * PAGE_BYTES, to, PAGE_BYTES);
	presence_set(s->presence.base, block, 1);
}

static void *agent(void *arg)
{
	struct bench *b = arg;
	uint64_t seed = FIRST_SEED;
	struct cache_request q;

	while (!atomic_load(&w.stop)) {
		for (unsigned i = 0; i < PER_FILL; i++)
			if (agent_evict(&b->near, next(&seed) % WHOLE))
				(void)atomic_fetch_add(&w.evicted, 1);
		fill(&b->near, next(&seed) % WHOLE);
		while (agent_recv(&b->link, &q)) {
			for (uint64_t i = q.first; i < q.first + q.nr; i++)
				if (i < WHOLE)
					fill(&b->near, i);
			if (q.kind == CACHE_FILL)
				agent_answer(&b->link, q.tag, q.nr, 0);
		}
	}
	return NULL;
}

/* However slow the machine: tests/run ends what never gets there. */
static bool has_seen_enough(const struct bench *b)
{
	return atomic_load(&w.pages) > 1000 && atomic_load(&w.evicted) > 100 &&
	       bench_stats(b).continued_pages > 100;
}

static void nobody_ever_sees_anything_else(void **state)
{
	struct bench *b = bench_shown();
	pthread_t t[READERS + 1];
	uint64_t end =
		clock_now_ns() + (getenv("DISCO_SOAK") ? SOAK_NS : STRESS_NS);

	(void)state;
	w.b = b;
	for (unsigned i = 0; i <= READERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, i ? reader : agent,
						i ? (void *)(uintptr_t)i : b),
				 0);
	while (clock_now_ns() < end || !has_seen_enough(b))
		bench_turn(b, 1);
	atomic_store(&w.stop, true);
	/* Readers that are in a fault, without an agent. */
	cache_unlink(b->c);
	pager_hurry(b->p, true);
	for (unsigned i = 0; i <= READERS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	pager_hurry(b->p, false);
	bench_turn(b, 0);
	assert_int_equal(atomic_load(&w.bad), 0);
	print_message("# %llu pages read, %llu taken away, %llu faults, %llu "
		      "mapped, %llu copied\n",
		      (unsigned long long)atomic_load(&w.pages),
		      (unsigned long long)atomic_load(&w.evicted),
		      (unsigned long long)bench_pager_stats(b).faults,
		      (unsigned long long)bench_stats(b).continued_pages,
		      (unsigned long long)bench_pager_stats(b).copied_pages);
	bench_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_ever_sees_anything_else),
	};

	return cmocka_run_group_tests_name("dax_cache_stress", tests, NULL,
					   NULL);
}
