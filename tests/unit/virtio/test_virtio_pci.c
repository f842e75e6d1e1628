/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The transport: negotiation, queue set-up, notifications, resets. With the
 * rows of the negative table that are about registers.
 */
#include "tests/unit/virtio/negative.h"

static void enable(struct bench *b, uint16_t size, uint64_t desc,
		   uint64_t avail, uint64_t used)
{
	b->before_ok = true;
	driver_negotiate(&b->d, 0);
	driver_queue(&b->d, 1, NEGATIVE_SIZE);
	ring_init(b->r, &b->h, 0, NEGATIVE_SIZE);
	driver_write(&b->d, R_QSELECT, 2, 0);
	driver_write(&b->d, R_QSIZE, 2, size);
	driver_write(&b->d, R_QDESC, 8, desc);
	driver_write(&b->d, R_QAVAIL, 8, avail);
	driver_write(&b->d, R_QUSED, 8, used);
	driver_write(&b->d, R_QENABLE, 2, 1);
	assert_int_equal(driver_read(&b->d, R_QENABLE, 2), 0);
	driver_ok(&b->d);
}

static void queue_size_0(void **state)
{
	enable(*state, 0, RINGS_GPA, RINGS_GPA + 4096, RINGS_GPA + 8192);
	expect_needs_reset(*state);
}

static void queue_size_not_a_power_of_two(void **state)
{
	enable(*state, 12, RINGS_GPA, RINGS_GPA + 4096, RINGS_GPA + 8192);
	expect_needs_reset(*state);
}

static void queue_size_above_the_offer(void **state)
{
	enable(*state, 2 * VQ_MAX_SIZE, RINGS_GPA, RINGS_GPA + 16384,
	       RINGS_GPA + 32768);
	expect_needs_reset(*state);
}

static void queue_size_32768(void **state)
{
	enable(*state, 32768, 0, 0x100000, 0x200000);
	expect_needs_reset(*state);
}

/* By its reason, and once however often the driver starts over. */
static void a_death_is_reported_once(void **state)
{
	struct bench *b = *state;

	enable(b, 12, RINGS_GPA, RINGS_GPA + 4096, RINGS_GPA + 8192);
	assert_int_equal(b->h.reports, 1);
	assert_string_equal(b->h.report_text,
			    "virtio unknown device 00:01.0 stands still until "
			    "its driver resets it: queue size is not a power "
			    "of two");
	expect_needs_reset(b);
	driver_start(&b->d, 0, 2, NEGATIVE_SIZE);
	enable(b, 16, RINGS_GPA + 8, RINGS_GPA + 4096, RINGS_GPA + 8192);
	assert_int_equal(driver_status(&b->d) & VIRTIO_STATUS_NEEDS_RESET,
			 VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(b->h.reports, 1);
}

static void ring_not_aligned(void **state)
{
	enable(*state, 16, RINGS_GPA + 8, RINGS_GPA + 4096, RINGS_GPA + 8192);
	expect_needs_reset(*state);
}

static void ring_ends_outside_ram(void **state)
{
	enable(*state, 16, RINGS_GPA, RINGS_GPA + 4096, NEGATIVE_RAM - 4);
	expect_needs_reset(*state);
}

static void ring_address_overflows(void **state)
{
	enable(*state, 16, UINT64_MAX - 15, RINGS_GPA, RINGS_GPA + 8192);
	expect_needs_reset(*state);
}

static void ring_in_the_mmio_hole(void **state)
{
	struct bench *b = *state;

	enable(b, 16, 0xfee00000, RINGS_GPA, RINGS_GPA + 8192);
	expect_needs_reset(b);
}

static void notify_of_an_absent_queue(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, DATA_GPA, 8, 0, 0);
	for (unsigned n = 2; n < 1024; n++)
		driver_write(&b->d, R_NOTIFY + 4 * n, 2, n);
	driver_write(&b->d, R_NOTIFY + 0xffc, 4, 0xffff);
	(void)fake_host_run(&b->h);
	expect_dropped(b);
}

static void notify_before_driver_ok(void **state)
{
	struct bench *b = *state;

	driver_negotiate(&b->d, 0);
	driver_queue(&b->d, 0, NEGATIVE_SIZE);
	ring_desc(b->r, 0, DATA_GPA, 8, 0, 0);
	bench_offer(b, 0);
	assert_int_equal(b->dev.taken, 0);
	driver_ok(&b->d); /* what was offered early is found now */
	(void)fake_host_run(&b->h);
	expect_served(b, 8, 0);
}

static void notify_without_ioeventfd(void **state)
{
	struct bench *b = *state;

	/* KVM may refuse one; then the write comes to the device. */
	b->h.nr_io = 0;
	ring_desc(b->r, 0, DATA_GPA, 8, 0, 0);
	bench_offer(b, 0);
	assert_int_equal(b->dev.taken, 1);
}

