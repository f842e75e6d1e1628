/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "monitor/dev/virtio/virtio_balloon.h"
#include "tests/unit/virtio/guest_driver.h"
#include "tests/unit/support.h"

#define INFLATE		0u
#define DEFLATE		1u
#define REPORTING	4u
#define REPORTING_LINUX 2u /* which counts the queues that there are */

/* RAM on both sides of the hole; its pages are there when touched. */
#define HIGH_PAGES 512u
#define RAM_BYTES  (RAM_LOW_END + (uint64_t)HIGH_PAGES * PAGE_BYTES)
#define RAM_PAGES  (RAM_BYTES / PAGE_BYTES)
#define LOW_LAST   (RAM_LOW_END / PAGE_BYTES - 1)
#define HIGH_FIRST (RAM_HIGH_START / PAGE_BYTES)

static struct fake_host h;
static struct virtio_balloon balloon;
static struct driver d;

static int setup(void **state)
{
	(void)state;
	fake_host_create(&h, RAM_BYTES);
	must(virtio_balloon_init(&balloon, &h.host) == 0);
	driver_attach(&d, &h, &balloon.v);
	driver_start(&d, BALLOON_F_DEFLATE_ON_OOM | BALLOON_F_REPORTING, 5, 64);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_balloon_destroy(&balloon);
	virtio_balloon_destroy(&balloon); /* twice is fine */
	fake_host_destroy(&h);
	return 0;
}

/* The request in descriptor 0 came back, and nothing was written to it. */
static void served(unsigned queue)
{
	uint32_t id, written = 77;

	ring_offer(&d.rings[queue], 0);
	driver_kick(&d, queue);
	assert_true(ring_used(&d.rings[queue], &id, &written));
	assert_int_equal(id, 0);
	assert_int_equal(written, 0);
	assert_int_equal(driver_status(&d) & VIRTIO_STATUS_NEEDS_RESET, 0);
}

static void send_pfns(unsigned queue, const uint32_t *pfns, unsigned nr)
{
	memcpy(fake_guest(&h, DATA_GPA, 4u * nr), pfns, 4u * nr);
	ring_desc(&d.rings[queue], 0, DATA_GPA, 4 * nr, 0, 0);
	served(queue);
}

static void freed(unsigned i, uint64_t first, uint64_t nr)
{
	assert_true(i < h.nr_freed && i < FAKE_MAX);
	assert_int_equal(h.freed[i].first, first);
	assert_int_equal(h.freed[i].nr, nr);
}

static void inflated_pages_are_given_back(void **state)
{
	const uint32_t pfns[] = {
		300, 301, 302, 500, 499, 498, 300, HIGH_FIRST
	};

	(void)state;
	send_pfns(INFLATE, pfns, ARRAY_SIZE(pfns));
	assert_int_equal(h.nr_freed, 4);
	freed(0, 300, 3);
	freed(1, 498, 3);
	freed(2, 300, 1);
	freed(3, HIGH_FIRST, 1);
}

static void deflated_pages_are_left_alone(void **state)
{
	const uint32_t pfns[] = { 300, 301 };

	(void)state;
	send_pfns(DEFLATE, pfns, ARRAY_SIZE(pfns));
	assert_int_equal(h.nr_freed, 0);
	/* What does not even look like page numbers. */
	ring_desc(&d.rings[DEFLATE], 0, MIB(8), MIB(2) + 7, D_WRITE, 0);
	served(DEFLATE);
	assert_int_equal(h.nr_freed, 0);
}

static void page_numbers_over_pieces(void **state)
{
	const uint32_t pfns[] = { 300, 301, 302 };

	(void)state;
	memcpy(fake_guest(&h, DATA_GPA, 6), pfns, 6);
	memcpy(fake_guest(&h, DATA_GPA + 100, 8), (const char *)pfns + 6, 6);
	ring_desc(&d.rings[INFLATE], 0, DATA_GPA, 6, D_NEXT, 1);
	/* The last one is cut off. */
	ring_desc(&d.rings[INFLATE], 1, DATA_GPA + 100, 5, 0, 0);
	served(INFLATE);
	assert_int_equal(h.nr_freed, 1);
	freed(0, 300, 2);
}

