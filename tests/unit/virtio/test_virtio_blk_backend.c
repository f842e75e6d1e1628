/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block device over a backend that this test is: slow, failing, full.
 */
#include <errno.h>

#include "tests/unit/virtio/blk_held.h"

#define F_RO	   (1ull << 5)
#define F_TOPOLOGY (1ull << 10)
#define F_ZERO	   (1ull << 13 | 1ull << 14)

static struct disk *const disk = &held.disk;
static struct driver *const d = &held.d;

static int setup(void **state)
{
	(void)state;
	held_create(false, false, 1);
	return 0;
}

static int setup_read_only(void **state)
{
	(void)state;
	held_create(true, false, 1);
	return 0;
}

/* --- tests --- */

static void waits_for_the_backend(void **state)
{
	uint32_t id, written;

	(void)state;
	held_offer(0, 0, 0, 7);
	driver_kick(d, 0);
	assert_int_equal(disk->nr_held, 1);
	assert_int_equal(disk->held[0]->op, DISK_READ);
	assert_int_equal(disk->held[0]->offset, 7 * 512);
	assert_int_equal(disk->held[0]->nr_iov, 1);
	assert_int_equal(disk->held[0]->iov[0].iov_len, 512);
	assert_int_equal(held_status(0), 0xff);
	held_complete(1, 0);
	assert_true(ring_used(&d->rings[0], &id, &written));
	assert_int_equal(written, 513);
	assert_int_equal(held_status(0), S_OK);
}

static void backend_error_is_ioerr(void **state)
{
	static const int errors[] = { -EIO, -ENOSPC, -EINVAL };
	uint32_t id, written;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
		held_offer(0, i, i % 2 ? T_OUT : 0, 0);
		driver_kick(d, 0);
		held_complete(1, errors[i]);
		assert_true(ring_used(&d->rings[0], &id, &written));
		assert_int_equal(written, 1);
		assert_int_equal(held_status(i), S_IOERR);
	}
}

static void failed_flush_is_ioerr(void **state)
{
	(void)state;
	held_offer(0, 0, T_FLUSH, 0);
	driver_kick(d, 0);
	assert_int_equal(disk->held[0]->op, DISK_FLUSH);
	held_complete(1, -EIO);
	assert_int_equal(held_status(0), S_IOERR);
}

static void refused_submission_is_ioerr(void **state)
{
	(void)state;
	disk->refuse = -EINVAL;
	held_offer(0, 0, 0, 0);
	driver_kick(d, 0);
	assert_int_equal(held_status(0), S_IOERR);
	assert_int_equal(held_used(0), 1);
	disk->refuse = 0;
	held_offer(0, 1, 0, 0);
	driver_kick(d, 0);
	held_complete(1, 0);
	assert_int_equal(held_status(1), S_OK);
}

static void completions_in_any_order(void **state)
{
	uint32_t id, written;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		held_offer(0, i, 0, i);
	driver_kick(d, 0);
	held_complete(10, 0); /* newest first */
	for (unsigned i = 10; i-- > 0;) {
		assert_true(ring_used(&d->rings[0], &id, &written));
		assert_int_equal(id, 2 * i);
	}
}

/* More requests than the depth: the rest goes on as others come back. */
static void deeper_than_the_backend(void **state)
{
	unsigned total = HELD_SIZE / 2; /* of two descriptors each */

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < total; i++)
			held_offer(0, i, 0, i % HELD_SECTORS);
		driver_kick(d, 0);
		while (disk->nr_held)
			held_complete(disk->nr_held > 50 ? 50 : disk->nr_held,
				      0);
		assert_int_equal(held_used(0), (round + 1) * total);
	}
	assert_int_equal(disk->submitted, 3 * total);
}

static void starved_queue_goes_on(void **state)
{
	(void)state;
	/*
	 * Heads used twice, so more requests than descriptors allow: legal
	 * as far as the device can see, up to the queue's size.
	 */
	for (unsigned i = 0; i < HELD_SIZE / 2; i++)
		held_offer(0, i, T_FLUSH, 0);
	for (unsigned i = 0; i < 20; i++)
		ring_offer(&d->rings[0], (uint16_t)(2 * i));
	driver_kick(d, 0);
	assert_int_equal(disk->nr_held, VIRTIO_BLK_DEPTH);
	held_complete(5, 0);
	assert_int_equal(disk->nr_held, VIRTIO_BLK_DEPTH);
	while (disk->nr_held)
		held_complete(disk->nr_held, 0);
	assert_int_equal(held_used(0), HELD_SIZE / 2 + 20);
}

static void reset_waits_for_requests_in_flight(void **state)
{
	(void)state;
	held_offer(0, 0, 0, 0);
	held_offer(0, 1, 0, 1);
	driver_kick(d, 0);
	driver_write(d, R_STATUS, 1, 0);
	assert_int_not_equal(driver_status(d), 0);
	held_complete(1, 0);
	assert_int_not_equal(driver_status(d), 0);
	held_complete(1, -EIO);
	assert_int_equal(driver_status(d), 0);
	/* From now on not a byte of the old rings may change. */
	held_start(1);
	assert_int_equal(held_used(0), 0);
	held_offer(0, 2, 0, 2);
	driver_kick(d, 0);
	held_complete(1, 0);
	assert_int_equal(held_status(2), S_OK);
	assert_int_equal(held_used(0), 1);
}

