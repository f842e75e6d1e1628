/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sources of accesses against fixtures: rings as perf's, made by hand, with IBS
 * samples that are good, cut, lost, and hostile; and recorded runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/sources/source_ibs.h"
#include "tests/unit/support.h"

#define RING PAGE_BYTES

/* Bits of IBS_OP_DATA3: AMD PPR. */
#define LOAD	   (1ull << 0)
#define STORE	   (1ull << 1)
#define DC_MISS	   (1ull << 7)
#define PHYS_VALID (1ull << 18)
#define L2_MISS	   (1ull << 20)
#define GOOD_LOAD  (LOAD | DC_MISS | PHYS_VALID | L2_MISS)

/* --- a ring --------------------------------------------------------------- */

static struct perf_event_mmap_page heads[2];
static uint8_t data[2][RING];
static struct access_source *source;

/* The body of a sample of IBS_SAMPLE_TYPE. */
struct __attribute__((packed)) sample_body {
	uint32_t pid, tid;
	uint64_t time;
	uint32_t cpu, reserved;
	uint32_t raw_bytes, caps;
	uint64_t regs[7];
};

static struct sample_body body_of(uint32_t cpu, uint64_t data3, uint64_t phys)
{
	return (struct sample_body){ .time = 77,
				     .cpu = cpu,
				     .raw_bytes = 4 + 7 * 8,
				     .regs = { [4] = data3, [6] = phys } };
}

static void put(unsigned ring, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i++)
		data[ring][heads[ring].data_head++ % RING] = b[i];
}

static void put_record(unsigned ring, uint32_t type, const void *body,
		       size_t len)
{
	struct perf_event_header h = { .type = type,
				       .size = (uint16_t)(sizeof(h) + len) };

	put(ring, &h, sizeof(h));
	put(ring, body, len);
}

static void put_sample(unsigned ring, uint32_t cpu, uint64_t data3,
		       uint64_t phys)
{
	struct sample_body b = body_of(cpu, data3, phys);

	put_record(ring, PERF_RECORD_SAMPLE, &b, sizeof(b));
}

static uint8_t home_of(void *arg, uint64_t frame)
{
	(void)arg;
	return frame < 100 ? 0 : frame < 200 ? 1 : ACCESS_NO_NODE;
}

static bool find(void *arg, uint64_t frame, uint32_t *vm, uint64_t *page)
{
	(void)arg;
	if (frame < 10)
		return false;
	*vm = 3;
	*page = frame - 10;
	return true;
}

static int make_ibs(void **state)
{
	const struct ibs_ring rings[2] = { { &heads[0], data[0], RING },
					   { &heads[1], data[1], RING } };
	static const uint8_t node_of[4] = { 0, 1, 1, ACCESS_NO_NODE };
	const struct ibs_source_config c = { .rings = rings,
					     .nr_rings = 2,
					     .weight = 50,
					     .node_of = node_of,
					     .nr_cpus = 4,
					     .home_of = home_of,
					     .find = find };

	(void)state;
	memset(heads, 0, sizeof(heads));
	return ibs_source_create(&source, &c);
}

static int end_source(void **state)
{
	(void)state;
	access_destroy(source);
	source = NULL;
	return 0;
}

static int read_all(struct access_record *out, unsigned max)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < 50; i++) {
		int got = access_read(source, out + nr, max - nr);

		assert_true(got >= 0);
		nr += (unsigned)got;
	}
	return (int)nr;
}

/* --- IBS ------------------------------------------------------------------ */