static void hostile_page_numbers(void **state)
{
	const uint32_t pfns[] = { UINT32_MAX, 0, (uint32_t)(LOW_LAST + 1),
				  (uint32_t)(HIGH_FIRST + HIGH_PAGES),
				  (uint32_t)LOW_LAST };

	(void)state;
	send_pfns(INFLATE, pfns, ARRAY_SIZE(pfns));
	/* The host was asked for all, and has to know what is RAM. */
	assert_int_equal(h.nr_freed, 5);
	assert_int_equal(h.freed_pages, 2);
	ring_desc(&d.rings[INFLATE], 0, DATA_GPA, 4, D_WRITE, 0);
	served(INFLATE);
	ring_desc(&d.rings[INFLATE], 0, DATA_GPA, 0, 0, 0);
	served(INFLATE);
	assert_int_equal(h.nr_freed, 5);
}

static void one_request_is_bounded(void **state)
{
	(void)state;
	/* All zeroes: page 0 again and again. */
	ring_desc(&d.rings[INFLATE], 0, MIB(1), MIB(4), 0, 0);
	served(INFLATE);
	assert_int_equal(h.nr_freed, BALLOON_MAX_PFNS);
	h.nr_freed = 0;
	ring_desc(&d.rings[REPORTING], 0, MIB(1), MIB(100), D_WRITE | D_NEXT,
		  1);
	ring_desc(&d.rings[REPORTING], 1, MIB(200), MIB(100), D_WRITE | D_NEXT,
		  2);
	ring_desc(&d.rings[REPORTING], 2, MIB(400), MIB(100), D_WRITE, 0);
	served(REPORTING);
	assert_int_equal(h.nr_freed, 2);
	freed(0, MIB(1) / PAGE_BYTES, MIB(100) / PAGE_BYTES);
	freed(1, MIB(200) / PAGE_BYTES, MIB(28) / PAGE_BYTES);
}

static void reported(unsigned queue)
{
	uint64_t at = MIB(8);

	h.nr_freed = 0;
	memset(fake_guest(&h, at, PAGE_BYTES), 'x', PAGE_BYTES);
	ring_desc(&d.rings[queue], 0, at, MIB(2), D_WRITE | D_NEXT, 1);
	ring_desc(&d.rings[queue], 1, RAM_HIGH_START, MIB(2), D_WRITE, 0);
	served(queue);
	assert_int_equal(h.nr_freed, 2);
	freed(0, at / PAGE_BYTES, 512);
	freed(1, HIGH_FIRST, HIGH_PAGES);
	/* Dropped by the host, not written by the device. */
	assert_int_equal(*(char *)fake_guest(&h, at, 1), 'x');
}

static void reported_ranges_are_given_back(void **state)
{
	(void)state;
	reported(REPORTING);
	reported(REPORTING_LINUX);
}

static void only_whole_pages(void **state)
{
	(void)state;
	ring_desc(&d.rings[REPORTING], 0, MIB(8) + 1, 3 * PAGE_BYTES,
		  D_WRITE | D_NEXT, 1);
	ring_desc(&d.rings[REPORTING], 1, MIB(9) + 1, 2 * PAGE_BYTES - 2,
		  D_WRITE | D_NEXT, 2);
	ring_desc(&d.rings[REPORTING], 2, MIB(10) + 8, 16, D_WRITE | D_NEXT, 3);
	ring_desc(&d.rings[REPORTING], 3, RAM_LOW_END - 1, 1, D_WRITE, 0);
	served(REPORTING);
	assert_int_equal(h.nr_freed, 1);
	freed(0, MIB(8) / PAGE_BYTES + 1, 2);
}

/* The guest did not say that these may be dropped. */
static void readable_buffers_are_not_reports(void **state)
{
	(void)state;
	ring_desc(&d.rings[REPORTING], 0, MIB(8), MIB(2), D_NEXT, 1);
	ring_desc(&d.rings[REPORTING], 1, MIB(16), MIB(2), D_WRITE, 0);
	served(REPORTING);
	assert_int_equal(h.nr_freed, 1);
	freed(0, MIB(16) / PAGE_BYTES, 512);
}