static void reset_while_starved(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HELD_SIZE / 2; i++)
		held_offer(0, i, T_FLUSH, 0);
	ring_offer(&d->rings[0], 0);
	driver_kick(d, 0);
	driver_write(d, R_STATUS, 1, 0);
	held_complete(disk->nr_held, 0);
	assert_int_equal(driver_status(d), 0);
	assert_int_equal(disk->nr_held, 0); /* the one that waited is gone */
	assert_int_equal(disk->submitted, VIRTIO_BLK_DEPTH);
}

static void broken_queue_with_requests_in_flight(void **state)
{
	(void)state;
	held_offer(0, 0, 0, 0);
	ring_offer(&d->rings[0], 0xffff);
	driver_kick(d, 0);
	assert_true(driver_status(d) & VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(disk->nr_held, 1);
	held_complete(1, 0);
	held_start(1);
	assert_int_equal(driver_status(d) & VIRTIO_STATUS_NEEDS_RESET, 0);
}

static void read_only_disk(void **state)
{
	(void)state;
	assert_true(driver_offered(d) & F_RO);
	held_offer(0, 0, T_OUT, 0);
	driver_kick(d, 0);
	assert_int_equal(held_status(0), S_IOERR);
	assert_int_equal(disk->submitted, 0);
	held_offer(0, 1, 0, 0);
	driver_kick(d, 0);
	assert_int_equal(disk->submitted, 1);
}

static void write_takes_data_behind_the_header(void **state)
{
	(void)state;
	held_offer(0, 0, T_OUT, 3);
	driver_kick(d, 0);
	assert_int_equal(disk->held[0]->op, DISK_WRITE);
	assert_int_equal(disk->held[0]->offset, 3 * 512);
	assert_int_equal(disk->held[0]->iov[0].iov_len, 512);
	assert_ptr_equal(disk->held[0]->iov[0].iov_base,
			 ram_at(&held.h.ram, gpa(DATA_GPA + 16), 512));
}

/* Could it discard, nobody is told who may not. */
static void read_only_disk_that_could_zero(void **state)
{
	(void)state;
	(void)held_destroy(NULL);
	held_create(true, true, 2);
	assert_true(driver_offered(d) & F_RO);
	assert_int_equal(driver_offered(d) & (F_TOPOLOGY | F_ZERO), 0);
	for (unsigned at = 36; at < 60; at += 4)
		assert_int_equal(driver_read(d, R_DEVICE + at, 4), 0);
	held_offer(1, 0, 11, 0);
	held_offer(1, 1, 13, 0);
	driver_kick(d, 1);
	assert_int_equal(held_used(1), 2);
	assert_int_not_equal(held_status(0), S_OK);
	assert_int_not_equal(held_status(1), S_OK);
	assert_int_equal(disk->submitted, 0);
}

/* A driver that cannot flush: its writes are stable when they are done. */
static void write_through_without_flushes(void **state)
{
	(void)state;
	driver_start(d, 0, 1, HELD_SIZE);
	held_offer(0, 0, T_OUT, 0);
	driver_kick(d, 0);
	held_complete(1, 0);
	assert_int_equal(held_status(0), 0xff);
	assert_int_equal(disk->nr_held, 1);
	assert_int_equal(disk->held[0]->op, DISK_FLUSH);
	held_complete(1, 0);
	assert_int_equal(held_status(0), S_OK);
	/* Not after a failure, not for a read; and a flush may fail, too. */
	held_offer(0, 1, T_OUT, 0);
	held_offer(0, 2, T_IN, 0);
	driver_kick(d, 0);
	held_complete(1, 0);
	held_complete(1, -EIO);
	assert_int_equal(held_status(1), S_IOERR);
	assert_int_equal(held_status(2), S_OK);
	assert_int_equal(disk->nr_held, 0);
	held_offer(0, 3, T_OUT, 0);
	driver_kick(d, 0);
	held_complete(1, 0);
	driver_write(d, R_STATUS, 1, 0);
	assert_int_not_equal(driver_status(d), 0);
	held_complete(1, -EIO);
	assert_int_equal(held_status(3), S_IOERR);
	assert_int_equal(driver_status(d), 0);
}

static void no_flush_for_who_flushes(void **state)
{
	(void)state;
	held_offer(0, 0, T_OUT, 0);
	driver_kick(d, 0);
	held_complete(1, 0);
	assert_int_equal(held_status(0), S_OK);
	assert_int_equal(disk->submitted, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, held_destroy)
	const struct CMUnitTest tests[] = {
		T(waits_for_the_backend),
		T(backend_error_is_ioerr),
		T(failed_flush_is_ioerr),
		T(refused_submission_is_ioerr),
		T(completions_in_any_order),
		T(deeper_than_the_backend),
		T(starved_queue_goes_on),
		T(reset_waits_for_requests_in_flight),
		T(reset_while_starved),
		T(broken_queue_with_requests_in_flight),
		cmocka_unit_test_setup_teardown(read_only_disk, setup_read_only,
						held_destroy),
		T(write_takes_data_behind_the_header),
		T(read_only_disk_that_could_zero),
		T(write_through_without_flushes),
		T(no_flush_for_who_flushes),
	};

	return cmocka_run_group_tests_name("blk_backend", tests, NULL, NULL);
}
