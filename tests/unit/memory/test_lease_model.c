/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of memory/lease.c in all interleavings that tests/model knows: two
 * workers that lease, read and give back two blocks, alone, together and one
 * inside the other; an agent that fills, evicts, punches and fills them again.
 * A block's bytes are one word that is not atomic: reading it while the agent
 * may write it is a race, whatever is read. And with bugs planted, in the text
 * and in how it is used, each of which must be found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/model/lease_variant.h"
#include "tests/model/verdict.h"

/* Not in atomic_ops.h unless the whole file is under the model. */
void model_copy_in(void *shared, const void *from, size_t bytes);
void model_copy_out(void *to, const void *shared, size_t bytes);

#define NR_WORKERS 2u
#define PUNCHED	   0u

extern const struct lease_variant lease_0, lease_1, lease_2, lease_3, lease_4,
	lease_5, lease_6, lease_7, lease_8, lease_9, lease_10, lease_11,
	lease_12, lease_13, lease_14, lease_15, lease_16;

/* In how the functions are used. */
enum misuse {
	RIGHT,
	SET_BEFORE_FILLED,
	PUNCHED_ANYWAY,
	READ_AFTER_DROP,
};

static const struct {
	const struct lease_variant *code;
	enum misuse misuse;
	const char *bug;
} variants[] = {
	{ &lease_0, RIGHT, "none" },
	{ &lease_1, RIGHT, "no fence in lease_take()" },
	{ &lease_2, RIGHT, "no fence in presence_evict()" },
	{ &lease_3, RIGHT, "lease set after the look at presence" },
	{ &lease_4, RIGHT, "leases looked at before the block is absent" },
	{ &lease_5, RIGHT, "given back without release" },
	{ &lease_6, RIGHT, "published without release" },
	{ &lease_7, RIGHT, "presence looked at without acquire" },
	{ &lease_8, RIGHT, "leases looked at without acquire" },
	{ &lease_9, RIGHT, "block made absent without release" },
	{ &lease_10, RIGHT, "lease set without release" },
	{ &lease_11, RIGHT, "only the first lease map looked at" },
	{ &lease_12, RIGHT, "what could not be leased stays leased" },
	{ &lease_13, RIGHT, "one block too many said to be leased" },
	{ &lease_14, RIGHT, "a block that stays is not put back" },
	{ &lease_15, RIGHT, "a block put back that was absent" },
	{ &lease_16, RIGHT, "a word given back as a whole" },
	{ &lease_0, SET_BEFORE_FILLED, "published before it is filled" },
	{ &lease_0, PUNCHED_ANYWAY, "punched while it is leased" },
	{ &lease_0, READ_AFTER_DROP, "read after it was given back" },
};

/* Of the program that is explored now. */
static const struct lease_variant *code;
static enum misuse misuse;
static uint64_t base; /* the blocks are this one and the next */
static unsigned nr_takes, nr_evictions;

/* Never touched: their addresses name the words of the model. */
static lease_word presence[2], leases[NR_WORKERS][2];
static uint64_t data[2];

/* So that it is known that all of it happened, in some interleaving. */
static struct {
	unsigned leased, absent, evicted, kept;
} seen;

static void read_blocks(unsigned first, unsigned nr)
{
	for (unsigned b = first; b < first + nr; b++) {
		uint64_t v;

		model_copy_out(&v, &data[b], sizeof(v));
		model_assert(v != PUNCHED, "a block without bytes is used");
	}
}

/* Uses the blocks of a run; with @inner, what comes after them meanwhile. */
static void use(unsigned worker, unsigned first, unsigned nr, bool inner)
{
	lease_word *own = leases[worker];
	unsigned got = code->take(own, presence, base + first, nr);

	seen.leased += got;
	seen.absent += nr - got;
	if (misuse == READ_AFTER_DROP && got)
		code->drop(own, base + first, got);
	read_blocks(first, got);
	if (!got)
		return;
	if (inner) {
		use(worker, first + nr, 1, false);
		read_blocks(first, got);
	}
	if (misuse != READ_AFTER_DROP)
		code->drop(own, base + first, got);
}

