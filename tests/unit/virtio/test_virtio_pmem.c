/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "monitor/dev/virtio/virtio_pmem.h"
#include "monitor/dev/virtio/virtio_rng.h"
#include "tests/unit/cowdisk/dax_bench.h"
#include "tests/unit/virtio/guest_driver.h"

#define BYTES	(MIB(3) + 512)
#define START	GIB(5)
#define REQ	(DATA_GPA)
#define RESP	(DATA_GPA + 0x100)
#define NOTHING 0x77777777u

struct pmem_bench {
	struct fake_host h;
	struct driver d;
	struct dax_bench *b;
	struct virtio_pmem *pmem;
};

static int make(void **state, bool cow)
{
	struct pmem_bench *p = calloc(1, sizeof(*p));
	struct ram_window *w;

	must(p);
	fake_host_create(&p->h, MIB(1));
	p->b = dax_bench_make(BYTES, cow, true);
	w = dax_window(p->b->dax);
	w->gpa = START;
	p->h.ram.windows[p->h.ram.nr_windows++] = w;
	must(virtio_pmem_create(&p->h.host, p->b->dax, &p->pmem) == 0);
	driver_attach(&p->d, &p->h, virtio_pmem_dev(p->pmem));
	driver_start(&p->d, 0, 1, 16);
	*state = p;
	return 0;
}

static int setup_cow(void **state)
{
	return make(state, true);
}

static int setup_ro(void **state)
{
	return make(state, false);
}

static int teardown(void **state)
{
	struct pmem_bench *p = *state;

	virtio_pmem_destroy(p->pmem);
	p->b->dax = NULL; /* was the device's */
	dax_bench_destroy(p->b);
	fake_host_destroy(&p->h);
	free(p);
	return 0;
}

static uint32_t *word(struct pmem_bench *p, uint64_t at)
{
	return fake_guest(&p->h, at, 4);
}

/* Offer a request in descriptors @i and @i + 1. */
static void offer(struct pmem_bench *p, unsigned i, uint32_t type)
{
	*word(p, REQ + 8 * i) = type;
	*word(p, RESP + 8 * i) = NOTHING;
	ring_desc(&p->d.rings[0], i, REQ + 8 * i, 4, D_NEXT, i + 1);
	ring_desc(&p->d.rings[0], i + 1, RESP + 8 * i, 4, D_WRITE, 0);
	ring_offer(&p->d.rings[0], (uint16_t)i);
}

/* The next answer; waits for the disk. */
static uint32_t answer(struct pmem_bench *p, uint32_t *id)
{
	uint32_t written;

	for (unsigned i = 0; i < 100; i++) {
		if (ring_used(&p->d.rings[0], id, &written)) {
			assert_int_equal(written, 4);
			return *word(p, RESP + 8 * *id);
		}
		(void)fake_host_wait(&p->h, 100);
	}
	fail_msg("no answer");
	return NOTHING;
}

static uint32_t ask(struct pmem_bench *p, uint32_t type)
{
	uint32_t id;

	offer(p, 0, type);
	driver_kick(&p->d, 0);
	return answer(p, &id);
}

static void identity(void **state)
{
	struct pmem_bench *p = *state;

	assert_int_equal(fake_config_read(&p->h, p->d.slot, 0, 4), 0x105b1af4);
	assert_int_equal(driver_read(&p->d, R_NQUEUES, 2), 1);
	assert_int_equal(driver_read(&p->d, R_DEVICE, 8), START);
	assert_int_equal(driver_read(&p->d, R_DEVICE + 8, 8), MIB(4));
	assert_int_equal(driver_read(&p->d, R_DEVICE + 16, 4), 0);
}

static void a_flush_is_durable(void **state)
{
	struct pmem_bench *p = *state;
	struct dax_bench again;

	dax_guest_set(p->b, 8192, 512, 0x5a);
	assert_int_equal(ask(p, 0), 0);
	assert_int_equal(dax_written(p->b), 1);
	again = *p->b;
	dax_bench_open(&again, 100); /* a worker that starts now */
	dax_expect(&again, 8192, 512, 0x5a);
	dax_destroy(again.dax);
}

