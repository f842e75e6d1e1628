/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sources of accessed bits: DAMON's regions, good and hostile; and idle pages,
 * with a file for the kernel's bitmap and a clock of the test's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/sources/source_damon.h"
#include "memory/sources/source_idle.h"
#include "tests/unit/support.h"

#define PAGES	10000u
#define RECORDS 4096u
#define MS	1000000ull

static struct heat_map *heat;
static struct idle_vm *idle;
static struct access_source *source;
static struct access_record out[RECORDS];
static uint64_t now_ns, strange;
static uint8_t vm_node;
static int bitmap = -1;
static uint64_t frame_moved; /* a page that is in another frame; 0: none */

static unsigned fake_nr_vms(void *arg)
{
	(void)arg;
	return 2;
}

/* Nothing is known of VM 0. */
static struct heat_map *fake_heat_of(void *arg, unsigned vm)
{
	(void)arg;
	return vm ? heat : NULL;
}

static uint8_t fake_node_of_vm(void *arg, unsigned vm)
{
	(void)arg;
	(void)vm;
	return vm_node;
}

/* Pages from 9000 on are not mapped; the others are on node page % 4. */
static void fake_homes_of(void *arg, unsigned vm, const uint64_t *pages,
			  unsigned nr, uint8_t *homes)
{
	(void)arg;
	(void)vm;
	assert_true(nr && nr <= SOURCE_BITS_BATCH);
	for (unsigned i = 0; i < nr; i++) {
		assert_true(pages[i] < PAGES);
		homes[i] = pages[i] < 9000 ? (uint8_t)(pages[i] % 4)
					   : ACCESS_NO_NODE;
	}
}

static uint64_t fake_now_ns(void *arg)
{
	(void)arg;
	return now_ns;
}

static struct idle_vm *fake_looks_of(void *arg, unsigned vm, uint64_t *pages)
{
	(void)arg;
	*pages = PAGES;
	return &idle[vm];
}

/* A word of the bitmap for each page: the file does not OR, as the kernel does. */
static uint64_t frame_of(uint64_t page)
{
	return (page + 1) * 64;
}

/* VM 0 has none; pages % 10 are not mapped. */
static void fake_frames_of(void *arg, unsigned vm, const uint64_t *pages,
			   unsigned nr, uint64_t *frames)
{
	(void)arg;
	assert_true(nr && nr <= IDLE_BATCH);
	for (unsigned i = 0; i < nr; i++) {
		frames[i] = vm && pages[i] % 10 ? frame_of(pages[i]) : 0;
		if (pages[i] == frame_moved)
			frames[i] += 3;
	}
}

static const struct damon_source_config damon_config = {
	.nr_vms = fake_nr_vms,
	.heat_of = fake_heat_of,
	.node_of_vm = fake_node_of_vm,
	.homes_of = fake_homes_of,
	.now_ns = fake_now_ns,
};

static int set_up(void **state)
{
	(void)state;
	heat = calloc(1, sizeof(*heat));
	idle = calloc(2, sizeof(*idle));
	now_ns = 5000 * MS;
	strange = 0;
	vm_node = 2;
	frame_moved = 0;
	return damon_source_create(&source, &damon_config);
}

static int tear_down(void **state)
{
	(void)state;
	access_destroy(source);
	free(heat);
	free(idle);
	if (bitmap >= 0)
		(void)close(bitmap);
	bitmap = -1;
	return 0;
}

static void region(uint64_t page, uint32_t pages, uint32_t accesses)
{
	const struct heat_region r = { page, pages, accesses };

	heat_map_add(heat, &r, 1, PAGES, &strange);
}

/* --- DAMON ---------------------------------------------------------------- */

