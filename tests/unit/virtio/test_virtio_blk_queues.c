/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device with several queues: each has its own ring and interrupt, and
 * none can keep the others from the disk. A request's sector is its queue.
 */
#include "tests/unit/virtio/blk_held.h"

#define F_MQ	   (1ull << 12)
#define QUEUES	   4u
#define OWN	   (VIRTIO_BLK_DEPTH / 2 / QUEUES)
#define COMMON	   (VIRTIO_BLK_DEPTH / 2)
#define R_NUMBER   (R_DEVICE + 34)
#define FULL_QUEUE (HELD_SIZE / 2) /* requests that fit */

static struct disk *const disk = &held.disk;
static struct driver *const d = &held.d;

static int setup(void **state)
{
	(void)state;
	held_create(false, false, QUEUES);
	return 0;
}

static void fill(unsigned queue)
{
	for (unsigned i = 0; i < FULL_QUEUE; i++)
		held_offer(queue, i, T_IN, queue);
}

/* Notify without letting the I/O thread run. */
static void notify(unsigned queue)
{
	driver_write(d, R_NOTIFY + 4u * queue, 2, queue);
}

static void config_says_how_many(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= DISK_MAX_QUEUES; n++) {
		held_create(false, n % 2, n);
		assert_int_equal(driver_offered(d) & F_MQ, n > 1 ? F_MQ : 0);
		assert_int_equal(driver_read(d, R_NQUEUES, 2), n);
		if (n > 1)
			assert_int_equal(driver_read(d, R_NUMBER, 2), n);
		(void)held_destroy(NULL);
	}
}

static void no_queue_beyond(void **state)
{
	(void)state;
	driver_write(d, R_QSELECT, 2, QUEUES - 1);
	assert_int_equal(driver_read(d, R_QSIZE, 2), HELD_SIZE);
	for (unsigned n = QUEUES; n < 0x10000; n = n * 3 + 1) {
		driver_write(d, R_QSELECT, 2, n);
		assert_int_equal(driver_read(d, R_QSIZE, 2), 0);
		driver_write(d, R_QSIZE, 2, 16);
		driver_write(d, R_QENABLE, 2, 1);
		assert_int_equal(driver_read(d, R_QENABLE, 2), 0);
		assert_int_equal(driver_read(d, R_QSIZE, 2), 0);
		if (n < 64)
			driver_kick(d, n);
	}
	assert_int_equal(driver_status(d) & VIRTIO_STATUS_NEEDS_RESET, 0);
	held_offer(QUEUES - 1, 0, T_IN, 0);
	driver_kick(d, QUEUES - 1);
	held_complete(1, 0);
	assert_int_equal(held_used(QUEUES - 1), 1);
}

static void an_interrupt_a_queue(void **state)
{
	(void)state;
	held_create(false, false, DISK_MAX_QUEUES);
	for (unsigned q = 0; q < DISK_MAX_QUEUES; q++) {
		held_offer(q, q, T_IN, q);
		driver_kick(d, q);
		held_complete(1, 0);
		assert_int_equal(held_status(q), S_OK);
		for (unsigned k = 0; k < DISK_MAX_QUEUES; k++) {
			assert_int_equal(held_used(k), k <= q);
			assert_int_equal(fake_host_msis(&held.h, MSG_QUEUE(k)),
					 k <= q);
		}
	}
	(void)held_destroy(NULL);
}

static void requests_go_back_where_they_came_from(void **state)
{
	uint32_t id, written;

	(void)state;
	for (unsigned q = 0; q < QUEUES; q++)
		for (unsigned i = 0; i <= q; i++) {
			held_offer(q, 10 * q + i, i % 2 ? T_OUT : T_IN, q);
			notify(q);
		}
	(void)fake_host_run(&held.h);
	assert_int_equal(disk->nr_held, 1 + 2 + 3 + 4);
	held_complete(disk->nr_held, 0);
	for (unsigned q = 0; q < QUEUES; q++) {
		assert_int_equal(held_used(q), q + 1);
		for (unsigned i = 0; i <= q; i++) {
			assert_true(ring_used(&d->rings[q], &id, &written));
			assert_int_equal(id / 20, q);
		}
	}
}

/* However much one asks for, the others have their part. */
static void one_queue_cannot_take_all(void **state)
{
	(void)state;
	fill(0);
	driver_kick(d, 0);
	assert_int_equal(disk->nr_held, OWN + COMMON);
	for (unsigned q = 1; q < QUEUES; q++) {
		fill(q);
		driver_kick(d, q);
		assert_int_equal(held_at(q), OWN);
	}
	assert_int_equal(disk->nr_held, VIRTIO_BLK_DEPTH);
	/* What comes back of another queue's part is that queue's. */
	held_complete_sector(3);
	assert_int_equal(held_at(3), OWN);
	assert_int_equal(held_at(0), OWN + COMMON);
	assert_int_equal(held_used(3), 1);
	/* All get all done. */
	while (disk->nr_held)
		held_complete(1, 0);
	for (unsigned q = 0; q < QUEUES; q++)
		assert_int_equal(held_used(q), FULL_QUEUE);
}