/* More heads than the queue has descriptors, none of them back yet. */
static void unbounded_in_flight(void **state)
{
	struct bench *b = *state;

	b->dev.keep = true;
	ring_desc(b->r, 0, DATA_GPA, 8, D_WRITE, 0);
	for (unsigned i = 0; i < NEGATIVE_SIZE; i++)
		bench_offer(b, 0);
	assert_int_equal(b->dev.nr_kept, NEGATIVE_SIZE);
	assert_int_equal(driver_status(&b->d) & VIRTIO_STATUS_NEEDS_RESET, 0);
	bench_offer(b, 0);
	assert_int_equal(b->dev.nr_kept, NEGATIVE_SIZE);
	expect_needs_reset(b);
}

/*
 * A guest CPU that offers a chain for every one that is taken: the I/O thread
 * comes back from serving all the same.
 */
static void endless_refill_leaves_the_thread_free(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, DATA_GPA, 8, 0, 0);
	b->dev.refill = b->r;
	ring_offer(b->r, 0);
	virtio_serve(&b->dev.v, 0);
	assert_in_range(b->dev.taken, 1, 100);
	expect_in_time(b);
	b->dev.refill = NULL;
	(void)fake_host_run(&b->h); /* it kicked itself for the rest */
	assert_int_equal(ring_used_index(b->r), b->r->avail_idx);
}

static void reset_during_io(void **state)
{
	struct bench *b = *state;

	b->dev.keep = true;
	ring_desc(b->r, 0, DATA_GPA, 8, D_WRITE, 0);
	ring_desc(b->r, 1, DATA_GPA, 8, D_WRITE, 0);
	bench_offer(b, 0);
	bench_offer(b, 1);
	driver_write(&b->d, R_STATUS, 1, 0);
	assert_int_not_equal(driver_status(&b->d), 0); /* 2.4.2: not yet */
	/* While it waits: no new work, no new state. */
	ring_desc(b->r, 2, DATA_GPA, 8, D_WRITE, 0);
	bench_offer(b, 2);
	driver_write(&b->d, R_STATUS, 1, VIRTIO_STATUS_FAILED);
	assert_int_equal(driver_status(&b->d) & VIRTIO_STATUS_FAILED, 0);
	assert_int_equal(b->dev.taken, 2);
	echo_complete(&b->dev);
	assert_int_not_equal(driver_status(&b->d), 0);
	echo_complete(&b->dev);
	assert_int_equal(driver_status(&b->d), 0);
	assert_int_equal(driver_read(&b->d, R_QENABLE, 2), 0);
	b->dev.taken = 0;
	expect_dropped(b);
}

static void reset_ends_needs_reset_during_io(void **state)
{
	struct bench *b = *state;

	b->dev.keep = true;
	ring_desc(b->r, 0, DATA_GPA, 8, D_WRITE, 0);
	bench_offer(b, 0);
	bench_offer(b, 0xffff); /* broken, with one request out */
	driver_write(&b->d, R_STATUS, 1, 0);
	assert_int_not_equal(driver_status(&b->d), 0);
	echo_complete(&b->dev);
	assert_int_equal(driver_status(&b->d), 0);
	b->dev.taken = 0;
	expect_dropped(b);
}

/* --- negotiation --- */

static void offers_what_every_device_has(void **state)
{
	struct bench *b = *state;

	assert_int_equal(driver_offered(&b->d), VIRTIO_F_VERSION_1 |
							VIRTIO_F_EVENT_IDX |
							VIRTIO_F_INDIRECT);
	driver_write(&b->d, R_DF_SELECT, 4, 2);
	assert_int_equal(driver_read(&b->d, R_DF, 4), 0);
	assert_int_equal(driver_read(&b->d, R_NQUEUES, 2), 2);
}

static void features_not_offered_are_refused(void **state)
{
	struct bench *b = *state;

	assert_false(driver_negotiate(&b->d, 1) & VIRTIO_STATUS_FEATURES_OK);
	assert_true(driver_negotiate(&b->d, VIRTIO_F_EVENT_IDX) &
		    VIRTIO_STATUS_FEATURES_OK);
}

static void drivers_without_version_1_are_refused(void **state)
{
	struct bench *b = *state;

	driver_write(&b->d, R_STATUS, 1, 0);
	driver_write(&b->d, R_STATUS, 1, 3);
	driver_write(&b->d, R_STATUS, 1, 11);
	assert_int_equal(driver_status(&b->d), 3);
}

static void features_are_frozen_after_features_ok(void **state)
{
	struct bench *b = *state;

	driver_negotiate(&b->d, 0);
	driver_write(&b->d, R_GF_SELECT, 4, 0);
	driver_write(&b->d, R_GF, 4, 0xffffffff);
	assert_int_equal(driver_read(&b->d, R_GF, 4), 0);
}

