/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device with limits, by the real clock: how much goes at once, that
 * the rest takes its time, and who goes first. A request's sector is its
 * queue. Times are only checked against being too short.
 */
#include <string.h>

#include "tests/unit/virtio/blk_held.h"

#define QUEUES 4u
#define MS     1000000ull

static struct disk *const disk = &held.disk;
static struct driver *const d = &held.d;
static uint64_t began;

static int setup(void **state)
{
	(void)state;
	held_create(false, false, QUEUES);
	return 0;
}

static void limit(uint64_t iops, uint64_t bps)
{
	assert_int_equal(virtio_blk_limit(held.blk, iops, bps), 0);
	began = clock_now_ns();
}

static void offer(unsigned queue, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		held_offer(queue, i, T_IN, queue);
	driver_kick(d, queue);
}

/* Until @n were submitted; a guest notifies queue 0 all the time. */
static void run_until(unsigned n)
{
	uint64_t end = wait_end_ns();

	while (disk->submitted < n) {
		must(clock_now_ns() < end);
		(void)fake_host_wait(&held.h, 5);
		driver_kick(d, 0);
	}
}

/* What may have gone by now, of @per_second and a burst of @burst. */
static void at_most(unsigned burst, unsigned per_second)
{
	uint64_t ns = clock_now_ns() - began;

	assert_true(disk->submitted <= burst + ns * per_second / 1000000000);
}

/* Where less is certain to have gone only until @ms of the limit are over. */
static bool is_before(uint64_t ms)
{
	return clock_now_ns() - began < ms * MS;
}

/* Exactly @n; where this thread was kept from running for @ms, no fewer. */
static void submitted_before(unsigned n, uint64_t ms)
{
	unsigned now = disk->submitted;

	assert_true(now >= n);
	if (is_before(ms))
		assert_int_equal(now, n);
}

static void for_at_least(uint64_t ms)
{
	assert_true(clock_now_ns() - began >= ms * MS);
}

static void no_limit_is_none(void **state)
{
	(void)state;
	limit(0, 0);
	offer(0, 80);
	assert_int_equal(disk->submitted, 80);
}

static void a_burst_then_one_by_one(void **state)
{
	(void)state;
	limit(100, 0);
	offer(0, 30);
	assert_true(disk->submitted >= 10);
	at_most(10, 100);
	for (unsigned n = 11; n <= 30; n++) {
		run_until(n);
		at_most(10, 100);
	}
	for_at_least(200);
	assert_int_equal(held_used(0), 0);
	held_complete(30, 0);
	assert_int_equal(held_used(0), 30);
}

static void bytes_count(void **state)
{
	(void)state;
	limit(0, 100 * 512);
	offer(0, 5);
	for (unsigned i = 5; i < 25; i++)
		held_offer(0, i, T_OUT, 0);
	driver_kick(d, 0);
	at_most(10, 100);
	run_until(25);
	at_most(10, 100);
	for_at_least(150);
}

static void both_limits_hold(void **state)
{
	(void)state;
	limit(1000, 50 * 512);
	offer(0, 12);
	at_most(5, 50);
	run_until(12);
	for_at_least(140);
	(void)held_destroy(NULL);
	held_create(false, false, QUEUES);
	limit(50, 1000 * 512);
	offer(0, 12);
	at_most(5, 50);
	run_until(12);
	for_at_least(140);
}

/* Larger than the bucket: one goes, the next when it is paid. */
static void one_larger_than_a_burst(void **state)
{
	(void)state;
	limit(0, 2560); /* 256 bytes in 100 ms */
	offer(0, 2);
	submitted_before(1, 200);
	run_until(2);
	for_at_least(200);
}

/* The limit is the disk's; who waits goes in turns, not who asks most. */
static void more_queues_get_no_more(void **state)
{
	unsigned burst;

	(void)state;
	limit(100, 0);
	offer(0, 100);
	burst = disk->submitted;
	for (unsigned q = 1; q < QUEUES; q++)
		offer(q, 20);
	at_most(10, 100);
	run_until(burst + 24);
	at_most(10, 100);
	for (unsigned i = burst + QUEUES; i < burst + 20; i += QUEUES) {
		unsigned seen = 0;

		for (unsigned k = 0; k < QUEUES; k++)
			seen |= 1u << disk->held[i + k]->offset / 512;
		assert_int_equal(seen, (1u << QUEUES) - 1);
	}
}

