/* SPDX-License-Identifier: BSD-2-Clause */
// LINK: tests/model/model.c
/* numa/publish.c in all interleavings: one writer, one reader, two words. */
#define DISCO_MODEL 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "numa/publish.c" // NOLINT: under the model
#include "tests/model/model.h"

#define NR_CHANGES 3u

/* Never touched: its addresses name the words of the model. */
static struct {
	struct publish_table t;
	uint64_t words[2];
} table;

static bool together;
/* So that it is known that the assertions below were reached. */
static unsigned nr_copies, nr_given_up;

static void writer(void)
{
	for (uint64_t i = 1; i <= NR_CHANGES; i++) {
		if (together)
			publish_begin(&table.t);
		publish_set(&table.t, 0, i);
		publish_set(&table.t, 1, i);
		if (together)
			publish_end(&table.t);
	}
}

static void reader(void)
{
	uint64_t last = 0;

	for (uint64_t n = 0; n < 2; n++) {
		uint64_t w[2];

		model_summary((const uint64_t[]){ n, last }, 2);
		if (publish_copy(&table.t, 0, 2, w)) {
			nr_given_up++;
			continue;
		}
		nr_copies++;
		model_assert(w[0] == w[1], "words of two moments");
		model_assert(w[0] >= last, "back in time");
		last = w[0];
	}
}

static void at_end(void)
{
}

static const struct model_program program = { { writer, reader }, at_end };

static void copies_are_of_one_moment(void **state)
{
	struct model_result r;

	(void)state;
	together = true;
	model_explore(&program, &r);
	print_message("# %u changes: %.3g schedules, %llu states\n", NR_CHANGES,
		      r.nr_schedules, (unsigned long long)r.nr_states);
	if (r.violation)
		fail_msg("%s", r.violation);
	assert_true(nr_copies > 0 && nr_given_up > 0);
}

static void change_without_begin_is_found(void **state)
{
	struct model_result r;

	(void)state;
	together = false;
	model_explore(&program, &r);
	assert_non_null(r.violation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_are_of_one_moment),
		cmocka_unit_test(change_without_begin_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
