/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of a port: rings and chunks come with their first frame and go when
 * they were not used, within the budget; and the rows in which pairs are counted.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/vnet/ports.h"

#define NR (VNET_RINGS_KEPT + 20) /* ports; as many rows as rings are kept */

_Static_assert(NR <= PORTS_MAX && VNET_PAIRS < NR - 1, "more than the bounds");

static struct ports p;
static struct vnet_pair_row rows[VNET_PAIRS];

/* Port 0 knows all others, and each of them knows port 0. */
static int setup(void **state)
{
	(void)state;
	memset(&p, 0, sizeof(p));
	memset(rows, 0, sizeof(rows));
	p.nr = NR;
	for (uint32_t i = 0; i < NR; i++)
		ports_open(&p, i, 1);
	vnet_port_show_pairs(p.of[0], rows);
	for (uint32_t i = 1; i < NR; i++) {
		assert_int_equal(ports_introduce(&p, 0, i, 1), 0);
		assert_int_equal(ports_introduce(&p, i, 0, 1), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ports_destroy(&p);
	return 0;
}

static struct vnet_peer *peer(uint32_t slot)
{
	return p.of[0]->peers[slot];
}

/* Is the page at @at of port @who's region allocated? */
static bool is_there(uint32_t who, size_t at)
{
	off_t begin = (off_t)(at / PAGE_BYTES * PAGE_BYTES);

	return lseek(p.reader[who], begin, SEEK_DATA) == begin;
}

static bool ring_there(uint32_t to)
{
	return is_there(0, offsetof(struct vnet_shared, rings) +
				   to * sizeof(p.of[0]->shared->rings[0]));
}

static bool chunks_there(void)
{
	off_t at = lseek(p.reader[0], offsetof(struct vnet_shared, small),
			 SEEK_DATA);

	return at >= 0;
}

static void send_to(uint32_t to, uint8_t fill)
{
	assert_int_equal(ports_send(&p, 0, to ? peer(to) : NULL, 60, fill), 0);
}

/* What waits at @who. Return: number of frames, whose last byte is @fill. */
static unsigned take(uint32_t who, uint8_t fill)
{
	struct vnet_frame f;
	unsigned n = 0;

	for (; vnet_port_next(p.of[who], &f); n++) {
		assert_int_equal(f.bytes[f.len - 1], fill);
		vnet_port_take(p.of[who], &f);
	}
	vnet_port_settle(p.of[who]);
	return n;
}

static void a_ring_comes_with_its_first_frame(void **state)
{
	(void)state;
	assert_false(ring_there(3));
	assert_false(chunks_there());
	send_to(3, 1);
	assert_true(ring_there(3));
	assert_false(ring_there(4));
	assert_true(chunks_there());
	assert_int_equal(p.of[0]->nr_rings, 1);
}

static void it_goes_when_it_is_idle_and_comes_again(void **state)
{
	(void)state;
	for (uint8_t i = 1; i < 5; i++) {
		send_to(3, i);
		assert_int_equal(take(3, i), 1);
		vnet_port_sweep(p.of[0]); /* it was used since the last one */
		assert_true(ring_there(3));
		vnet_port_sweep(p.of[0]);
		assert_false(ring_there(3));
		assert_false(chunks_there());
		assert_int_equal(p.of[0]->nr_rings, 0);
		assert_int_equal(p.of[0]->nr_busy, 0);
	}
	assert_int_equal(p.of[3]->stats.bad, 0);
}

static void one_with_frames_stays(void **state)
{
	(void)state;
	send_to(3, 1);
	for (unsigned i = 0; i < 5; i++)
		vnet_port_sweep(p.of[0]);
	assert_true(ring_there(3));
	assert_int_equal(take(3, 1), 1);
	vnet_port_sweep(p.of[0]);
	assert_false(ring_there(3));
	/* And one that is put, and not published. */
	send_to(3, 2);
	assert_int_equal(take(3, 2), 1);
	vnet_port_sweep(p.of[0]);
	{
		struct vnet_buf b;

		assert_int_equal(vnet_port_room(p.of[0], peer(3), 60), 0);
		vnet_port_begin(p.of[0], 60, &b);
		memset(b.bytes, 3, 60);
		vnet_port_send(p.of[0], &b, peer(3), 60, false);
	}
	vnet_port_sweep(p.of[0]);
	vnet_port_sweep(p.of[0]);
	assert_true(ring_there(3));
	vnet_port_flush(p.of[0]);
	assert_int_equal(take(3, 3), 1);
}

/* The other rings' frames are in chunks, too. */
static void chunks_stay_while_a_ring_has_frames(void **state)
{
	(void)state;
	send_to(3, 1);
	send_to(4, 2);
	assert_int_equal(take(3, 1), 1);
	vnet_port_sweep(p.of[0]);
	vnet_port_sweep(p.of[0]);
	assert_false(ring_there(3));
	assert_true(ring_there(4));
	assert_true(chunks_there());
	assert_int_equal(take(4, 2), 1);
}

/* And while one is being written. */
static void a_chunk_that_is_written_stays(void **state)
{
	struct vnet_buf b;

	(void)state;
	send_to(3, 1);
	assert_int_equal(take(3, 1), 1);
	vnet_port_sweep(p.of[0]);
	vnet_port_begin(p.of[0], 60, &b);
	memset(b.bytes, 2, 60);
	vnet_port_sweep(p.of[0]);
	assert_false(ring_there(3));
	vnet_port_send(p.of[0], &b, peer(3), 60, false);
	vnet_port_flush(p.of[0]);
	assert_int_equal(take(3, 2), 1);
}

static void a_port_that_ends_takes_its_ring_along(void **state)
{
	(void)state;
	send_to(3, 1);
	vnet_port_remove(p.of[0], 3, 0);
	assert_false(ring_there(3));
	assert_false(chunks_there());
	assert_int_equal(p.of[0]->nr_busy, 0);
}

static void above_the_budget_empty_rings_go_at_any_age(void **state)
{
	(void)state;
	send_to(0, 7); /* a broadcast */
	assert_int_equal(p.of[0]->nr_rings, NR - 1);
	for (uint32_t i = 1; i < NR; i++)
		assert_true(ring_there(i));
	for (uint32_t i = 1; i < NR; i++)
		assert_int_equal(take(i, 7), 1);
	assert_true(vnet_port_untended(p.of[0]));
	assert_true(vnet_port_tend(p.of[0], 1000) == 1000 + VNET_SWEEP_SOON_NS);
	assert_int_equal(p.of[0]->nr_rings, NR - 1);
	/* The rest is within the budget, and waits for its age. */
	assert_true(vnet_port_tend(p.of[0], 1000 + VNET_SWEEP_SOON_NS) ==
		    1000 + VNET_SWEEP_SOON_NS + VNET_SWEEP_NS);
	assert_int_equal(p.of[0]->nr_rings, VNET_RINGS_KEPT);
	vnet_port_sweep(p.of[0]);
	assert_int_equal(p.of[0]->nr_rings, 0);
}

static void it_is_tended_only_while_a_pair_is_busy(void **state)
{
	const uint64_t day = 24ull * 3600 * 1000000000;
	struct vnet_port *port = p.of[0];

	(void)state;
	assert_false(vnet_port_untended(port));
	assert_true(vnet_port_tend(port, day) == 0);
	send_to(3, 1);
	assert_int_equal(take(3, 1), 1);
	assert_true(vnet_port_untended(port));
	assert_true(vnet_port_tend(port, day) == day + VNET_SWEEP_NS);
	assert_false(vnet_port_untended(port));
	send_to(4, 1);
	assert_int_equal(take(4, 1), 1);
	assert_false(vnet_port_untended(port)); /* it will be */
	assert_true(vnet_port_tend(port, day + 1) == day + VNET_SWEEP_NS);
	assert_true(vnet_port_tend(port, day + VNET_SWEEP_NS) ==
		    day + 2 * VNET_SWEEP_NS);
	assert_true(vnet_port_tend(port, day + 2 * VNET_SWEEP_NS) == 0);
	assert_false(ring_there(3) || ring_there(4));
	/* Not again, until there is something. */
	assert_false(vnet_port_untended(port));
	send_to(4, 2);
	assert_true(vnet_port_untended(port));
}

/* --- rows --- */

/* The row of a port; false: it has none. */
static bool row_of(uint32_t slot, uint64_t counts[VNET_PAIR_WORDS])
{
	for (unsigned i = 0; i < VNET_PAIRS; i++) {
		uint64_t who;

		if (vnet_pair_read(&rows[i], &who, counts) &&
		    who == vnet_pair_who(slot, 1))
			return true;
	}
	return false;
}

static unsigned rows_used(void)
{
	uint64_t counts[VNET_PAIR_WORDS], who;
	unsigned n = 0;

	for (unsigned i = 0; i < VNET_PAIRS; i++)
		n += vnet_pair_read(&rows[i], &who, counts);
	return n;
}

static void pairs_are_counted(void **state)
{
	uint64_t c[VNET_PAIR_WORDS] = { 0 };
	unsigned sent = 0;

	(void)state;
	assert_false(row_of(3, c));
	while (ports_send(&p, 0, peer(3), 60, 1) == 0)
		sent++;
	vnet_port_drop(p.of[0], peer(3));
	assert_int_equal(ports_send(&p, 4, p.of[4]->peers[0], 100, 2), 0);
	assert_int_equal(take(0, 2), 1);
	vnet_port_lose(p.of[0], peer(4));
	vnet_port_lose(p.of[0], NULL);
	/* What is lost is shown with the next one that is taken. */
	assert_int_equal(ports_send(&p, 4, p.of[4]->peers[0], 100, 2), 0);
	assert_int_equal(take(0, 2), 1);
	assert_true(row_of(3, c));
	assert_int_equal(c[VNET_PAIR_SENT], sent);
	assert_int_equal(c[VNET_PAIR_SENT_BYTES], 60 * sent);
	assert_int_equal(c[VNET_PAIR_FULL], 1);
	assert_int_equal(c[VNET_PAIR_RECEIVED], 0);
	assert_true(row_of(4, c));
	assert_int_equal(c[VNET_PAIR_SENT], 0);
	assert_int_equal(c[VNET_PAIR_RECEIVED], 2);
	assert_int_equal(c[VNET_PAIR_RECEIVED_BYTES], 200);
	assert_int_equal(c[VNET_PAIR_LOST], 1);
	assert_int_equal(p.of[0]->stats.lost, 2);
	assert_int_equal(rows_used(), 2);
}

static void bad_descriptors_are_their_senders(void **state)
{
	uint64_t c[VNET_PAIR_WORDS];
	struct vnet_peer *q = p.of[5]->peers[0];

	(void)state;
	vnet_tx_put(&q->tx, 0);
	(void)vnet_tx_publish(&q->tx);
	assert_int_equal(take(0, 0), 0);
	assert_true(row_of(5, c));
	assert_int_equal(c[VNET_PAIR_BAD], 1);
}

/* More busy pairs than rows; and those that are idle give theirs back. */
static void rows_are_bounded(void **state)
{
	uint64_t c[VNET_PAIR_WORDS];

	(void)state;
	for (uint32_t i = 1; i < NR; i++)
		send_to(i, 1);
	assert_int_equal(rows_used(), VNET_PAIRS);
	assert_false(row_of(NR - 1, c));
	for (uint32_t i = 1; i < NR; i++)
		assert_int_equal(take(i, 1), 1);
	for (unsigned i = 0; i < 2; i++) {
		/* The one that had no row goes on. */
		send_to(NR - 1, 1);
		vnet_port_sweep(p.of[0]);
	}
	vnet_port_sweep(p.of[0]);
	assert_int_equal(rows_used(), 1);
	assert_true(row_of(NR - 1, c));
	assert_int_equal(c[VNET_PAIR_SENT], 3); /* all of them */
	/* A pair that comes again has what it had. */
	send_to(1, 1);
	assert_true(row_of(1, c));
	assert_int_equal(c[VNET_PAIR_SENT], 2);
	vnet_port_remove(p.of[0], 1, 0);
	assert_false(row_of(1, c));
}

/* --- a row that is read while it changes hands --- */

static _Atomic(bool) stop;

/* All counts of the pair of slot s are multiples of s. */
static void *hand_on(void *arg)
{
	struct vnet_pair_row *row = arg;

	for (uint64_t k = 1; !atomic_load(&stop); k++) {
		uint64_t counts[VNET_PAIR_WORDS], slot = 2 + k % 40;

		for (unsigned i = 0; i < VNET_PAIR_WORDS; i++)
			counts[i] = slot * k;
		vnet_pair_begin(row, vnet_pair_who((uint32_t)slot, 1), counts);
		for (unsigned i = 0; i < VNET_PAIR_WORDS; i++)
			counts[i] += slot;
		vnet_pair_update(row, counts);
		if (k % 8 == 0)
			vnet_pair_end(row);
	}
	return NULL;
}

static void no_row_is_read_half(void **state)
{
	uint64_t last = 0;
	unsigned whole = 0;
	pthread_t thread;

	(void)state;
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, hand_on, &rows[0]), 0);
	/* As many as differ: both threads run. */
	while (whole < 20000) {
		uint64_t who, counts[VNET_PAIR_WORDS];

		if (!vnet_pair_read(&rows[0], &who, counts))
			continue;
		whole += counts[0] != last;
		last = counts[0];
		for (unsigned i = 0; i < VNET_PAIR_WORDS; i++)
			assert_int_equal(counts[i] % (uint32_t)who, 0);
	}
	atomic_store(&stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_ring_comes_with_its_first_frame),
		T(it_goes_when_it_is_idle_and_comes_again),
		T(one_with_frames_stays),
		T(chunks_stay_while_a_ring_has_frames),
		T(a_chunk_that_is_written_stays),
		T(a_port_that_ends_takes_its_ring_along),
		T(above_the_budget_empty_rings_go_at_any_age),
		T(it_is_tended_only_while_a_pair_is_busy),
		T(pairs_are_counted),
		T(bad_descriptors_are_their_senders),
		T(rows_are_bounded),
		T(no_row_is_read_half),
	};

	return cmocka_run_group_tests_name("vnet_port_memory", tests, NULL,
					   NULL);
}