static void expect_needs_reset(unsigned queue, uint64_t at, uint32_t bytes,
			       unsigned flags)
{
	ring_desc(&d.rings[queue], 0, at, bytes, flags, 0);
	ring_offer(&d.rings[queue], 0);
	driver_kick(&d, queue);
	assert_int_equal(driver_status(&d) & VIRTIO_STATUS_NEEDS_RESET,
			 VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(ring_used_index(&d.rings[queue]), 0);
	assert_int_equal(h.nr_freed, 0);
	driver_start(&d, BALLOON_F_REPORTING, 5, 64);
}

static void ranges_that_are_not_ram(void **state)
{
	(void)state;
	expect_needs_reset(REPORTING, RAM_LOW_END - PAGE_BYTES, 2 * PAGE_BYTES,
			   D_WRITE);
	expect_needs_reset(REPORTING, RAM_LOW_END, PAGE_BYTES, D_WRITE);
	expect_needs_reset(REPORTING_LINUX, RAM_HIGH_START - PAGE_BYTES,
			   2 * PAGE_BYTES, D_WRITE);
	expect_needs_reset(REPORTING, UINT64_MAX - 100, 4096, D_WRITE);
	expect_needs_reset(INFLATE, RAM_LOW_END, 4, 0);
	reported(REPORTING);
}

static void many_requests_one_kick(void **state)
{
	uint32_t pfn = 7, id, written;

	(void)state;
	memcpy(fake_guest(&h, DATA_GPA, 4), &pfn, 4);
	for (unsigned i = 0; i < 64; i++) {
		ring_desc(&d.rings[INFLATE], i, DATA_GPA, 4, 0, 0);
		ring_offer(&d.rings[INFLATE], (uint16_t)i);
	}
	driver_kick(&d, INFLATE);
	for (unsigned i = 0; i < 64; i++)
		assert_true(ring_used(&d.rings[INFLATE], &id, &written));
	assert_int_equal(h.freed_pages, 64);
}

static void a_target_is_told(void **state)
{
	uint64_t generation = driver_read(&d, R_GENERATION, 1);

	(void)state;
	assert_int_equal(driver_read(&d, R_DEVICE, 4), 0);
	assert_int_equal(fake_host_msis(&h, MSG_CONFIG), 0);
	virtio_balloon_set_target(&balloon, 0x12345678);
	assert_int_equal(driver_read(&d, R_DEVICE, 4), 0x12345678);
	assert_int_equal(driver_read(&d, R_DEVICE + 4, 4), 0);
	assert_int_not_equal(driver_read(&d, R_GENERATION, 1), generation);
	assert_int_equal(fake_host_msis(&h, MSG_CONFIG), 1);
	assert_int_equal(driver_read(&d, R_ISR, 1), 2);
	/* The same again is no news. */
	virtio_balloon_set_target(&balloon, 0x12345678);
	assert_int_equal(fake_host_msis(&h, MSG_CONFIG), 1);
	/* A driver that is not there yet reads it when it comes. */
	driver_write(&d, R_STATUS, 1, 0);
	virtio_balloon_set_target(&balloon, 5);
	assert_int_equal(fake_host_msis(&h, MSG_CONFIG), 1);
	assert_int_equal(driver_read(&d, R_ISR, 1), 0);
	driver_start(&d, 0, 2, 64);
	assert_int_equal(driver_read(&d, R_DEVICE, 4), 5);
	/* What it says of itself is not kept. */
	driver_write(&d, R_DEVICE, 4, 99);
	driver_write(&d, R_DEVICE + 4, 4, 99);
	assert_int_equal(driver_read(&d, R_DEVICE, 4), 5);
}

static void identity(void **state)
{
	const uint64_t all = VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX |
			     VIRTIO_F_INDIRECT | BALLOON_F_DEFLATE_ON_OOM |
			     BALLOON_F_REPORTING;

	(void)state;
	assert_int_equal(fake_config_read(&h, d.slot, 0, 4), 0x10451af4);
	assert_int_equal(driver_read(&d, R_NQUEUES, 2), 5);
	assert_int_equal(driver_offered(&d), all);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(inflated_pages_are_given_back),
		T(deflated_pages_are_left_alone),
		T(page_numbers_over_pieces),
		T(hostile_page_numbers),
		T(one_request_is_bounded),
		T(reported_ranges_are_given_back),
		T(only_whole_pages),
		T(readable_buffers_are_not_reports),
		T(ranges_that_are_not_ram),
		T(many_requests_one_kick),
		T(a_target_is_told),
		T(identity),
	};

	return cmocka_run_group_tests_name("virtio_balloon", tests, NULL, NULL);
}
