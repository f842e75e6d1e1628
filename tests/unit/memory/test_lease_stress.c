/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Leases with real threads: two workers that lease runs, look at every byte of
 * them and give them back; an agent that evicts, overwrites with poison and
 * fills again with a new stamp. 10^6 takes, with DISCO_SOAK=1 10^7.
 *
 * Bytes of blocks are not atomic, so that -fsanitize=thread judges the order
 * as well. What checks is relaxed, so that it orders nothing itself.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memory/lease.h"

#define NR_WORKERS 2u
#define FIRST	   40u /* so that runs go over the ends of words */
#define HALF	   50u
#define NR_BLOCKS  (2 * HALF)
#define RUN_MAX	   8u
#define WORDS	   8u /* of a block */
#define POISON	   0xdeadbeefdeadbeefu

struct worker {
	/* [A: this worker/the agent, release] */
	_Alignas(128) lease_word lease[4];
	/* [A: this worker/the agent, relaxed] leases a block */
	_Alignas(128) _Atomic(bool) uses[NR_BLOCKS];
	uint64_t newest[NR_BLOCKS]; /* stamp seen */
	uint64_t nr_steps;
	uint64_t nr_leased, nr_absent;
	uint64_t random;
};

static struct worker workers[NR_WORKERS];
/* [A: the agent/workers, release] */
static _Alignas(128) lease_word presence[4];
/* Bytes of blocks: the agent writes what is absent, workers read leased ones */
static _Alignas(128) uint64_t blocks[NR_BLOCKS][WORDS];
/* [A: whoever finds it/all, relaxed] */
static _Atomic(const char *) wrong;

static void check(bool holds, const char *what)
{
	if (!holds)
		atomic_store_explicit(&wrong, what, memory_order_relaxed);
}

static bool go_on(void)
{
	return !atomic_load_explicit(&wrong, memory_order_relaxed);
}

/* xorshift64 */
static unsigned below(uint64_t *random, unsigned limit)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (unsigned)((*random >> 32) % limit);
}

struct run {
	unsigned first;
	unsigned nr; /* that are leased */
};

static struct run take(struct worker *w, unsigned from)
{
	unsigned nr = 1 + below(&w->random, RUN_MAX);
	struct run r = { .first = from + below(&w->random, HALF - nr + 1) };

	r.nr = lease_take(w->lease, presence, FIRST + r.first, nr);
	check(r.nr <= nr, "more is leased than was asked for");
	for (unsigned b = r.first; b < r.first + r.nr; b++)
		atomic_store_explicit(&w->uses[b], true, memory_order_relaxed);
	w->nr_leased += r.nr;
	w->nr_absent += r.nr < nr;
	return r;
}

static void look_at(struct worker *w, struct run r)
{
	for (unsigned b = r.first; b < r.first + r.nr; b++) {
		uint64_t stamp = blocks[b][0];

		check(stamp != POISON, "poison is read under a lease");
		for (unsigned i = 1; i < WORDS; i++)
			check(blocks[b][i] == stamp,
			      "a block changes under a lease");
		check(stamp % NR_BLOCKS == b, "another block's bytes");
		check(stamp >= w->newest[b], "a block goes back in time");
		w->newest[b] = stamp;
	}
}

static void drop(struct worker *w, struct run r)
{
	for (unsigned b = r.first; b < r.first + r.nr; b++)
		atomic_store_explicit(&w->uses[b], false, memory_order_relaxed);
	if (r.nr)
		lease_drop(w->lease, FIRST + r.first, r.nr);
}

/* One run out of each half, so that they never overlap. */
static void *work(void *arg)
{
	struct worker *w = arg;

	for (uint64_t n = 0; n < w->nr_steps && go_on(); n += 2) {
		struct run low = take(w, 0), high;

		look_at(w, low);
		high = take(w, HALF);
		look_at(w, high);
		look_at(w, low);
		drop(w, low);
		look_at(w, high);
		drop(w, high);
	}
	return NULL;
}