static void many_flushes_one_kick(void **state)
{
	struct pmem_bench *p = *state;
	unsigned seen = 0;
	uint32_t id;

	dax_guest_set(p->b, 0, MIB(2), 1);
	for (unsigned i = 0; i < 16; i += 2)
		offer(p, i, 0);
	driver_kick(&p->d, 0);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(answer(p, &id), 0);
		seen |= 1u << id;
	}
	assert_int_equal(seen, 0x5555);
	assert_in_range(p->b->takes, 1, 2);
	/* All requests came back: it goes on for ever. */
	for (unsigned i = 0; i < 2 * VQ_MAX_SIZE; i++)
		assert_int_equal(ask(p, 0), 0);
}

static void a_disk_that_fails_says_so(void **state)
{
	struct pmem_bench *p = *state;

	dax_guest_set(p->b, 0, 1, 1);
	p->b->refuse = -EIO;
	assert_int_equal(ask(p, 0), 1);
	p->b->refuse = 0;
	assert_int_equal(ask(p, 0), 0);
}

static void other_requests_are_errors(void **state)
{
	struct pmem_bench *p = *state;

	assert_int_equal(ask(p, 1), 1);
	assert_int_equal(ask(p, 0x01000000), 1);
	assert_int_equal(ask(p, 0xffffffff), 1);
	assert_int_equal(p->b->takes, 0);
	assert_int_equal(ask(p, 0), 0);
}

/* A type that is cut, or not there at all. */
static void a_short_request_is_an_error(void **state)
{
	struct pmem_bench *p = *state;
	struct ring *r = &p->d.rings[0];
	uint32_t id;

	for (unsigned n = 0; n < 4; n++) {
		offer(p, 0, 0);
		ring_desc(r, 0, REQ, n, D_NEXT, 1);
		driver_kick(&p->d, 0);
		assert_int_equal(answer(p, &id), 1);
	}
	*word(p, RESP) = NOTHING;
	ring_desc(r, 0, RESP, 64, D_WRITE, 0);
	ring_offer(r, 0);
	driver_kick(&p->d, 0);
	assert_int_equal(answer(p, &id), 1);
	assert_int_equal(p->b->takes, 0);
}

