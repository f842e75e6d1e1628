/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "monitor/dev/virtio/virtio_rng.h"
#include "tests/unit/virtio/guest_driver.h"
#include "tests/unit/support.h"

static struct fake_host h;
static struct virtio_rng rng;
static struct driver d;

static int setup(void **state)
{
	(void)state;
	fake_host_create(&h, MIB(1));
	must(virtio_rng_init(&rng, &h.host) == 0);
	driver_attach(&d, &h, &rng.v);
	driver_start(&d, 0, 1, 128);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtio_rng_destroy(&rng);
	virtio_rng_destroy(&rng); /* twice is fine */
	fake_host_destroy(&h);
	return 0;
}

static uint32_t ask(uint32_t bytes, unsigned flags)
{
	uint32_t id, written;

	ring_desc(&d.rings[0], 0, DATA_GPA, bytes, flags, 0);
	ring_offer(&d.rings[0], 0);
	driver_kick(&d, 0);
	assert_true(ring_used(&d.rings[0], &id, &written));
	assert_int_equal(id, 0);
	return written;
}

static void bytes_that_differ(void **state)
{
	uint8_t *data = fake_guest(&h, DATA_GPA, 64), first[64];

	(void)state;
	memset(data, 0, 64);
	assert_int_equal(ask(32, D_WRITE), 32);
	memcpy(first, data, 64);
	assert_memory_equal(first + 32, data + 32, 32);
	for (unsigned i = 32; i < 64; i++)
		assert_int_equal(first[i], 0); /* not a byte more */
	assert_int_equal(ask(32, D_WRITE), 32);
	assert_memory_not_equal(first, data, 32);
}

static void huge_request_gets_a_short_answer(void **state)
{
	uint32_t n;

	(void)state;
	n = ask(512 * 1024, D_WRITE);
	assert_in_range(n, 1, 4096);
}

static void readable_or_empty_buffer_gets_nothing(void **state)
{
	(void)state;
	assert_int_equal(ask(32, 0), 0);
	assert_int_equal(ask(0, D_WRITE), 0);
}

static void many_requests_one_kick(void **state)
{
	uint32_t id, written;

	(void)state;
	for (unsigned i = 0; i < 128; i++) {
		ring_desc(&d.rings[0], i, DATA_GPA + 16 * i, 16, D_WRITE, 0);
		ring_offer(&d.rings[0], (uint16_t)i);
	}
	driver_kick(&d, 0);
	for (unsigned i = 0; i < 128; i++) {
		assert_true(ring_used(&d.rings[0], &id, &written));
		assert_int_equal(id, i);
		assert_int_equal(written, 16);
	}
	assert_false(ring_used(&d.rings[0], &id, &written));
}

static void identity(void **state)
{
	(void)state;
	assert_int_equal(fake_config_read(&h, d.slot, 0, 4), 0x10441af4);
	assert_int_equal(driver_read(&d, R_NQUEUES, 2), 1);
	assert_int_equal(driver_read(&d, R_DEVICE, 4), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(bytes_that_differ),
		T(huge_request_gets_a_short_answer),
		T(readable_or_empty_buffer_gets_nothing),
		T(many_requests_one_kick),
		T(identity),
	};

	return cmocka_run_group_tests_name("virtio_rng", tests, NULL, NULL);
}
