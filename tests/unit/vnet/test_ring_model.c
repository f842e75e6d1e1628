/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of vnet/ring.c in all interleavings that tests/model knows, with
 * rings of 2 slots: a receiver that sleeps while its ring is empty; a sender
 * that waits for room; ports that take the place of others; and a sender whose
 * ring rests whenever it may, and begins again at once. And with eighteen bugs
 * planted, each of which must be found.
 */
#define DISCO_MODEL 1
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/model/vring_variant.h"
#include "tests/model/verdict.h"
#include "numa/atomic_ops.h"

extern const struct vring_variant vring_0, vring_1, vring_2, vring_3, vring_4,
	vring_5, vring_6, vring_7, vring_8, vring_9, vring_10, vring_11,
	vring_12, vring_13, vring_14, vring_15, vring_16, vring_17, vring_18;

static const struct {
	const struct vring_variant *code;
	const char *bug;
} variants[] = {
	{ &vring_0, "none" },
	{ &vring_1, "frames published without release" },
	{ &vring_2, "frames counted without acquire" },
	{ &vring_3, "what was taken published without release" },
	{ &vring_4, "chunks reused without acquire" },
	{ &vring_5, "no fences" },
	{ &vring_6, "no look after wanting room" },
	{ &vring_7, "the same want twice" },
	{ &vring_8, "wants of an earlier port again" },
	{ &vring_9, "tail of another generation" },
	{ &vring_10, "head of another generation" },
	{ &vring_11, "a sleeper is woken for every flush" },
	{ &vring_12, "one wake-up for room, and no other" },
	{ &vring_13, "index published before the descriptor" },
	{ &vring_14, "rest with frames that are not taken" },
	{ &vring_15, "rest with frames that are not published" },
	{ &vring_16, "a ring that has rested counts from 0" },
	{ &vring_17, "rest whatever is in the ring" },
	{ &vring_18, "rest by a head read without acquire" },
};

/* Of the program that is explored now. */
static const struct vring_variant *code;
static uint64_t nr_frames;

/* Never touched: their addresses name the words of the model. */
static struct vnet_line line;
static struct vnet_head head;
static _Atomic(uint64_t) sleep_word;
static vnet_slot slots[VNET_RING_SLOTS];
static uint64_t chunks[VNET_RING_SLOTS];

/* --- sender --- */

static void send_frame(struct vnet_tx *tx, uint64_t i)
{
	uint64_t chunk = i % VNET_RING_SLOTS;

	model_copy_in(&chunks[chunk], &i, sizeof(i));
	code->tx_put(tx, chunk);
	(void)code->tx_publish(tx);
	code->fence();
	if (code->tx_must_wake(tx, &sleep_word))
		code->wake(-1);
}

static void sender_summary(const struct vnet_tx *tx, uint64_t i)
{
	model_summary((const uint64_t[]){ i, tx->tail, tx->head, tx->wants,
					  tx->woken, tx->peer_gen },
		      6);
}

static bool is_full(struct vnet_tx *tx)
{
	if (vnet_tx_depth(tx) < VNET_RING_SLOTS)
		return false;
	model_assert(code->tx_look(tx) == 0, "an honest receiver is accused");
	return vnet_tx_depth(tx) == VNET_RING_SLOTS;
}

static void send_watching(struct vnet_tx *tx)
{
	for (uint64_t i = 1; i <= nr_frames; i++) {
		sender_summary(tx, i);
		while (is_full(tx))
			model_await_change(&head.head);
		send_frame(tx, i);
	}
}

static void send_wanting(struct vnet_tx *tx)
{
	for (uint64_t i = 1; i <= nr_frames; i++) {
		sender_summary(tx, i);
		while (is_full(tx)) {
			int n;

			/* As vnet_port_awake(), for what it received. */
			model_drain(-1);
			n = code->tx_want(tx);
			model_assert(n >= 0, "an honest receiver is accused");
			if (n == 1) {
				model_wait(-1);
				model_drain(-1);
			}
		}
		send_frame(tx, i);
	}
}

static void sender(void)
{
	struct vnet_tx tx;

	code->tx_init(&tx, &line, slots, &head, 1, 1);
	send_watching(&tx);
}

static void wanting_sender(void)
{
	struct vnet_tx tx;

	code->tx_init(&tx, &line, slots, &head, 1, 1);
	send_wanting(&tx);
}

/*
 * As a port does (vnet/port.c): look, and if all was taken, slots and chunks go.
 * It tries at every point where a caller could.
 */
static void try_rest(struct vnet_tx *tx, bool look)
{
	static const uint64_t zero;

	if (look)
		model_assert(code->tx_look(tx) == 0,
			     "an honest receiver is accused");
	if (!code->tx_rest(tx))
		return;
	for (unsigned i = 0; i < VNET_RING_SLOTS; i++)
		model_copy_in(&chunks[i], &zero, sizeof(zero));
}

static void resting_sender(void)
{
	struct vnet_tx tx;

	code->tx_init(&tx, &line, slots, &head, 1, 1);
	for (uint64_t i = 1; i <= nr_frames; i++) {
		uint64_t chunk = i % VNET_RING_SLOTS;

		sender_summary(&tx, i);
		while (is_full(&tx))
			model_await_change(&head.head);
		model_copy_in(&chunks[chunk], &i, sizeof(i));
		code->tx_put(&tx, chunk);
		try_rest(&tx, i % 2); /* it is not published */
		(void)code->tx_publish(&tx);
		try_rest(&tx, false);
		code->fence();
		if (code->tx_must_wake(&tx, &sleep_word))
			code->wake(-1);
		try_rest(&tx, true);
	}
}

