/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of vnet/pairs.c in all interleavings that tests/model knows: a row that
 * changes hands while it is read. And with six bugs planted, each of which must be
 * found.
 */
#define DISCO_MODEL 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/model/pairs_variant.h"
#include "tests/model/model.h"

extern const struct pairs_variant pairs_0, pairs_1, pairs_2, pairs_3, pairs_4,
	pairs_5, pairs_6;

static const struct {
	const struct pairs_variant *code;
	const char *bug;
} variants[] = {
	{ &pairs_0, "none" },
	{ &pairs_1, "counts stored before the row is nobody's" },
	{ &pairs_2, "the row is never nobody's" },
	{ &pairs_3, "the owner stored without release" },
	{ &pairs_4, "the owner read without acquire" },
	{ &pairs_5, "the second look may be before the counts" },
	{ &pairs_6, "no second look" },
};

/* Of the program that is explored now. */
static const struct pairs_variant *code;

/* Never touched: its addresses name the words of the model. */
static struct vnet_pair_row row;

static void counts_of(uint64_t who, uint64_t counts[VNET_PAIR_WORDS])
{
	for (unsigned i = 0; i < VNET_PAIR_WORDS; i++)
		counts[i] = who;
}

/* The counts of a pair are its number, or ten times that. */
static void port(void)
{
	uint64_t counts[VNET_PAIR_WORDS];

	counts_of(1, counts);
	code->begin(&row, 1, counts);
	counts_of(10, counts);
	code->update(&row, counts);
	counts_of(2, counts);
	code->begin(&row, 2, counts);
	code->end(&row);
}

static void reader(void)
{
	uint64_t who, counts[VNET_PAIR_WORDS];

	if (!code->read(&row, &who, counts))
		return;
	model_assert(who == 1 || who == 2, "a row of nobody");
	for (unsigned i = 0; i < VNET_PAIR_WORDS; i++)
		model_assert(counts[i] == who || counts[i] == 10 * who,
			     "counts of another pair");
}

static void no_claim(void)
{
}

static const struct model_program program = { { port, reader }, no_claim };

static void the_code_is_right(void **state)
{
	struct model_result r;

	(void)state;
	code = variants[0].code;
	model_explore(&program, &r);
	print_message("# %.3g schedules, %llu states, longest %u\n",
		      r.nr_schedules, (unsigned long long)r.nr_states,
		      r.longest);
	if (r.violation)
		fail_msg("%s", r.violation);
}

static void every_planted_bug_is_found(void **state)
{
	(void)state;
	for (size_t i = 1; i < ARRAY_SIZE(variants); i++) {
		struct model_result r;

		code = variants[i].code;
		model_explore(&program, &r);
		print_message("# bug %zu, %s: %s after %llu states\n", i,
			      variants[i].bug,
			      r.violation ? r.violation : "NOT FOUND",
			      (unsigned long long)r.nr_states);
		assert_non_null(r.violation);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_code_is_right),
		cmocka_unit_test(every_planted_bug_is_found),
	};

	return cmocka_run_group_tests_name("vnet_pairs_model", tests, NULL,
					   NULL);
}
