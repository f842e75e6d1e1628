/* SPDX-License-Identifier: BSD-2-Clause */
// LINK: numa/publish.c
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "numa/publish.h"

#define NR_WORDS 6

static struct {
	struct publish_table t;
	uint64_t words[NR_WORDS];
} table;

static void words_are_read_back(void **state)
{
	uint64_t w[NR_WORDS];

	(void)state;
	assert_int_equal(publish_get(&table.t, 3), 0);
	publish_set(&table.t, 3, UINT64_MAX);
	assert_int_equal(publish_get(&table.t, 3), UINT64_MAX);
	publish_begin(&table.t);
	for (uint64_t i = 0; i < NR_WORDS; i++)
		publish_set(&table.t, i, i + 40);
	publish_end(&table.t);
	assert_int_equal(publish_copy(&table.t, 2, 3, w), 0);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(w[i], i + 42);
}

static void endless_change_is_given_up(void **state)
{
	uint64_t w[NR_WORDS];

	(void)state;
	publish_begin(&table.t);
	assert_int_equal(publish_copy(&table.t, 0, NR_WORDS, w), -EAGAIN);
	publish_end(&table.t);
	assert_int_equal(publish_copy(&table.t, 0, NR_WORDS, w), 0);
}

static void *change_all_the_time(void *stop)
{
	for (uint64_t i = 1; !atomic_load((atomic_bool *)stop); i++) {
		publish_begin(&table.t);
		for (size_t w = 0; w < NR_WORDS; w++)
			publish_set(&table.t, w, i + w);
		publish_end(&table.t);
	}
	return NULL;
}

static void copies_are_of_one_moment(void **state)
{
	uint64_t w[NR_WORDS], last = 0, nr_again = 0;
	atomic_bool stop = false;
	pthread_t thread;

	(void)state;
	for (size_t i = 0; i < NR_WORDS; i++)
		publish_set(&table.t, i, i);
	assert_int_equal(
		pthread_create(&thread, NULL, change_all_the_time, &stop), 0);
	for (int n = 0; n < 200000; n++) {
		if (publish_copy(&table.t, 0, NR_WORDS, w)) {
			nr_again++;
			continue;
		}
		for (size_t i = 0; i < NR_WORDS; i++)
			assert_int_equal(w[i], w[0] + i);
		assert_true(w[0] >= last);
		last = w[0];
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	print_message("# 200000 copies, %llu given up\n",
		      (unsigned long long)nr_again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_read_back),
		cmocka_unit_test(endless_change_is_given_up),
		cmocka_unit_test(copies_are_of_one_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