/* Else they could be changed for queues that are enabled already. */
static void features_ok_stays_until_a_reset(void **state)
{
	struct bench *b = *state;

	driver_negotiate(&b->d, 0);
	driver_write(&b->d, R_STATUS, 1,
		     VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	assert_int_equal(driver_status(&b->d), 11);
	driver_write(&b->d, R_GF_SELECT, 4, 0);
	driver_write(&b->d, R_GF, 4, 0xffffffff);
	assert_int_equal(driver_read(&b->d, R_GF, 4), 0);
	driver_write(&b->d, R_STATUS, 1, 0);
	assert_int_equal(driver_status(&b->d), 0);
	driver_write(&b->d, R_STATUS, 1, VIRTIO_STATUS_ACKNOWLEDGE);
	assert_int_equal(driver_status(&b->d), VIRTIO_STATUS_ACKNOWLEDGE);
}

static void absent_queue_has_size_0(void **state)
{
	struct bench *b = *state;

	driver_write(&b->d, R_QSELECT, 2, 1);
	assert_int_equal(driver_read(&b->d, R_QSIZE, 2), VQ_MAX_SIZE);
	for (unsigned n = 2; n < 65536; n = n * 2 + 1) {
		driver_write(&b->d, R_QSELECT, 2, n);
		assert_int_equal(driver_read(&b->d, R_QSIZE, 2), 0);
		driver_write(&b->d, R_QENABLE, 2, 1);
		driver_write(&b->d, R_QDESC, 8, UINT64_MAX);
		assert_int_equal(driver_read(&b->d, R_QENABLE, 2), 0);
		assert_int_equal(driver_read(&b->d, R_QDESC, 8), 0);
	}
	expect_in_time(b);
}

static void enabled_queue_cannot_be_changed(void **state)
{
	struct bench *b = *state;
	uint64_t desc = b->r->desc;

	driver_write(&b->d, R_QSELECT, 2, 0);
	driver_write(&b->d, R_QSIZE, 2, 256);
	driver_write(&b->d, R_QDESC, 8, UINT64_MAX);
	driver_write(&b->d, R_QENABLE, 2, 0);
	assert_int_equal(driver_read(&b->d, R_QSIZE, 2), NEGATIVE_SIZE);
	assert_int_equal(driver_read(&b->d, R_QDESC, 8), desc);
	assert_int_equal(driver_read(&b->d, R_QENABLE, 2), 1);
}

static void vectors_that_do_not_exist_read_back_as_none(void **state)
{
	struct bench *b = *state;

	driver_write(&b->d, R_MSIX, 2, 3);
	assert_int_equal(driver_read(&b->d, R_MSIX, 2), 0xffff);
	driver_write(&b->d, R_QSELECT, 2, 0);
	driver_write(&b->d, R_QMSIX, 2, 2);
	assert_int_equal(driver_read(&b->d, R_QMSIX, 2), 2);
	driver_write(&b->d, R_QMSIX, 2, 1000);
	assert_int_equal(driver_read(&b->d, R_QMSIX, 2), 0xffff);
}

static void isr_is_cleared_by_reading(void **state)
{
	struct bench *b = *state;

	ring_desc(b->r, 0, DATA_GPA, 8, 0, 0);
	bench_offer(b, 0);
	assert_int_equal(fake_host_msis(&b->h, MSG_QUEUE(0)), 1);
	assert_int_equal(driver_read(&b->d, R_ISR, 1), 1);
	assert_int_equal(driver_read(&b->d, R_ISR, 1), 0);
}

static void registers_of_any_width_and_place(void **state)
{
	struct bench *b = *state;

	/* Nothing to assert but that none of it hurts. */
	for (unsigned len = 1; len <= 8; len *= 2)
		for (uint64_t off = 0; off + len <= 0x8000; off += 7) {
			(void)driver_read(&b->d, off, len);
			driver_write(&b->d, off, len, UINT64_MAX);
		}
	(void)fake_host_run(&b->h);
	driver_negotiate(&b->d, 0);
	assert_int_equal(b->h.stops, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
#define I(f)                                                                   \
	cmocka_unit_test_setup_teardown(f, bench_setup_idle, bench_teardown)
#define H(f)                                                                   \
	cmocka_unit_test_setup_teardown(f, bench_setup_hole, bench_teardown)
	const struct CMUnitTest tests[] = {
		I(queue_size_0),
		I(queue_size_not_a_power_of_two),
		I(queue_size_above_the_offer),
		I(queue_size_32768),
		I(a_death_is_reported_once),
		I(ring_not_aligned),
		I(ring_ends_outside_ram),
		I(ring_address_overflows),
		H(ring_in_the_mmio_hole),
		T(notify_of_an_absent_queue),
		I(notify_before_driver_ok),
		T(notify_without_ioeventfd),
		T(unbounded_in_flight),
		T(endless_refill_leaves_the_thread_free),
		T(reset_during_io),
		T(reset_ends_needs_reset_during_io),
		I(offers_what_every_device_has),
		I(features_not_offered_are_refused),
		I(drivers_without_version_1_are_refused),
		I(features_are_frozen_after_features_ok),
		I(features_ok_stays_until_a_reset),
		I(absent_queue_has_size_0),
		T(enabled_queue_cannot_be_changed),
		T(vectors_that_do_not_exist_read_back_as_none),
		T(isr_is_cleared_by_reading),
		T(registers_of_any_width_and_place),
	};

	return cmocka_run_group_tests_name("transport", tests, NULL, NULL);
}
