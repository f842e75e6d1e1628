/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: in which order they expire, what their callbacks may do, and how
 * long the loop sleeps. The clock is the test's own.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "monitor/control/base/loop.h"
#include "tests/unit/support.h"

#define NR 64

struct item {
	struct loop_timer timer;
	unsigned nr;
};

static struct loop loop;
static uint64_t now_ns;
static struct item items[NR];
static unsigned expired[4 * NR], nr_expired;

static uint64_t test_clock(void)
{
	return now_ns;
}

static void note(struct loop_timer *t)
{
	assert_int_equal(t->at_ns, 0);
	assert_true(nr_expired < ARRAY_SIZE(expired));
	expired[nr_expired++] = container_of(t, struct item, timer)->nr;
}

static int set_up(void **state)
{
	(void)state;
	memset(items, 0, sizeof(items));
	for (unsigned i = 0; i < NR; i++)
		items[i] = (struct item){ { .expired = note }, i };
	nr_expired = 0;
	now_ns = 1000;
	if (loop_create(&loop))
		return -1;
	loop.now_ns = test_clock;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_destroy(&loop);
	return 0;
}

static void arm(unsigned i, uint64_t at_ns)
{
	loop_timer_set(&loop, &items[i].timer, at_ns);
}

static void turn_at(uint64_t at_ns)
{
	now_ns = at_ns;
	assert_int_equal(loop_turn(&loop, 0), 0);
}

static void expect_order(const unsigned *want, unsigned nr)
{
	assert_int_equal(nr_expired, nr);
	for (unsigned i = 0; i < nr; i++)
		assert_int_equal(expired[i], want[i]);
}

/* Reached only when @i is armed: what a parent or a sibling points to. */
static void links_are_whole(void)
{
	for (unsigned i = 0; i < NR; i++)
		if (items[i].timer.at_ns)
			assert_ptr_equal(*items[i].timer.link, &items[i].timer);
}

/* --- order --- */

static void the_earliest_is_first(void **state)
{
	static const unsigned want[] = { 3, 1, 0, 2 };

	(void)state;
	arm(0, 3000);
	arm(1, 2000);
	arm(2, 4000);
	arm(3, 1500);
	turn_at(1499);
	assert_int_equal(nr_expired, 0);
	turn_at(1500);
	assert_int_equal(nr_expired, 1);
	turn_at(3999);
	assert_int_equal(nr_expired, 3);
	turn_at(4000);
	expect_order(want, ARRAY_SIZE(want));
	turn_at(UINT64_MAX);
	assert_int_equal(nr_expired, ARRAY_SIZE(want)); /* once each */
}

static void equal_deadlines_in_the_order_of_arming(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NR; i++)
		arm((i * 7) % NR, 2000);
	turn_at(2000);
	assert_int_equal(nr_expired, NR);
	for (unsigned i = 0; i < NR; i++)
		assert_int_equal(expired[i], (i * 7) % NR);
}

static void arming_again_moves_a_timer(void **state)
{
	static const unsigned want[] = { 1, 0, 2 };

	(void)state;
	arm(0, 2000);
	arm(1, 3000);
	arm(2, 4000);
	arm(0, 3500); /* later */
	arm(1, 1200); /* earlier */
	arm(2, 4000); /* the same */
	turn_at(5000);
	expect_order(want, ARRAY_SIZE(want));
}

/* Against a plain search for the earliest one, many times. */
static void any_mixture_stays_in_order(void **state)
{
	uint64_t at[NR] = { 0 }, armed[NR] = { 0 }, count = 0;

	(void)state;
	srand(7);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)rand() % NR;

		if (rand() % 4) {
			at[i] = now_ns + 1 + (unsigned)rand() % 50;
			armed[i] = ++count;
			arm(i, at[i]);
		} else {
			at[i] = 0;
			loop_timer_cancel(&loop, &items[i].timer);
		}
		links_are_whole();
		if (rand() % 8)
			continue;
		nr_expired = 0;
		turn_at(now_ns + (unsigned)rand() % 60);
		for (unsigned k = 0;; k++) {
			unsigned best = NR;

			for (unsigned n = 0; n < NR; n++)
				if (at[n] && at[n] <= now_ns &&
				    (best == NR || at[n] < at[best] ||
				     (at[n] == at[best] &&
				      armed[n] < armed[best])))
					best = n;
			if (best == NR) {
				assert_int_equal(nr_expired, k);
				break;
			}
			assert_true(k < nr_expired);
			assert_int_equal(expired[k], best);
			at[best] = 0;
		}
	}
}

/* --- cancelling --- */

static void a_cancelled_one_does_not_expire(void **state)
{
	static const unsigned want[] = { 1 };

	(void)state;
	arm(0, 2000);
	arm(1, 2000);
	arm(2, 2000);
	loop_timer_cancel(&loop, &items[0].timer);
	loop_timer_cancel(&loop, &items[2].timer);
	loop_timer_cancel(&loop, &items[2].timer); /* again is fine */
	loop_timer_cancel(&loop, &items[3].timer); /* never armed */
	turn_at(3000);
	expect_order(want, ARRAY_SIZE(want));
	assert_null(loop.timers.first);
}

static void cancel_others(struct loop_timer *t)
{
	note(t);
	for (unsigned i = 1; i < NR; i++)
		loop_timer_cancel(&loop, &items[i].timer);
}