static void a_flush_has_its_turn(void **state)
{
	unsigned burst;

	(void)state;
	limit(50, 0);
	offer(0, 100);
	burst = disk->submitted;
	held_offer(2, 0, T_FLUSH, 0);
	driver_kick(d, 2);
	run_until(burst + 4);
	for (unsigned i = 0; i < disk->nr_held; i++)
		if (disk->held[i]->op == DISK_FLUSH)
			return;
	fail_msg("the flush waits behind another queue's reads");
}

/* Even one that has nothing to wait for: else it could go on for ever. */
static void who_comes_later_does_not_overtake(void **state)
{
	(void)state;
	limit(0, 5120); /* a read in 100 ms */
	offer(1, 2);
	held_offer(2, 0, T_FLUSH, 0);
	driver_kick(d, 2);
	submitted_before(1, 100);
	run_until(3);
	assert_int_equal(disk->held[1]->op, DISK_READ);
	assert_int_equal(disk->held[2]->op, DISK_FLUSH);
	/* Again, now that a line has been served. */
	held_offer(1, 3, T_IN, 1);
	driver_kick(d, 1);
	held_offer(2, 2, T_FLUSH, 0);
	driver_kick(d, 2);
	submitted_before(3, 200);
	run_until(5);
	/* Nobody is in line any more. */
	held_offer(2, 1, T_FLUSH, 0);
	driver_kick(d, 2);
	assert_int_equal(disk->submitted, 6);
}

/* More behind one request than the I/O thread does in one go. */
static void a_long_line(void **state)
{
	uint64_t end = wait_end_ns();
	unsigned n = HELD_SIZE / 2, used = 0;

	(void)state;
	limit(0, 5120);
	offer(1, 2);
	for (unsigned q = 0; q < QUEUES; q++) {
		for (unsigned i = 0; q != 1 && i < n; i++)
			held_offer(q, i, 99, 0);
		driver_kick(d, q);
		used += held_used(q);
	}
	if (is_before(100))
		assert_int_equal(used, 0);
	while (held_used(0) + held_used(2) + held_used(3) < 3 * n) {
		assert_true(clock_now_ns() < end);
		(void)fake_host_wait(&held.h, 5);
	}
	assert_int_equal(disk->submitted, 2);
	for_at_least(100);
}

/* Its range is no data. */
static void a_discard_has_no_bytes(void **state)
{
	uint32_t *p;

	(void)state;
	(void)held_destroy(NULL);
	held_create(false, true, 1);
	limit(0, 512);
	offer(0, 1);
	p = fake_guest(&held.h, DATA_GPA, 32);
	memset(p, 0, 32);
	p[0] = 11; /* of sector 0, 8 of them */
	p[6] = 8;
	ring_desc(&d->rings[0], 4, DATA_GPA, 32, D_NEXT, 5);
	ring_desc(&d->rings[0], 5, DATA_GPA + 64, 1, D_WRITE, 0);
	ring_offer(&d->rings[0], 4);
	driver_kick(d, 0);
	assert_int_equal(disk->submitted, 2);
	assert_int_equal(disk->held[1]->op, DISK_DISCARD);
}

/* It counts as a request, and has no bytes to wait for. */
static void a_flush_pays_one_request(void **state)
{
	(void)state;
	limit(0, 512); /* a read a second */
	offer(1, 1);
	held_offer(1, 1, T_FLUSH, 0);
	driver_kick(d, 1);
	assert_int_equal(disk->submitted, 2);
	(void)held_destroy(NULL);
	held_create(false, false, QUEUES);
	limit(10, 0);
	for (unsigned i = 0; i < 3; i++)
		held_offer(1, i, T_FLUSH, 0);
	driver_kick(d, 1);
	at_most(1, 10);
	run_until(3);
	for_at_least(200);
}