static void samples_become_records(void **state)
{
	struct access_record r[8];

	(void)state;
	put_sample(0, 1, GOOD_LOAD, 30 * PAGE_BYTES + 123);
	put_sample(1, 0, GOOD_LOAD | STORE, (1ull << 60) | 150 * PAGE_BYTES);
	assert_int_equal(read_all(r, 8), 2);
	assert_int_equal(r[0].time_ns, 77);
	assert_int_equal(r[0].vm, 3);
	assert_int_equal(r[0].page, 20);
	assert_int_equal(r[0].node, 1);
	assert_int_equal(r[0].home, 0);
	assert_int_equal(r[0].weight, 50);
	assert_int_equal(r[0].kind, POLICY_READ);
	assert_int_equal(r[0].class, ACCESS_MISS);
	assert_int_equal(r[1].page, 140); /* bits of no address are left out */
	assert_int_equal(r[1].kind, POLICY_WRITE);
	assert_int_equal(r[1].home, 1);
	assert_int_equal(source->lost, 0);
	assert_int_equal(heads[0].data_tail, heads[0].data_head);
}

static void what_does_not_count_is_left_out(void **state)
{
	struct access_record r[8];

	(void)state;
	put_sample(0, 1, GOOD_LOAD & ~PHYS_VALID, 30 * PAGE_BYTES);
	put_sample(0, 1, GOOD_LOAD & ~DC_MISS, 30 * PAGE_BYTES);
	put_sample(0, 1, GOOD_LOAD & ~L2_MISS, 30 * PAGE_BYTES);
	put_sample(0, 1, GOOD_LOAD & ~LOAD, 30 * PAGE_BYTES);
	assert_int_equal(read_all(r, 8), 0);
	assert_int_equal(source->strange, 0);
	put_sample(0, 3, GOOD_LOAD, 30 * PAGE_BYTES);  /* CPU of no node */
	put_sample(0, 99, GOOD_LOAD, 30 * PAGE_BYTES); /* no CPU */
	put_sample(0, 1, GOOD_LOAD, 5 * PAGE_BYTES);   /* of no VM */
	put_sample(0, 1, GOOD_LOAD, 300 * PAGE_BYTES); /* of no node */
	assert_int_equal(read_all(r, 8), 0);
	assert_int_equal(source->strange, 4);
	assert_int_equal(source->lost, 0);
}

static void lost_records_are_counted(void **state)
{
	const uint64_t lost[2] = { 1, 40 }, lost_samples = 2;
	struct access_record r[8];

	(void)state;
	put_record(0, PERF_RECORD_LOST, lost, sizeof(lost));
	put_record(1, PERF_RECORD_LOST_SAMPLES, &lost_samples, 8);
	put_record(1, PERF_RECORD_THROTTLE, lost, sizeof(lost));
	put_record(0, PERF_RECORD_LOST, lost, 8); /* cut */
	put_sample(0, 1, GOOD_LOAD, 30 * PAGE_BYTES);
	assert_int_equal(read_all(r, 8), 1);
	assert_int_equal(source->lost, 42);
}

static void cut_samples_are_lost(void **state)
{
	struct sample_body b = body_of(1, GOOD_LOAD, 30 * PAGE_BYTES);
	struct ibs_sample s;
	struct access_record r[8];

	(void)state;
	for (size_t len = 0; len < sizeof(b); len++)
		assert_int_equal(ibs_decode((uint8_t *)&b, len, &s), -EBADMSG);
	assert_int_equal(ibs_decode((uint8_t *)&b, sizeof(b), &s), 0);
	b.raw_bytes = 4 + 6 * 8; /* fewer registers than are needed */
	assert_int_equal(ibs_decode((uint8_t *)&b, sizeof(b), &s), -EBADMSG);
	b.raw_bytes = UINT32_MAX;
	assert_int_equal(ibs_decode((uint8_t *)&b, sizeof(b), &s), -EBADMSG);
	put_record(0, PERF_RECORD_SAMPLE, &b, sizeof(b));
	put_record(0, PERF_RECORD_SAMPLE, &b, 10);
	put_sample(0, 1, GOOD_LOAD, 30 * PAGE_BYTES);
	assert_int_equal(read_all(r, 8), 1);
	assert_int_equal(source->lost, 2);
}

