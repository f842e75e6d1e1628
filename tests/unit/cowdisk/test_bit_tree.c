/* SPDX-License-Identifier: BSD-2-Clause */
/* The tree against a loop over bits. */
#include <stdlib.h>

#include "cowdisk/base/bit_tree.h"
#include "tests/unit/support.h"

static uint64_t slow_next(const uint8_t *set, uint64_t nr, uint64_t from)
{
	while (from < nr && !set[from])
		from++;
	return from < nr ? from : nr;
}

static void try_size(uint64_t nr, unsigned one_in)
{
	uint8_t *set = calloc(1, nr);
	struct bit_tree t;

	assert_int_equal(bit_tree_create(&t, nr), 0);
	for (unsigned i = 0; i < 400; i++) {
		uint64_t at = (uint64_t)random() % nr;

		set[at] = random() % one_in == 0;
		if (set[at])
			bit_tree_set(&t, at);
		else
			bit_tree_clear(&t, at);
		at = (uint64_t)random() % (nr + 1);
		assert_int_equal(bit_tree_next(&t, at), slow_next(set, nr, at));
		if (at < nr)
			assert_int_equal(bit_tree_test(&t, at), set[at]);
	}
	for (uint64_t at = 0; at < nr; at++)
		bit_tree_clear(&t, at);
	assert_int_equal(bit_tree_next(&t, 0), nr);
	bit_tree_destroy(&t);
	free(set);
}

static void any_size(void **state)
{
	static const uint64_t sizes[] = {
		1,    2,    63,	  64,	  65,	  127,	  128,	 129,
		4095, 4096, 4097, 262143, 262144, 262145, 300000
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned one_in = 1; one_in < 100; one_in *= 7)
			try_size(sizes[i], one_in);
}

static void the_largest(void **state)
{
	const uint64_t far = BIT_TREE_MAX - 1;
	struct bit_tree t;

	(void)state;
	assert_int_equal(bit_tree_create(&t, BIT_TREE_MAX), 0);
	assert_int_equal(bit_tree_next(&t, 0), BIT_TREE_MAX);
	bit_tree_set(&t, far);
	bit_tree_set(&t, 5);
	assert_int_equal(bit_tree_next(&t, 0), 5);
	assert_int_equal(bit_tree_next(&t, 6), far);
	assert_int_equal(bit_tree_next(&t, far), far);
	assert_int_equal(bit_tree_next(&t, BIT_TREE_MAX), BIT_TREE_MAX);
	bit_tree_destroy(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_size),
		cmocka_unit_test(the_largest),
	};

	return cmocka_run_group_tests_name("bit_tree", tests, NULL, NULL);
}