static void an_answer_in_pieces(void **state)
{
	struct pmem_bench *p = *state;
	struct ring *r = &p->d.rings[0];
	uint32_t id;

	offer(p, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		ring_desc(r, 1 + i, RESP + i, 1, D_WRITE | D_NEXT, 2 + i);
	ring_desc(r, 4, RESP + 3, 8, D_WRITE, 0);
	*word(p, RESP + 4) = NOTHING;
	driver_kick(&p->d, 0);
	assert_int_equal(answer(p, &id), 0);
	assert_int_equal(*word(p, RESP + 4), NOTHING); /* not a byte more */
}

static void expect_needs_reset(struct pmem_bench *p)
{
	driver_kick(&p->d, 0);
	assert_int_equal(driver_status(&p->d) & VIRTIO_STATUS_NEEDS_RESET,
			 VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(p->b->takes, 0);
	driver_start(&p->d, 0, 1, 16);
	assert_int_equal(ask(p, 0), 0);
	assert_int_equal(p->h.stops, 0);
	p->b->takes = 0;
}

static void hostile_chains(void **state)
{
	struct pmem_bench *p = *state;
	struct ring *r = &p->d.rings[0];

	offer(p, 0, 0); /* no room for an answer */
	ring_desc(r, 1, RESP, 3, D_WRITE, 0);
	expect_needs_reset(p);
	offer(p, 0, 0); /* none at all */
	ring_desc(r, 0, REQ, 4, 0, 0);
	expect_needs_reset(p);
	offer(p, 0, 0); /* writable before readable */
	ring_desc(r, 0, REQ, 4, D_NEXT | D_WRITE, 1);
	ring_desc(r, 1, RESP, 4, 0, 0);
	expect_needs_reset(p);
	offer(p, 0, 0); /* outside memory */
	ring_desc(r, 1, MIB(2), 4, D_WRITE, 0);
	expect_needs_reset(p);
	offer(p, 0, 0); /* past the end of the region */
	ring_desc(r, 1, START + MIB(4) - 2, 4, D_WRITE, 0);
	expect_needs_reset(p);
	offer(p, 0, 0); /* a loop */
	ring_desc(r, 1, RESP, 4, D_WRITE | D_NEXT, 0);
	expect_needs_reset(p);
}

/* A reset waits for the flush, and the answer goes nowhere after it. */
static void a_reset_in_the_middle(void **state)
{
	struct pmem_bench *p = *state;

	dax_guest_set(p->b, 0, MIB(2), 1);
	offer(p, 0, 0);
	driver_write(&p->d, R_NOTIFY, 2, 0);
	driver_write(&p->d, R_STATUS, 1, 0);
	for (unsigned i = 0; driver_status(&p->d) && i < 100; i++)
		(void)fake_host_wait(&p->h, 100);
	assert_int_equal(driver_status(&p->d), 0);
	driver_start(&p->d, 0, 1, 16);
	assert_int_equal(ask(p, 0), 0);
}

/* Nothing to keep: a flush is done at once. */
static void a_region_without_a_disk(void **state)
{
	struct pmem_bench *p = *state;
	struct ring *r = &p->d.rings[0];
	uint32_t id, written;

	offer(p, 0, 0);
	driver_kick(&p->d, 0);
	assert_true(ring_used(r, &id, &written));
	assert_int_equal(*word(p, RESP), 0);
	assert_int_equal(ask(p, 9), 1);
	assert_int_equal(virtio_pmem_settle(p->pmem), 0);
	assert_int_equal(virtio_pmem_settle(NULL), 0);
}

static void the_end_of_a_guest_is_a_flush(void **state)
{
	struct pmem_bench *p = *state;

	dax_guest_set(p->b, 0, 3 * 4096, 1);
	assert_int_equal(virtio_pmem_settle(p->pmem), 0);
	assert_int_equal(dax_written(p->b), 3);
	dax_guest_set(p->b, 0, 4096, 1);
	p->b->refuse = -ENOSPC;
	assert_int_equal(virtio_pmem_settle(p->pmem), -ENOSPC);
}

/* A file in the region as the buffer of another device's request. */
static void another_devices_buffer(void **state)
{
	struct pmem_bench *p = *state;
	struct virtio_rng rng;
	struct driver d;
	uint32_t id, written;
	uint8_t before[64];

	must(virtio_rng_init(&rng, &p->h.host) == 0);
	driver_attach(&d, &p->h, &rng.v);
	driver_start(&d, 0, 1, 16); /* over the first one's rings */
	memcpy(before, dax_bench_at(p->b, 4096), 64);
	ring_desc(&d.rings[0], 0, START + 4096, 64, D_WRITE, 0);
	ring_offer(&d.rings[0], 0);
	driver_kick(&d, 0);
	assert_true(ring_used(&d.rings[0], &id, &written));
	assert_int_equal(written, 64);
	assert_memory_not_equal(before, dax_bench_at(p->b, 4096), 64);
	virtio_rng_destroy(&rng);
	driver_start(&p->d, 0, 1, 16);
	assert_int_equal(ask(p, 0), 0);
	assert_int_equal(dax_written(p->b), 1); /* though no vCPU wrote it */
}

int main(void)
{
#define COW(f) cmocka_unit_test_setup_teardown(f, setup_cow, teardown)
#define RO(f)                                                                  \
	{                                                                      \
#f "/ro", f, setup_ro, teardown, NULL                          \
	}
	const struct CMUnitTest tests[] = {
		COW(identity),
		RO(identity),
		COW(a_flush_is_durable),
		COW(many_flushes_one_kick),
		COW(a_disk_that_fails_says_so),
		COW(other_requests_are_errors),
		RO(other_requests_are_errors),
		COW(a_short_request_is_an_error),
		COW(an_answer_in_pieces),
		COW(hostile_chains),
		RO(hostile_chains),
		COW(a_reset_in_the_middle),
		RO(a_region_without_a_disk),
		COW(the_end_of_a_guest_is_a_flush),
		COW(another_devices_buffer),
	};

	return cmocka_run_group_tests_name("virtio_pmem", tests, NULL, NULL);
}