/* Refused ones are not free either. */
static void what_is_refused_counts(void **state)
{
	uint64_t end;

	(void)state;
	limit(20, 0);
	for (unsigned i = 0; i < 6; i++)
		held_offer(0, i, i % 2 ? 99 : T_IN, HELD_SECTORS + i);
	driver_kick(d, 0);
	end = wait_end_ns();
	while (held_used(0) < 6 && clock_now_ns() < end)
		(void)fake_host_wait(&held.h, 5);
	assert_int_equal(held_used(0), 6);
	for_at_least(200);
}

/* But not by more than the disk has: that would be a debt of minutes. */
static void a_length_that_is_refused(void **state)
{
	(void)state;
	limit(0, 2 * HELD_SECTORS * 512);
	held_offer(0, 0, T_IN, 0);
	ring_desc(&d->rings[0], 1, DATA_GPA + 4096, MIB(2) + 1, D_WRITE, 0);
	offer(0, 0);
	assert_int_equal(held_used(0), 1);
	held_offer(0, 1, T_IN, 0);
	run_until(1); /* and not minutes later */
	for_at_least(400);
}

/* It is in guest memory while it waits: what it is when it goes counts. */
static void rewritten_while_it_waits(void **state)
{
	uint64_t end = wait_end_ns();

	(void)state;
	limit(2, 0);
	offer(0, 1);
	held_offer(0, 1, T_IN, 0);
	driver_kick(d, 0);
	assert_int_equal(disk->submitted, 1);
	ring_desc(&d->rings[0], 2, 0, 15, D_NEXT, 3); /* a header cut short */
	while (!(driver_status(d) & VIRTIO_STATUS_NEEDS_RESET)) {
		assert_true(clock_now_ns() < end);
		(void)fake_host_wait(&held.h, 20);
	}
	for_at_least(500);
	assert_int_equal(disk->submitted, 1);
	held_complete(1, 0);
	held_start(QUEUES);
	offer(3, 1);
	run_until(2);
}

/*
 * Nothing is in flight for what waits: a reset is done at once, and no way
 * round the limit.
 */
static void reset_while_they_wait(void **state)
{
	(void)state;
	limit(10, 0);
	for (unsigned q = 0; q < QUEUES; q++)
		offer(q, 5);
	for (unsigned n = 1; n <= 3; n++) {
		run_until(n);
		at_most(1, 10);
		driver_write(d, R_STATUS, 1, 0);
		if (disk->nr_held) {
			assert_int_not_equal(driver_status(d), 0);
			held_complete(disk->nr_held, 0);
		}
		assert_int_equal(driver_status(d), 0);
		held_start(QUEUES);
		for (unsigned q = 0; q < QUEUES; q++) {
			assert_int_equal(held_used(q), 0);
			offer(q, 5);
		}
		at_most(1, 10);
	}
	for_at_least(200);
}

/* Every request in use and a limit: all of it is done in the end. */
static void limited_and_starved(void **state)
{
	unsigned n = 0, total = QUEUES * HELD_SIZE / 2;
	uint64_t end = wait_end_ns();

	(void)state;
	limit(3000, 0);
	for (unsigned q = 0; q < QUEUES; q++)
		offer(q, HELD_SIZE / 2);
	assert_int_equal(disk->nr_held, VIRTIO_BLK_DEPTH);
	while (n < total) {
		(void)fake_host_wait(&held.h, 1);
		if (disk->nr_held)
			held_complete((disk->nr_held + 1) / 2, 0);
		n = 0;
		for (unsigned q = 0; q < QUEUES; q++)
			n += held_used(q);
		assert_true(clock_now_ns() < end);
		at_most(300, 3000);
	}
	for_at_least(70);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, held_destroy)
	const struct CMUnitTest tests[] = {
		T(no_limit_is_none),
		T(a_burst_then_one_by_one),
		T(bytes_count),
		T(both_limits_hold),
		T(one_larger_than_a_burst),
		T(more_queues_get_no_more),
		T(a_flush_has_its_turn),
		T(a_flush_pays_one_request),
		T(what_is_refused_counts),
		T(rewritten_while_it_waits),
		T(reset_while_they_wait),
		T(limited_and_starved),
		T(who_comes_later_does_not_overtake),
		T(a_length_that_is_refused),
		T(a_long_line),
		T(a_discard_has_no_bytes),
	};

	return cmocka_run_group_tests_name("blk_limits", tests, NULL, NULL);
}
