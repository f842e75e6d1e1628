/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of numa/channel.c in all interleavings that tests/model knows:
 * a producer that waits while the ring is full, a consumer that sleeps while
 * it is empty. And with twelve bugs planted, each of which must be found.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/model/channel_variant.h"
#include "tests/model/verdict.h"

extern const struct channel_variant channel_0, channel_1, channel_2, channel_3,
	channel_4, channel_5, channel_6, channel_7, channel_8, channel_9,
	channel_10, channel_11, channel_12;

static const struct {
	const struct channel_variant *code;
	const char *bug;
} variants[] = {
	{ &channel_0, "none" },
	{ &channel_1, "no fence before the sleep flag is read" },
	{ &channel_2, "index published before data" },
	{ &channel_3, "index published without release" },
	{ &channel_4, "ring looked at before the sleep flag is set" },
	{ &channel_5, "full one message too late" },
	{ &channel_6, "no fence before the ring is looked at again" },
	{ &channel_7, "slot given back without release" },
	{ &channel_8, "message read without acquire" },
	{ &channel_9, "slot written again without acquire" },
	{ &channel_10, "wake-ups thrown away when going to sleep" },
	{ &channel_11, "slot given back before it is read" },
	{ &channel_12, "sleeper woken for every message" },
};

/* Of the program that is explored now. */
static const struct channel_variant *code;
static struct chan_shape shape;
static uint64_t nr_messages;

/* Never touched: their addresses name the words of the model. */
static struct {
	struct chan_ring ring;
	unsigned char slots[CHAN_LINE_BYTES];
} producers;
static struct chan_reader consumers;

static void producer(void)
{
	struct chan_tx tx;

	model_assert(
		code->tx_init(&tx, shape, &producers.ring, &consumers, -1) == 0,
		"tx_init");
	for (uint64_t i = 1; i <= nr_messages; i++) {
		int err;

		model_summary(
			(const uint64_t[]){ i, tx.tail, tx.head, tx.woken }, 4);
		while ((err = code->try_send(&tx, &i)) == -EAGAIN)
			model_await_change(&consumers.head);
		model_assert(err == 0, "an honest consumer is accused");
	}
}

static void consumer(void)
{
	struct chan_rx rx;
	uint64_t got = 0;

	model_assert(
		code->rx_init(&rx, shape, &consumers, &producers.ring, -1) == 0,
		"rx_init");
	while (got < nr_messages) {
		uint64_t msg = 0;
		int err;

		model_summary(
			(const uint64_t[]){ got, rx.tail, rx.head, rx.sleep },
			4);
		err = code->try_recv(&rx, &msg);
		if (err == 0) {
			got++;
			model_assert(msg == got, "lost, twice or out of order");
			continue;
		}
		model_assert(err == -EAGAIN, "an honest producer is accused");
		err = code->sleep_begin(&rx);
		model_assert(err == 0 || err == -EAGAIN,
			     "an honest producer is accused");
		if (err == 0) {
			model_wait(-1);
			code->sleep_end(&rx);
		}
	}
}

static void at_end(void)
{
	model_assert(model_nr_wakes() <= (model_last(&consumers.sleep) + 1) / 2,
		     "more wake-ups than sleeps");
}

static const struct model_program program = {
	{ producer, consumer },
	at_end,
};

static void explore(size_t variant, uint32_t nr_slots, uint64_t nr,
		    struct model_result *r)
{
	code = variants[variant].code;
	shape = (struct chan_shape){ nr_slots, 8 };
	nr_messages = nr;
	model_explore(&program, r);
}

static void the_code_is_right(void **state)
{
	const struct {
		uint32_t nr_slots;
		uint64_t nr_messages;
	} sizes[] = {
		{ 1, 4 },
		{ 2, 5 },
		{ 4, 5 },
#ifndef DISCO_SANITIZED /* takes ten times as long */
		{ 4, 6 },
#endif
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct model_result r;

		explore(0, sizes[i].nr_slots, sizes[i].nr_messages, &r);
		print_message("# %u slots, %u messages: %.3g schedules, "
			      "%llu states, %llu steps, longest %u\n",
			      sizes[i].nr_slots, (unsigned)sizes[i].nr_messages,
			      r.nr_schedules, (unsigned long long)r.nr_states,
			      (unsigned long long)r.nr_steps, r.longest);
		model_is_right(&r);
	}
}

static void every_planted_bug_is_found(void **state)
{
	(void)state;
	for (size_t i = 1; i < ARRAY_SIZE(variants); i++) {
		struct model_result r;

		explore(i, 2, 4, &r);
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