static void worker(unsigned i)
{
	for (unsigned n = 0; n < nr_takes; n++) {
		model_summary((const uint64_t[]){ n }, 1);
		switch ((n + i) % 3) {
		case 0:
			use(i, 0, 2, false);
			break;
		case 1:
			use(i, 0, 1, true);
			break;
		case 2:
			use(i, 1, 1, false);
			break;
		}
	}
}

static void worker_0(void)
{
	worker(0);
}

static void worker_1(void)
{
	worker(1);
}

static void fill(unsigned block, uint64_t stamp)
{
	if (misuse == SET_BEFORE_FILLED)
		code->set(presence, base + block, 1);
	model_copy_in(&data[block], &stamp, sizeof(stamp));
	if (misuse != SET_BEFORE_FILLED)
		code->set(presence, base + block, 1);
}

static bool evict(unsigned block)
{
	const lease_word *const maps[] = { leases[0], leases[1] };
	const uint64_t punched = PUNCHED;
	bool gone = code->evict(presence, maps, NR_WORKERS, base + block);

	model_assert(code->test(presence, base + block) != gone,
		     "the agent does not know what is there");
	seen.evicted += gone;
	seen.kept += !gone;
	if (gone || misuse == PUNCHED_ANYWAY)
		model_copy_in(&data[block], &punched, sizeof(punched));
	return gone;
}

static void agent(void)
{
	const lease_word *const maps[] = { leases[0], leases[1] };

	fill(1, 1);
	/* Absent: whatever it says, it stays so. */
	(void)code->evict(presence, maps, NR_WORKERS, base);
	model_assert(!code->test(presence, base), "not filled, but there");
	fill(0, 1);
	for (unsigned n = 0; n < nr_evictions; n++) {
		unsigned block = n & 1;

		model_summary((const uint64_t[]){ n }, 1);
		if (evict(block))
			fill(block, n + 2);
	}
}

/* Both blocks are there, none is leased. */
static void at_end(void)
{
	for (unsigned b = 0; b < 2; b++) {
		uint64_t word = (base + b) / 64, bit = (base + b) % 64;

		model_assert(model_last(&presence[word]) >> bit & 1,
			     "a block is lost");
		for (unsigned i = 0; i < NR_WORKERS; i++)
			model_assert(!model_last(&leases[i][word]),
				     "a lease is left over");
	}
}

static const struct model_program program = {
	{ worker_0, worker_1, agent },
	at_end,
};

static void explore(size_t variant, uint64_t first, unsigned takes,
		    unsigned evictions, struct model_result *r)
{
	code = variants[variant].code;
	misuse = variants[variant].misuse;
	base = first;
	nr_takes = takes;
	nr_evictions = evictions;
	model_explore(&program, r);
}

static void the_code_is_right(void **state)
{
	const struct {
		uint64_t first;
		unsigned takes, evictions;
	} sizes[] = {
		{ 0, 1, 5 },
		{ 63, 2, 2 }, /* a word each */
#ifndef DISCO_SANITIZED	      /* takes ten times as long */
		{ 0, 3, 1 },
		{ 62, 2, 3 },
#endif
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct model_result r;

		explore(0, sizes[i].first, sizes[i].takes, sizes[i].evictions,
			&r);
		print_message("# block %u, %u takes, %u evictions: %.3g "
			      "schedules, %llu states, longest %u\n",
			      (unsigned)sizes[i].first, sizes[i].takes,
			      sizes[i].evictions, r.nr_schedules,
			      (unsigned long long)r.nr_states, r.longest);
		model_is_right(&r);
		assert_true(seen.leased && seen.absent && seen.evicted &&
			    seen.kept);
	}
}

static void every_planted_bug_is_found(void **state)
{
	(void)state;
	for (size_t i = 1; i < ARRAY_SIZE(variants); i++) {
		struct model_result r;

		explore(i, 0, 2, 2, &r);
		model_has_found(i, variants[i].bug, &r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_code_is_right),
		cmocka_unit_test(every_planted_bug_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