static void a_region_is_records_of_its_pages(void **state)
{
	(void)state;
	region(10, 5, 20);
	region(15, 100, 0);
	region(500, 2, 1);
	assert_int_equal(access_read(source, out, RECORDS), 0); /* not ended */
	heat_map_end(heat, 200 * MS);
	assert_int_equal(access_read(source, out, RECORDS), 7);
	assert_int_equal(out[0].page, 10);
	assert_int_equal(out[4].page, 14);
	assert_int_equal(out[5].page, 500);
	assert_int_equal(out[0].vm, 1);
	assert_int_equal(out[0].weight, 10); /* of 100 ms */
	assert_int_equal(out[5].weight, 1);
	assert_int_equal(out[0].class, ACCESS_BIT);
	assert_int_equal(out[0].kind, POLICY_UNKNOWN);
	assert_int_equal(out[0].counted, 0);
	assert_int_equal(out[0].vcpu, ACCESS_NO_VCPU);
	assert_int_equal(out[0].node, 2);
	assert_int_equal(out[0].home, 2);
	assert_int_equal(out[1].home, 3);
	assert_int_equal(out[0].time_ns, now_ns);
	assert_int_equal(access_read(source, out, RECORDS), 0);
	assert_int_equal(source->strange, 0);
}

/* vCPUs on several nodes: what, and not who. */
static void who_is_not_known(void **state)
{
	(void)state;
	vm_node = ACCESS_NO_NODE;
	region(10, 1, 20);
	heat_map_end(heat, 200 * MS);
	assert_int_equal(access_read(source, out, RECORDS), 1);
	assert_int_equal(out[0].node, ACCESS_NO_NODE);
	assert_int_equal(out[0].home, 2);
}

static void pages_without_a_home_are_left_out(void **state)
{
	(void)state;
	region(8998, 4, 20);
	heat_map_end(heat, 200 * MS);
	assert_int_equal(access_read(source, out, RECORDS), 2);
	assert_int_equal(source->strange, 2);
}

/* Few of many, the same in two snapshots, others in the next. */
static void not_all_of_many(void **state)
{
	uint64_t first[4] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		int nr;

		region(0, 4500, 20);
		region(4500, 4500, 10);
		heat_map_end(heat, 200 * MS);
		nr = access_read(source, out, RECORDS);
		assert_true(nr > 500 && nr <= (int)HEAT_PAGES + 2);
		first[i] = out[0].page;
		for (int j = 1; j < nr; j++)
			assert_true(out[j].page > out[j - 1].page);
	}
	assert_int_equal(first[0], first[1]);
	assert_int_equal(first[2], first[3]);
	assert_int_not_equal(first[0], first[2]);
}

/* Little room: what is left comes with the next read. */
static void a_little_at_a_time(void **state)
{
	unsigned seen = 0;
	int nr;

	(void)state;
	region(100, 300, 5);
	heat_map_end(heat, 200 * MS);
	while ((nr = access_read(source, out, 7)) > 0)
		for (int i = 0; i < nr; i++)
			assert_int_equal(out[i].page, 100 + seen++);
	assert_int_equal(seen, 300);
}

static void hostile_regions(void **state)
{
	static const struct heat_region bad[] = {
		{ PAGES, 1, 1 },
		{ 0, PAGES + 1, 1 },
		{ UINT64_MAX, 1, 1 },
		{ 1, 0, 1 },
		{ UINT64_MAX - 1, 100, 1 },
		{ 9999, 2, 1 },
	};

	(void)state;
	heat_map_add(heat, bad, ARRAY_SIZE(bad), PAGES, &strange);
	assert_int_equal(strange, ARRAY_SIZE(bad));
	region(50, 10, 1);
	region(59, 10, 1); /* overlaps */
	region(10, 10, 1); /* goes back */
	assert_int_equal(strange, ARRAY_SIZE(bad) + 2);
	heat_map_end(heat, 1);
	assert_int_equal(access_read(source, out, RECORDS), 10);
	assert_int_equal(out[0].weight, 128); /* at most */
	/* More than there is room for. */
	strange = 0;
	for (unsigned i = 0; i < HEAT_REGIONS + 5; i++)
		region(i, 1, 20);
	assert_int_equal(strange, 5);
	heat_map_end(heat, UINT64_MAX);
	assert_int_equal(access_read(source, out, RECORDS), HEAT_REGIONS);
	assert_int_equal(out[0].weight, 1);
	/* And none at all. */
	heat_map_end(heat, 200 * MS);
	assert_int_equal(access_read(source, out, RECORDS), 0);
}