static void a_callback_may_cancel_what_has_come(void **state)
{
	static const unsigned want[] = { 0 };

	(void)state;
	items[0].timer.expired = cancel_others;
	for (unsigned i = 0; i < NR; i++)
		arm(i, 2000);
	turn_at(2000);
	expect_order(want, 1);
	assert_null(loop.timers.first);
}

/* --- arming in a callback --- */

static void arm_myself(struct loop_timer *t)
{
	note(t);
	loop_timer_set(&loop, t, 1); /* long ago */
}

static void a_callback_that_arms_itself_expires_once_a_turn(void **state)
{
	static const unsigned want[] = { 0, 1, 0, 0 };

	(void)state;
	items[0].timer.expired = arm_myself;
	arm(0, 1500);
	arm(1, 2000);
	turn_at(2000); /* and does not keep the other one from it */
	assert_int_equal(nr_expired, 2);
	assert_int_equal(items[0].timer.at_ns, 2001);
	turn_at(2001);
	turn_at(2002);
	expect_order(want, ARRAY_SIZE(want));
	loop_timer_cancel(&loop, &items[0].timer);
}

static void arm_next(struct loop_timer *t)
{
	unsigned nr = container_of(t, struct item, timer)->nr;

	note(t);
	arm(nr + 1, now_ns + 10);
}

static void a_callback_may_arm_another_one(void **state)
{
	static const unsigned want[] = { 0, 1 };

	(void)state;
	items[0].timer.expired = arm_next;
	arm(0, 2000);
	turn_at(2000);
	assert_int_equal(items[1].timer.at_ns, 2010);
	turn_at(2009);
	assert_int_equal(nr_expired, 1);
	turn_at(2010);
	expect_order(want, ARRAY_SIZE(want));
}

/* --- owners --- */

struct owner {
	struct loop_timer timer;
	char text[64];
};

static unsigned nr_freed;

static void free_owner(struct loop_timer *t)
{
	struct owner *o = container_of(t, struct owner, timer);

	memset(o, 0xff, sizeof(*o)); /* whoever reads it is lost */
	free(o);
	nr_freed++;
}

static void a_callback_may_free_its_owner(void **state)
{
	static const unsigned want[] = { 0 };

	(void)state;
	nr_freed = 0;
	for (unsigned i = 0; i < 5; i++) {
		struct owner *o = calloc(1, sizeof(*o));

		assert_non_null(o);
		o->timer.expired = free_owner;
		loop_timer_set(&loop, &o->timer, 2000 + i % 2);
	}
	arm(0, 2001);
	turn_at(2001);
	assert_int_equal(nr_freed, 5);
	expect_order(want, 1);
}

static void watch_ready(struct loop_watch *w, uint32_t events)
{
	(void)events;
	assert_int_equal(nr_expired, 0); /* timers come after watches */
	loop_want(&loop, w, 0);
	arm(0, now_ns);
}

/* Armed for now by a handler: in the same turn, when no handler is left. */
static void timers_come_after_the_handlers(void **state)
{
	static const unsigned want[] = { 0 };
	struct loop_watch w[2];
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	for (unsigned i = 0; i < 2; i++) {
		w[i] = (struct loop_watch){ .fd = dup(p[1]),
					    .ready = watch_ready };
		loop_want(&loop, &w[i], EPOLLOUT);
	}
	turn_at(2000);
	expect_order(want, 1);
	for (unsigned i = 0; i < 2; i++) {
		(void)close(w[i].fd);
		(void)close(p[i]);
	}
}

/* --- how long the loop sleeps --- */

static void the_far_future_does_not_come(void **state)
{
	(void)state;
	arm(0, UINT64_MAX);
	arm(1, UINT64_MAX - 1);
	turn_at(UINT64_MAX / 2);
	assert_int_equal(nr_expired, 0);
	turn_at(UINT64_MAX - 2);
	assert_int_equal(nr_expired, 0);
	turn_at(UINT64_MAX);
	assert_int_equal(nr_expired, 1); /* UINT64_MAX is never */
	loop_timer_cancel(&loop, &items[0].timer);
}

/* With the clock of the machine: for ever is as long as the first timer. */
static void the_loop_sleeps_until_the_first_one(void **state)
{
	uint64_t begin = clock_now_ns();

	(void)state;
	loop.now_ns = clock_now_ns;
	arm(0, begin + 20000000);
	arm(1, UINT64_MAX);
	while (!nr_expired)
		assert_int_equal(loop_turn(&loop, -1), 0);
	assert_true(clock_now_ns() - begin >= 20000000);
	/* One that has passed: at once, though the sleep could be longer. */
	arm(2, 1);
	assert_int_equal(loop_turn(&loop, 1000000), 0);
	assert_int_equal(nr_expired, 2);
	/* A deadline far away does not lengthen a short sleep. */
	assert_int_equal(loop_turn(&loop, 1), 0);
	loop_timer_cancel(&loop, &items[1].timer);
}

int main(void)
{
#define TIMER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TIMER(the_earliest_is_first),
		TIMER(equal_deadlines_in_the_order_of_arming),
		TIMER(arming_again_moves_a_timer),
		TIMER(any_mixture_stays_in_order),
		TIMER(a_cancelled_one_does_not_expire),
		TIMER(a_callback_may_cancel_what_has_come),
		TIMER(a_callback_that_arms_itself_expires_once_a_turn),
		TIMER(a_callback_may_arm_another_one),
		TIMER(a_callback_may_free_its_owner),
		TIMER(timers_come_after_the_handlers),
		TIMER(the_far_future_does_not_come),
		TIMER(the_loop_sleeps_until_the_first_one),
	};

	return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