/*
 * It had an earlier receiver, of generation 1, which took nothing, and from
 * which it wanted room. Then comes the one of generation 2.
 */
static void sender_of_two(void)
{
	struct vnet_tx tx;

	code->tx_init(&tx, &line, slots, &head, 2, 1);
	code->tx_put(&tx, 0);
	(void)code->tx_publish(&tx);
	(void)code->tx_want(&tx);
	code->tx_init(&tx, &line, slots, &head, 2, 2);
	send_wanting(&tx);
}

/* --- receiver --- */

static void take_frame(struct vnet_rx *rx, uint64_t want)
{
	uint64_t i = 0, chunk = code->rx_get(rx, 0);

	model_assert(chunk == want % VNET_RING_SLOTS,
		     "not the descriptor that was put");
	model_copy_out(&i, &chunks[chunk], sizeof(i));
	model_assert(i == want, "lost, twice or out of order");
	vnet_rx_take(rx, 1);
	(void)code->rx_publish(rx);
	code->fence();
	if (code->rx_must_wake(rx))
		code->wake(-1);
}

static void receiver_summary(const struct vnet_rx *rx, uint64_t i, uint64_t s)
{
	model_summary((const uint64_t[]){ i, rx->tail, rx->head, rx->woken, s,
					  rx->peer_gen },
		      6);
}

static int look(struct vnet_rx *rx)
{
	int n = code->rx_look(rx);

	model_assert(n >= 0, "an honest sender is accused");
	return n;
}

static void receive_watching(struct vnet_rx *rx)
{
	for (uint64_t i = 1; i <= nr_frames; i++) {
		receiver_summary(rx, i, 0);
		while (look(rx) == 0)
			model_await_change(&line.tail);
		take_frame(rx, i);
	}
}

/*
 * As a port (vnet/port.c): what a wake-up is for is done before the socket is
 * emptied, and that is before the next sleep is announced.
 */
static void sleeping_receiver(void)
{
	struct vnet_rx rx;
	uint64_t got = 0, s = 0, undrained = 0;

	code->rx_init(&rx, &head, &line, slots, 1, 1);
	while (got < nr_frames) {
		receiver_summary(&rx, got, s << 1 | undrained);
		if (look(&rx) > 0) {
			take_frame(&rx, ++got);
			continue;
		}
		if (undrained)
			model_drain(-1);
		undrained = 0;
		code->set_sleep(&sleep_word, ++s);
		code->fence();
		if (look(&rx) == 0) {
			model_wait(-1);
			undrained = 1;
		}
		code->set_sleep(&sleep_word, ++s);
	}
}

static void receiver(void)
{
	struct vnet_rx rx;

	code->rx_init(&rx, &head, &line, slots, 1, 1);
	receive_watching(&rx);
}

/*
 * A new port, of generation 2, whose worker had taken a frame of a sender of
 * generation 1.
 */
static void second_receiver(void)
{
	struct vnet_rx rx;

	code->rx_init(&rx, &head, &line, slots, 2, 1);
	vnet_rx_take(&rx, 1);
	(void)code->rx_publish(&rx);
	code->rx_init(&rx, &head, &line, slots, 2, 2);
	receive_watching(&rx);
}

static void few_wakes(void)
{
	model_assert(model_nr_wakes() <= (model_last(&sleep_word) + 1) / 2,
		     "more wake-ups than sleeps");
}

/* It reads other wants than these: few_wakes() is about sleeps. */
static void no_claim(void)
{
}

static const struct model_program programs[] = {
	{ { sender, sleeping_receiver }, few_wakes },
	{ { wanting_sender, receiver }, no_claim },
	{ { sender_of_two, second_receiver }, no_claim },
	{ { resting_sender, receiver }, no_claim },
	{ { resting_sender, sleeping_receiver }, few_wakes },
};

static void explore(size_t program, size_t variant, uint64_t nr,
		    struct model_result *r)
{
	code = variants[variant].code;
	nr_frames = nr;
	model_explore(&programs[program], r);
}

static void the_code_is_right(void **state)
{
	static const uint64_t frames[] = { 4, 5, 4, 4, 3 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct model_result r;

		explore(i, 0, frames[i], &r);
		print_message("# program %zu, %u frames: %.3g schedules, %llu "
			      "states, %llu steps, longest %u\n",
			      i, (unsigned)frames[i], r.nr_schedules,
			      (unsigned long long)r.nr_states,
			      (unsigned long long)r.nr_steps, r.longest);
		if (r.violation)
			fail_msg("program %zu: %s", i, r.violation);
	}
}

static void every_planted_bug_is_found(void **state)
{
	(void)state;
	for (size_t i = 1; i < ARRAY_SIZE(variants); i++) {
		struct model_result r = { .violation = NULL };

		for (size_t p = 0; p < ARRAY_SIZE(programs) && !r.violation;
		     p++)
			explore(p, i, 4, &r);
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
