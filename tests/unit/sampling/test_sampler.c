/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order in which pages are sampled, and the rate: by a clock of the test's.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory/sampling/sampler.h"
#include "tests/unit/support.h"

#define MS 1000000ull
#define S  1000000000ull

static void each_page_comes_once_per_round(void **state)
{
	static const uint64_t sizes[] = {
		1, 2, 3, 4, 5, 17, 4096, 4097, 50000
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *seen = calloc(1, sizes[i]);
		struct sampler s;

		sampler_init(&s, sizes[i], 7);
		for (unsigned round = 1; round <= 3; round++) {
			for (uint64_t n = 0; n < sizes[i]; n++) {
				uint64_t page = sampler_next(&s);

				assert_true(page < sizes[i]);
				seen[page]++;
			}
			for (uint64_t n = 0; n < sizes[i]; n++)
				assert_int_equal(seen[n], round);
		}
		free(seen);
	}
}

static void rounds_and_seeds_differ(void **state)
{
	struct sampler a, b;
	uint64_t first[64];
	unsigned same = 0, same_seed = 0;

	(void)state;
	sampler_init(&a, 4096, 1);
	sampler_init(&b, 4096, 2);
	for (unsigned i = 0; i < 64; i++) {
		first[i] = sampler_next(&a);
		same_seed += first[i] == sampler_next(&b);
	}
	for (unsigned i = 64; i < 4096; i++)
		(void)sampler_next(&a);
	for (unsigned i = 0; i < 64; i++)
		same += first[i] == sampler_next(&a);
	assert_true(same < 4 && same_seed < 4);
}

/* A terabyte costs no more per page than a megabyte, and takes no memory. */
static void the_largest_memory_is_one_as_any(void **state)
{
	struct sampler s;
	uint64_t high = 0;

	(void)state;
	sampler_init(&s, SAMPLER_MAX_PAGES, 3);
	for (unsigned i = 0; i < 100000; i++)
		high += sampler_next(&s) >= SAMPLER_MAX_PAGES / 2;
	assert_true(high > 49000 && high < 51000);
}

/*
 * Of 256 pages in a row each sixteenth of memory has its share: the sum of
 * squared deviations is that of chance (chi-square, 15 degrees of freedom: 15 on
 * average), and a page says nothing of the next one.
 */
static void windows_are_spread_over_memory(void **state)
{
	const unsigned pages = 65536, window = 256, parts = 16;
	double sum = 0, xy = 0, xx = 0, before = 0;
	struct sampler s;

	(void)state;
	sampler_init(&s, pages, 11);
	for (unsigned w = 0; w < pages / window; w++) {
		unsigned in[16] = { 0 };

		for (unsigned i = 0; i < window; i++) {
			uint64_t page = sampler_next(&s);
			double x = (double)page - pages / 2.0;

			in[page / (pages / parts)]++;
			xy += x * before;
			xx += x * x;
			before = x;
		}
		for (unsigned i = 0; i < parts; i++)
			sum += pow(in[i] - (double)window / parts, 2) /
			       ((double)window / parts);
	}
	sum /= pages / (double)window;
	print_message("# chi-square %.2f of 15, correlation %.4f\n", sum,
		      xy / xx);
	assert_true(sum > 13 && sum < 17);
	assert_true(fabs(xy / xx) < 0.02);
}

/* Takes all that are due, every @step. */
static unsigned run(struct sampler *s, uint64_t *now, uint64_t step,
		    uint64_t end, uint64_t cpu_ns_per_page)
{
	unsigned sum = 0;

	for (; *now < end; *now += step) {
		unsigned due = sampler_due(s, *now);

		sampler_spend(s, *now, due, due * cpu_ns_per_page);
		sum += due;
	}
	return sum;
}

static void the_rate_is_kept(void **state)
{
	uint64_t now = 1000 * S;
	struct sampler s;
	unsigned n;

	(void)state;
	sampler_init(&s, 1000, 1);
	assert_int_equal(sampler_due(&s, now), 0);
	sampler_set(&s, 1000, 10, now);
	n = run(&s, &now, 20 * MS, 1010 * S, 0);
	assert_true(n >= 9900 && n <= 10100);
	/* Nothing was done for an hour: it is not made up for. */
	now += 3600 * S;
	n = run(&s, &now, 20 * MS, now + 20 * MS, 0);
	assert_int_equal(n, 1000 * SAMPLER_BURST_NS / S);
	n = run(&s, &now, 7 * MS, now + S, 0);
	assert_true(n >= 980 && n <= 1020);
	sampler_set(&s, 0, 10, now);
	assert_int_equal(run(&s, &now, 20 * MS, now + S, 0), 0);
	sampler_set(&s, UINT32_MAX, UINT32_MAX, now);
	n = run(&s, &now, MS, now + S, 0);
	assert_true(n >= SAMPLER_MAX_RATE - 1000 && n <= SAMPLER_MAX_RATE);
}

/* 200 us per page at 1 % of a CPU are 50 pages per second, whatever the rate. */
static void the_share_of_a_cpu_is_kept(void **state)
{
	uint64_t now = 1000 * S;
	struct sampler s;
	unsigned n;

	(void)state;
	sampler_init(&s, 1000, 1);
	sampler_set(&s, 10000, 10, now);
	n = run(&s, &now, 20 * MS, now + 60 * S, 200000);
	print_message("# %u pages in 60 s\n", n);
	assert_true(n <= 60 * 50 * 13 / 10 && n > 60 * 50 / 2);
}

/*
 * Who turns it off may know no share (control has gone): what that costs is no
 * debt that keeps it off when it is turned on again.
 */
static void off_and_on_again(void **state)
{
	uint64_t now = 1000 * S;
	struct sampler s;
	unsigned n;

	(void)state;
	sampler_init(&s, 1000, 1);
	/* Nothing was promised yet: nothing is to be paid. */
	sampler_set(&s, 0, 1, now);
	sampler_spend(&s, now, 0, 5 * MS);
	sampler_set(&s, 1000, 10, now);
	n = run(&s, &now, 20 * MS, now + S, 0);
	assert_true(n >= 960 && n <= 1000);
	/* 5 ms at 1 % are paid for in half a second. */
	sampler_set(&s, 0, 1, now);
	sampler_spend(&s, now, 0, 5 * MS);
	sampler_set(&s, 1000, 10, now);
	n = run(&s, &now, 20 * MS, now + 480 * MS, 0);
	assert_int_equal(n, 0);
	n = run(&s, &now, 20 * MS, now + S, 0);
	assert_true(n >= 960 && n <= 1100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_page_comes_once_per_round),
		cmocka_unit_test(rounds_and_seeds_differ),
		cmocka_unit_test(the_largest_memory_is_one_as_any),
		cmocka_unit_test(windows_are_spread_over_memory),
		cmocka_unit_test(the_rate_is_kept),
		cmocka_unit_test(the_share_of_a_cpu_is_kept),
		cmocka_unit_test(off_and_on_again),
	};

	return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
