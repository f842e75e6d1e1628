/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Token buckets under a clock of the test's: bursts, debts, and that not a
 * unit too many or too few goes over days.
 */
#include "monitor/dev/virtio/rate.h"
#include "tests/unit/support.h"

#define S  1000000000ull
#define MS 1000000ull

/* Take @n as soon as they may go; moves the clock there. */
static void pass(struct rate *r, uint64_t n, uint64_t *now)
{
	*now += rate_wait_ns(r, n, *now);
	assert_int_equal(rate_wait_ns(r, n, *now), 0);
	rate_take(r, n, *now);
}

static void no_limit(void **state)
{
	struct rate r;

	(void)state;
	rate_init(&r, 0);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(rate_wait_ns(&r, UINT64_MAX, i), 0);
		rate_take(&r, UINT64_MAX, i);
	}
}

static void a_burst_is_100_ms(void **state)
{
	uint64_t now = 77 * S;
	struct rate r;

	(void)state;
	rate_init(&r, 50);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(rate_wait_ns(&r, 1, now), 0);
		rate_take(&r, 1, now);
	}
	assert_int_equal(rate_wait_ns(&r, 1, now), 20 * MS);
	assert_int_equal(rate_wait_ns(&r, 1, now + 20 * MS - 1), 1);
	assert_int_equal(rate_wait_ns(&r, 1, now + 20 * MS), 0);
	assert_int_equal(rate_wait_ns(&r, 5, now), 100 * MS);
	/* Not more after a longer rest. */
	now += 10 * S;
	for (unsigned i = 0; i < 5; i++)
		pass(&r, 1, &now);
	assert_int_equal(now, 87 * S);
	assert_int_equal(rate_wait_ns(&r, 1, now), 20 * MS);
}

/* Slower than one in 100 ms: one goes, then the next when its time comes. */
static void slow_rates_let_one_go(void **state)
{
	static const uint64_t rates[] = { 1, 2, 3, 7, 9, 10 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
		uint64_t now = S;
		struct rate r;

		rate_init(&r, rates[i]);
		pass(&r, 1, &now);
		assert_int_equal(now, S);
		for (uint64_t k = 1; k <= 1000; k++) {
			uint64_t due = S + k * S / rates[i];

			pass(&r, 1, &now);
			assert_true(now >= due - 1 && now <= due + 1);
		}
	}
}

static void larger_than_the_bucket(void **state)
{
	uint64_t now = S;
	struct rate r;

	(void)state;
	rate_init(&r, 1000); /* holds 100 */
	pass(&r, 350, &now);
	assert_int_equal(now, S); /* it was full */
	/* The debt is 250; one more unit needs it paid, and itself. */
	assert_int_equal(rate_wait_ns(&r, 1, now), 251 * MS);
	assert_int_equal(rate_wait_ns(&r, 0, now), 0);
	/* The next large one waits for a full bucket. */
	assert_int_equal(rate_wait_ns(&r, 350, now), 350 * MS);
	assert_int_equal(rate_wait_ns(&r, 100, now), 350 * MS);
	pass(&r, 350, &now);
	assert_int_equal(now, S + 350 * MS);
}

/*
 * As much as the bucket ever lets through: exact after a million requests of
 * any size, for rates that divide no second.
 */
static void no_drift(void **state)
{
	static const uint64_t rates[] = { 3,	  49,	   50,	    997,
					  123457, 1000003, 7777777, RATE_MAX };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
		uint64_t now = 5 * S, units = 0, want;
		struct rate r;

		rate_init(&r, rates[i]);
		for (unsigned k = 0; k < 300000; k++) {
			uint64_t n = k % 5 ? 1 : rates[i] / 97 + 1;

			pass(&r, n, &now);
			units += n;
		}
		want = (uint64_t)((unsigned __int128)units * S / rates[i]);
		want += 5 * S - r.burst_ns;
		if (now < want - 2 || now > want + 2)
			fail_msg("%llu a second: %lld ns off",
				 (unsigned long long)rates[i],
				 (long long)(now - want));
	}
}

/* Any span: its length and a burst, no more; asked at odd times. */
static void no_span_has_more(void **state)
{
	enum { N = 3000 };
	static uint64_t at[N];
	uint64_t now = S, rate = 997;
	unsigned seed = 1;
	struct rate r;

	(void)state;
	rate_init(&r, rate);
	for (unsigned i = 0; i < N; i++) {
		pass(&r, 1, &now);
		at[i] = now;
		seed = seed * 1103515245 + 12345;
		if (seed >> 28 == 0)
			now += (seed >> 8) % (300 * MS);
	}
	for (unsigned a = 0; a < N; a += 7)
		for (unsigned b = a; b < N; b++) {
			uint64_t span = at[b] - at[a] + r.burst_ns;

			assert_true((b - a + 1) * S <= (span + 1) * rate);
		}
}

static void days_of_idle(void **state)
{
	static const uint64_t idle[] = { 1, S, 86400 * S, 365ull * 86400 * S,
					 20ull * 365 * 86400 * S };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(idle); i++) {
		uint64_t now = S;
		struct rate r;

		rate_init(&r, RATE_MAX);
		pass(&r, RATE_MAX / 10, &now);
		now += 200 * MS + idle[i];
		assert_int_equal(rate_wait_ns(&r, RATE_MAX / 10, now), 0);
		rate_take(&r, RATE_MAX / 10, now);
		assert_true(rate_wait_ns(&r, RATE_MAX / 10, now) >
			    100 * MS - 2);
	}
}

/* The most anybody can ask for: a debt of years, and no wrap. */
static void sizes_that_overflow(void **state)
{
	uint64_t now = 20ull * 365 * 86400 * S;
	struct rate r;

	(void)state;
	rate_init(&r, 1);
	rate_take(&r, UINT64_MAX, now);
	assert_true(rate_wait_ns(&r, 1, now) > 50ull * 365 * 86400 * S);
	assert_int_equal(rate_wait_ns(&r, UINT64_MAX, r.full_at), 0);
	rate_init(&r, RATE_MAX);
	rate_take(&r, UINT64_MAX, now);
	assert_int_equal(rate_wait_ns(&r, UINT64_MAX, now) / S,
			 UINT64_MAX / RATE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_limit),
		cmocka_unit_test(a_burst_is_100_ms),
		cmocka_unit_test(slow_rates_let_one_go),
		cmocka_unit_test(larger_than_the_bucket),
		cmocka_unit_test(no_drift),
		cmocka_unit_test(no_span_has_more),
		cmocka_unit_test(days_of_idle),
		cmocka_unit_test(sizes_that_overflow),
	};

	return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