/* --- idle pages ----------------------------------------------------------- */

static int set_up_idle(void **state)
{
	struct idle_source_config c = { .nr_vms = fake_nr_vms,
					.looks_of = fake_looks_of,
					.frames_of = fake_frames_of,
					.node_of_vm = fake_node_of_vm,
					.homes_of = fake_homes_of,
					.now_ns = fake_now_ns,
					.rate = 1000,
					.share = 500 };

	assert_int_equal(set_up(state), 0);
	access_destroy(source);
	bitmap = memfd_create("bitmap", MFD_CLOEXEC);
	assert_return_code(ftruncate(bitmap, (PAGES + 2) * 8), errno);
	c.fd = bitmap;
	return idle_source_create(&source, &c);
}

/* Whether a frame is marked; and, if wanted, it is accessed. */
static bool marked(uint64_t frame, bool access)
{
	off_t at = (off_t)(frame / 64 * 8);
	uint64_t word;
	bool was;

	assert_int_equal(pread(bitmap, &word, 8, at), 8);
	was = word >> frame % 64 & 1;
	if (access) {
		word &= ~(1ull << frame % 64);
		assert_int_equal(pwrite(bitmap, &word, 8, at), 8);
	}
	return was;
}

/* Reads by the test's clock; the first one begins the looks. */
static int later(uint64_t ms)
{
	now_ns += ms * MS;
	return access_read(source, out, RECORDS);
}

static void begin_looks(void)
{
	assert_int_equal(later(0), 0);
	assert_int_equal(later(50), 0);
	assert_true(idle[1].nr > 30 && idle[1].nr <= 50);
	assert_int_equal(idle[0].nr, 0); /* no frames */
}

static void pages_that_are_accessed_are_records(void **state)
{
	uint64_t page;

	(void)state;
	begin_looks();
	page = idle[1].looks[idle[1].first].page;
	assert_true(page % 10);
	assert_true(marked(frame_of(page), true));
	assert_int_equal(later(19), 0);
	assert_int_equal(later(1), page < 9000);
	if (page < 9000) {
		assert_int_equal(out[0].page, page);
		assert_int_equal(out[0].vm, 1);
		assert_int_equal(out[0].weight, 5);
		assert_int_equal(out[0].class, ACCESS_BIT);
		assert_int_equal(out[0].kind, POLICY_UNKNOWN);
		assert_int_equal(out[0].node, 2);
		assert_int_equal(out[0].home, page % 4);
	}
	/* A second look, and no third. */
	assert_true(marked(frame_of(page), true));
	assert_int_equal(later(20), page < 9000);
	assert_false(marked(frame_of(page), false));
}

static void pages_that_moved_are_left_out(void **state)
{
	(void)state;
	begin_looks();
	frame_moved = idle[1].looks[idle[1].first].page;
	(void)marked(frame_of(frame_moved), true);
	assert_int_equal(later(20), 0);
	assert_int_equal(source->strange, 0);
}

static void nobody_accesses(void **state)
{
	(void)state;
	begin_looks();
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(later(20), 0);
	assert_true(idle[1].nr <= IDLE_LOOKS);
}

static void the_bitmap_ends(void **state)
{
	(void)state;
	begin_looks();
	assert_return_code(ftruncate(bitmap, 100), errno);
	assert_int_equal(later(20), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_region_is_records_of_its_pages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_is_not_known, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			pages_without_a_home_are_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(not_all_of_many, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_little_at_a_time, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(hostile_regions, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			pages_that_are_accessed_are_records, set_up_idle,
			tear_down),
		cmocka_unit_test_setup_teardown(pages_that_moved_are_left_out,
						set_up_idle, tear_down),
		cmocka_unit_test_setup_teardown(nobody_accesses, set_up_idle,
						tear_down),
		cmocka_unit_test_setup_teardown(the_bitmap_ends, set_up_idle,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