/* Records that go on at the ring's beginning, for many rounds. */
static void rings_wrap_round(void **state)
{
	struct access_record r[64];
	uint64_t total = 0;

	(void)state;
	for (uint64_t i = 0; i < 2000; i++) {
		uint64_t frame = 10 + i % 90;

		put_sample(0, 1, GOOD_LOAD, frame * PAGE_BYTES);
		if (i % 40 != 39)
			continue;
		assert_int_equal(access_read(source, r, 25), 25);
		assert_int_equal(access_read(source, r + 25, 39), 15);
		for (unsigned k = 0; k < 40; k++)
			assert_int_equal(r[k].page, (i - 39 + k) % 90);
		total += 40;
	}
	assert_int_equal(total, 2000);
	assert_int_equal(source->lost, 0);
}

static void damaged_rings_are_left(void **state)
{
	struct perf_event_header h = { .type = PERF_RECORD_SAMPLE };
	struct access_record r[8];

	(void)state;
	put(0, &h, sizeof(h)); /* of no size: it would never end */
	put_sample(0, 1, GOOD_LOAD, 30 * PAGE_BYTES);
	assert_int_equal(read_all(r, 8), 0);
	assert_int_equal(source->lost, 1);
	h.size = 4000; /* beyond what there is */
	put(0, &h, sizeof(h));
	assert_int_equal(read_all(r, 8), 0);
	assert_int_equal(source->lost, 2);
	heads[0].data_head += 2 * RING; /* more than fits */
	assert_int_equal(read_all(r, 8), 0);
	assert_int_equal(source->lost, 3);
	put_sample(0, 1, GOOD_LOAD, 30 * PAGE_BYTES);
	assert_int_equal(read_all(r, 8), 1);
}

/* Whatever is in the ring: it is read to its end, and nothing else is. */
static void random_rings_do_no_harm(void **state)
{
	struct access_record r[16];

	(void)state;
	srandom(22);
	for (unsigned i = 0; i < 20000; i++) {
		for (unsigned k = 0; k < 64; k++)
			data[0][(unsigned)random() % RING] = (uint8_t)random();
		if (i % 3 == 0)
			put_sample(0, (uint32_t)random(),
				   (uint64_t)random() << 8 | (i & 0xff),
				   (uint64_t)random() << 20);
		heads[0].data_head += (uint64_t)random() % 300;
		for (unsigned k = 0; k < 100; k++) {
			int nr = access_read(source, r, 16);

			assert_true(nr >= 0 && nr <= 16);
			while (nr-- > 0)
				assert_true(r[nr].node < 2 && r[nr].home < 2);
			if (heads[0].data_head - heads[0].data_tail < 8)
				break;
		}
		assert_true(heads[0].data_head - heads[0].data_tail < 8);
	}
}

static void wrong_configurations_are_refused(void **state)
{
	struct ibs_ring ring = { &heads[0], data[0], RING };
	struct ibs_source_config c = { .rings = &ring,
				       .nr_rings = 1,
				       .weight = 1 };
	struct access_source *s;

	(void)state;
	c.nr_rings = 0;
	assert_int_equal(ibs_source_create(&s, &c), -EINVAL);
	c.nr_rings = 1;
	c.nr_cpus = IBS_MAX_CPUS + 1;
	assert_int_equal(ibs_source_create(&s, &c), -EINVAL);
	c.nr_cpus = 0;
	ring.bytes = RING + 1;
	assert_int_equal(ibs_source_create(&s, &c), -EINVAL);
}

#define IBS_TEST(name)                                                         \
	cmocka_unit_test_setup_teardown(name, make_ibs, end_source)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IBS_TEST(samples_become_records),
		IBS_TEST(what_does_not_count_is_left_out),
		IBS_TEST(lost_records_are_counted),
		IBS_TEST(cut_samples_are_lost),
		IBS_TEST(rings_wrap_round),
		IBS_TEST(damaged_rings_are_left),
		IBS_TEST(random_rings_do_no_harm),
		cmocka_unit_test(wrong_configurations_are_refused),
	};

	return cmocka_run_group_tests_name("sources", tests, NULL, NULL);
}