static void what_is_common_goes_round(void **state)
{
	(void)state;
	for (unsigned q = 0; q < QUEUES; q++)
		fill(q);
	for (unsigned q = 0; q < QUEUES; q++)
		driver_kick(d, q);
	assert_int_equal(held_at(0), OWN + COMMON);
	for (unsigned n = 1; n <= 5; n++) {
		for (unsigned i = 0; i < QUEUES; i++)
			held_complete_sector(0);
		assert_int_equal(held_at(0), OWN + COMMON - n * (QUEUES - 1));
		for (unsigned q = 1; q < QUEUES; q++)
			assert_int_equal(held_at(q), OWN + n);
	}
}

/* A turn is bounded: who comes second is not last. */
static void queues_take_turns(void **state)
{
	unsigned batch = VQ_MAX_SIZE / DISK_MAX_QUEUES;

	(void)state;
	held_create(false, false, DISK_MAX_QUEUES);
	fill(0);
	held_offer(5, 0, T_IN, 5);
	notify(0);
	notify(5);
	(void)fake_host_run(&held.h);
	assert_true(disk->nr_held > batch + 1);
	assert_int_equal(disk->held[batch - 1]->offset, 0);
	assert_int_equal(disk->held[batch]->offset, 5 * 512);
	assert_int_equal(disk->held[batch + 1]->offset, 0);
	(void)held_destroy(NULL);
}

static void reset_waits_for_all_queues(void **state)
{
	(void)state;
	for (unsigned q = 0; q < QUEUES; q++) {
		held_offer(q, q, T_IN, q);
		driver_kick(d, q);
	}
	driver_write(d, R_STATUS, 1, 0);
	held_offer(1, 9, T_IN, 9); /* too late */
	driver_kick(d, 1);
	for (unsigned q = 0; q < QUEUES; q++) {
		assert_int_not_equal(driver_status(d), 0);
		held_complete_sector(q);
	}
	assert_int_equal(driver_status(d), 0);
	assert_int_equal(disk->submitted, QUEUES);
	held_start(QUEUES);
	for (unsigned q = 0; q < QUEUES; q++)
		assert_int_equal(held_used(q), 0);
	held_offer(2, 0, T_IN, 2);
	driver_kick(d, 2);
	held_complete(1, 0);
	assert_int_equal(held_used(2), 1);
}

/* Afterwards each queue has what it had, and nobody is served by mistake. */
static void reset_while_all_are_starved(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned q = 0; q < QUEUES; q++) {
			fill(q);
			driver_kick(d, q);
		}
		assert_int_equal(held_at(0), OWN + COMMON);
		assert_int_equal(disk->nr_held, VIRTIO_BLK_DEPTH);
		driver_write(d, R_STATUS, 1, 0);
		held_complete(60, 0);
		assert_int_not_equal(driver_status(d), 0);
		held_complete(disk->nr_held, -5);
		assert_int_equal(driver_status(d), 0);
		assert_int_equal(disk->nr_held, 0);
		held_start(QUEUES);
	}
	assert_int_equal(disk->submitted, 3 * VIRTIO_BLK_DEPTH);
}

static void one_broken_queue_stops_the_device(void **state)
{
	(void)state;
	held_offer(0, 0, T_IN, 0);
	driver_kick(d, 0);
	ring_offer(&d->rings[3], 0xffff);
	driver_kick(d, 3);
	assert_true(driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
	held_offer(1, 1, T_IN, 1);
	driver_kick(d, 1);
	assert_int_equal(disk->submitted, 1);
	held_complete(1, 0);
	assert_int_equal(held_used(0), 1);
	held_start(QUEUES);
	held_offer(3, 0, T_IN, 3);
	driver_kick(d, 3);
	held_complete(1, 0);
	assert_int_equal(held_used(3), 1);
}

/* A driver that knows nothing of F_MQ has queue 0. */
static void a_driver_of_one_queue(void **state)
{
	(void)state;
	driver_start(d, 0, 1, HELD_SIZE);
	driver_kick(d, 2);
	fill(0);
	driver_kick(d, 0);
	while (disk->nr_held)
		held_complete(disk->nr_held, 0);
	assert_int_equal(held_used(0), FULL_QUEUE);
	assert_int_equal(driver_status(d) & VIRTIO_STATUS_NEEDS_RESET, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, held_destroy)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_says_how_many),
		T(no_queue_beyond),
		cmocka_unit_test(an_interrupt_a_queue),
		T(requests_go_back_where_they_came_from),
		T(one_queue_cannot_take_all),
		T(what_is_common_goes_round),
		cmocka_unit_test(queues_take_turns),
		T(reset_waits_for_all_queues),
		T(reset_while_all_are_starved),
		T(one_broken_queue_stops_the_device),
		T(a_driver_of_one_queue),
	};

	return cmocka_run_group_tests_name("blk_queues", tests, NULL, NULL);
}