struct agent {
	_Atomic(bool) stop; /* [A: the test/the agent, relaxed] */
	bool there[NR_BLOCKS];
	uint64_t nr_fills, nr_evicted, nr_kept;
	uint64_t random;
};

static struct agent agent;

static void write_block(unsigned b, uint64_t v)
{
	for (unsigned i = 0; i < WORDS; i++)
		blocks[b][i] = v;
}

/* Up to @nr absent blocks in a row, published together. */
static void fill(unsigned first, unsigned nr)
{
	unsigned b = first;

	for (; b < first + nr && b < NR_BLOCKS && !agent.there[b]; b++) {
		write_block(b, ++agent.nr_fills * NR_BLOCKS + b);
		agent.there[b] = true;
	}
	presence_set(presence, FIRST + first, b - first);
}

static void evict(unsigned b)
{
	const lease_word *const maps[] = { workers[0].lease, workers[1].lease };

	if (!presence_evict(presence, maps, NR_WORKERS, FIRST + b)) {
		check(presence_test(presence, FIRST + b), "a block is lost");
		agent.nr_kept++;
		return;
	}
	check(!presence_test(presence, FIRST + b), "evicted, but there");
	for (unsigned i = 0; i < NR_WORKERS; i++)
		check(!atomic_load_explicit(&workers[i].uses[b],
					    memory_order_relaxed),
		      "evicted while it is leased");
	agent.nr_evicted++;
	agent.there[b] = false;
	write_block(b, POISON);
}

static void *serve(void *unused)
{
	(void)unused;
	while (!atomic_load_explicit(&agent.stop, memory_order_relaxed) &&
	       go_on()) {
		unsigned b = below(&agent.random, NR_BLOCKS);

		check(presence_test(presence, FIRST + b) == agent.there[b],
		      "the agent does not know what is there");
		if (agent.there[b])
			evict(b);
		else
			fill(b, 1 + below(&agent.random, RUN_MAX));
	}
	return NULL;
}

static uint64_t nr_steps(void)
{
	const char *soak = getenv("DISCO_SOAK");

	return soak && !strcmp(soak, "1") ? 10000000 : 1000000;
}

static void nobody_uses_what_is_evicted(void **state)
{
	uint64_t leased = 0, absent = 0;
	pthread_t threads[NR_WORKERS], agents;

	(void)state;
	for (unsigned b = 0; b < NR_BLOCKS; b++)
		write_block(b, POISON);
	agent.random = 0x9e3779b97f4a7c15u;
	assert_int_equal(pthread_create(&agents, NULL, serve, NULL), 0);
	for (unsigned i = 0; i < NR_WORKERS; i++) {
		workers[i].nr_steps = nr_steps() / NR_WORKERS;
		workers[i].random = i + 1;
		assert_int_equal(
			pthread_create(&threads[i], NULL, work, &workers[i]),
			0);
	}
	for (unsigned i = 0; i < NR_WORKERS; i++) {
		pthread_join(threads[i], NULL);
		leased += workers[i].nr_leased;
		absent += workers[i].nr_absent;
	}
	atomic_store_explicit(&agent.stop, true, memory_order_relaxed);
	pthread_join(agents, NULL);
	print_message("# %llu takes: %llu blocks leased, %llu runs cut; %llu "
		      "fills, %llu evictions, %llu refused\n",
		      (unsigned long long)nr_steps(),
		      (unsigned long long)leased, (unsigned long long)absent,
		      (unsigned long long)agent.nr_fills,
		      (unsigned long long)agent.nr_evicted,
		      (unsigned long long)agent.nr_kept);
	if (wrong)
		fail_msg("%s", wrong);
	assert_true(leased && absent && agent.nr_evicted && agent.nr_kept);
	for (unsigned i = 0; i < NR_WORKERS; i++)
		for (unsigned w = 0; w < ARRAY_SIZE(workers[i].lease); w++)
			assert_int_equal(workers[i].lease[w], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_uses_what_is_evicted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
