/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Views of one segment in this process, with the kernel's own protection: what
 * each of them reads and may write while pages are replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "memory/replica/segment_map.h"
#include "tests/unit/support.h"

#define PAGES 64u
#define BYTES ((uint64_t)PAGES * PAGE_BYTES)

static int segment = -1, replica = -1;
static uint8_t *all; /* the segment, unprotected */
/* A new one for each test: its waiter waits until the process ends. */
static struct segment_map *map;
static pthread_t waiter;
static _Atomic(uint64_t) faults, last_fault, handled;

static void set_shown(uint32_t page, bool on)
{
	uint64_t bit = 1ull << (page % 64);

	map->shown[page / 64] = on ? map->shown[page / 64] | bit
				   : map->shown[page / 64] & ~bit;
}

static void show(uint32_t page)
{
	assert_int_equal(segment_map_show(map, page), 0);
	set_shown(page, true);
}

static struct holder_range hide(uint32_t page)
{
	struct holder_range r = { 0, 0 };

	assert_int_equal(segment_map_hide(map, page, &r), 0);
	assert_true(r.first <= page && page < r.first + r.nr);
	for (uint32_t p = r.first; p < r.first + r.nr; p++)
		set_shown(p, false);
	return r;
}

static void *wait_main(void *arg)
{
	struct segment_map *m = arg;
	uint64_t page;

	while (segment_map_wait(m, &page) == 0) {
		last_fault = page;
		faults++;
	}
	return NULL;
}

/* What the other thread's write waits for. */
static void *allow_main(void *arg)
{
	uint64_t seen = 0;

	(void)arg;
	while (seen != UINT64_MAX) {
		if (faults == seen) {
			(void)usleep(100);
			continue;
		}
		seen = faults;
		if (last_fault == PAGES - 1)
			return NULL;
		if (map->shown[0] >> last_fault & 1)
			(void)hide((uint32_t)last_fault);
		segment_map_allow(map, (uint32_t)last_fault, 1);
		handled = seen;
	}
	return NULL;
}

static int setup(void **state)
{
	char path[32];
	int err, rw;

	(void)state;
	err = segment_map_probe();
	if (err)
		SKIP("no write-protection by userfaultfd: %s", strerror(-err));
	segment = memfd_create("segment", MFD_CLOEXEC);
	rw = memfd_create("replica", MFD_CLOEXEC);
	assert_int_equal(ftruncate(segment, BYTES), 0);
	assert_int_equal(ftruncate(rw, BYTES), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", rw);
	replica = open(path, O_RDONLY | O_CLOEXEC);
	all = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, segment, 0);
	for (unsigned i = 0; i < PAGES; i++) {
		uint8_t page[PAGE_BYTES];

		memset(all + i * PAGE_BYTES, (int)i, PAGE_BYTES);
		/* Other contents, to see which of the two is shown. */
		memset(page, (int)(100 + i), sizeof(page));
		assert_int_equal(
			pwrite(rw, page, sizeof(page), (off_t)i * PAGE_BYTES),
			PAGE_BYTES);
	}
	(void)close(rw);
	map = calloc(1, sizeof(*map));
	assert_non_null(map);
	assert_int_equal(segment_map_create(map, segment, BYTES, true), 0);
	segment_map_set_replicas(map, replica);
	faults = last_fault = handled = 0;
	assert_int_equal(pthread_create(&waiter, NULL, wait_main, map), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)pthread_detach(waiter);
	(void)munmap(all, BYTES);
	(void)close(segment);
	return 0;
}

static void pages_come_and_go(void **state)
{
	(void)state;
	for (uint32_t p = 8; p < 16; p++)
		show(p);
	for (uint32_t p = 0; p < PAGES; p++)
		assert_int_equal(map->base[p * PAGE_BYTES + 7],
				 p >= 8 && p < 16 ? 100 + p : p);
	assert_int_equal(map->nr_runs, 1);
	(void)hide(10);
	assert_int_equal(map->nr_runs, 2);
	assert_int_equal(map->base[10 * PAGE_BYTES], 10);
	show(10);
	assert_int_equal(map->nr_runs, 1);
	for (uint32_t p = 8; p < 16; p++)
		(void)hide(p);
	assert_int_equal(map->nr_runs, 0);
	assert_int_equal(faults, 0);
	assert_int_equal(map->base[15 * PAGE_BYTES], 15);
}

/* Mappings that the map consists of, as the kernel counts them. */
static unsigned mappings(void)
{
	uintptr_t base = (uintptr_t)map->base, start;
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[256];
	unsigned nr = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		start = (uintptr_t)strtoull(line, NULL, 16);
		nr += start >= base && start < base + BYTES;
	}
	(void)fclose(maps);
	return nr;
}

/* Whoever writes here and there cannot use up the mappings of a process. */
static void runs_have_a_bound(void **state)
{
	struct holder_range r;

	(void)state;
	map->max_runs = 2;
	for (uint32_t p = 8; p < 60; p++)
		show(p);
	r = hide(12);
	assert_int_equal(r.nr, 1);
	assert_int_equal(map->nr_runs, 2);
	/* A third one: the shorter end goes, on either side. */
	r = hide(20);
	assert_int_equal(r.first, 13);
	assert_int_equal(r.nr, 8);
	r = hide(50);
	assert_int_equal(r.first, 50);
	assert_int_equal(r.nr, 10);
	assert_int_equal(map->nr_runs, 2);
	/* At an end of a run there is always room. */
	r = hide(49);
	assert_int_equal(r.nr, 1);
	for (uint32_t p = 22; p < 49; p += 2) {
		if (map->shown[0] >> p & 1)
			(void)hide(p);
		assert_true(map->nr_runs <= 2);
		assert_true(mappings() <= 2 * 2 + 1);
	}
	for (uint32_t p = 0; p < PAGES; p++)
		assert_int_equal(map->base[p * PAGE_BYTES + 7],
				 map->shown[0] >> p & 1 ? 100 + p : p);
	/* What was hidden with it is protected, too. */
	assert_true(map->shown[0] >> 9 & 1);
	assert_false(map->shown[0] >> 15 & 1);
	assert_int_equal(faults, 0);
}

/* The other thread has done with it: it knows the map no more. */
static void wait_handled(void)
{
	WAIT_UNTIL(handled == faults);
}

/* By this process, and by the kernel for it: of either kind of page. */
static void writes_wait(void **state)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	pthread_t allower;

	(void)state;
	for (uint32_t p = 8; p < 12; p++)
		show(p);
	assert_int_equal(pthread_create(&allower, NULL, allow_main, NULL), 0);
	map->base[9 * PAGE_BYTES + 5] = 77; /* a replica */
	assert_int_equal(faults, 1);
	assert_int_equal(all[9 * PAGE_BYTES + 5], 77);
	assert_int_equal(map->base[9 * PAGE_BYTES], 9);
	map->base[3 * PAGE_BYTES] = 78; /* the segment */
	assert_int_equal(faults, 2);
	assert_int_equal(all[3 * PAGE_BYTES], 78);
	assert_int_equal(read(zero, map->base + 10 * PAGE_BYTES, 16), 16);
	wait_handled();
	assert_int_equal(faults, 3);
	assert_int_equal(all[10 * PAGE_BYTES], 0);
	/* Allowed once is allowed. */
	map->base[3 * PAGE_BYTES + 1] = 79;
	assert_int_equal(faults, 3);
	/* Until it is protected again. */
	assert_int_equal(segment_map_protect(map, 0, PAGES), 0);
	map->base[3 * PAGE_BYTES + 1] = 80;
	wait_handled();
	assert_int_equal(faults, 4);
	/* One range over several mappings. */
	show(20);
	segment_map_allow(map, 21, PAGES - 21);
	segment_map_allow(map, 0, 9);
	map->base[0] = map->base[30 * PAGE_BYTES] = 81;
	assert_int_equal(faults, 4);
	last_fault = PAGES - 1;
	faults++;
	(void)pthread_join(allower, NULL);
	(void)close(zero);
}

/* While it is replaced over and over, it is one of the two, and protected. */
static _Atomic(bool) stop;
static _Atomic(uint64_t) looks, wrong;

static void *look_main(void *arg)
{
	const volatile uint8_t *at = map->base + 5 * PAGE_BYTES;

	(void)arg;
	while (!stop) {
		uint8_t v = at[33];

		looks++;
		wrong += v != 5 && v != 105;
	}
	return NULL;
}

static void *write_main(void *arg)
{
	(void)arg;
	map->base[5 * PAGE_BYTES + 34] = 99;
	return NULL;
}

static void replacement_is_atomic(void **state)
{
	pthread_t reader, writer;

	(void)state;
	stop = false;
	looks = wrong = 0;
	show(4);
	assert_int_equal(pthread_create(&reader, NULL, look_main, NULL), 0);
	assert_int_equal(pthread_create(&writer, NULL, write_main, NULL), 0);
	for (unsigned i = 0; i < 3000 || looks < 1000; i++) {
		show(5);
		(void)hide(5);
		assert_int_equal(all[5 * PAGE_BYTES + 34], 5);
	}
	stop = true;
	(void)pthread_join(reader, NULL);
	assert_int_equal(wrong, 0);
	segment_map_allow(map, 5, 1);
	(void)pthread_join(writer, NULL);
	assert_int_equal(all[5 * PAGE_BYTES + 34], 99);
}

static void devices_are_respected(void **state)
{
	(void)state;
	segment_map_allow(map, 0, PAGES);
	segment_map_busy(map, 2 * PAGE_BYTES + 4000, 200);
	assert_int_equal(segment_map_protect(map, 1, 1), 0);
	assert_int_equal(segment_map_protect(map, 2, 1), -EBUSY);
	assert_int_equal(segment_map_protect(map, 3, 1), -EBUSY);
	map->base[2 * PAGE_BYTES] = 1; /* not protected */
	segment_map_idle(map);
	assert_int_equal(segment_map_protect(map, 2, 1), 0);
	assert_int_equal(faults, 0);
}

static bool all_idle(const struct segment_map *m)
{
	for (size_t w = 0; w < HOLDER_WORDS(m->bytes / PAGE_BYTES); w++)
		if (m->busy[w])
			return false;
	return true;
}

/* One page at each end, and then none: CPU time of the least of some rounds. */
static uint64_t ends_ns(struct segment_map *m)
{
	uint64_t best = UINT64_MAX;
	struct timespec from, to;

	for (unsigned round = 0; round < 10; round++) {
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
		for (unsigned i = 0; i < 100; i++) {
			segment_map_busy(m, 0, 1);
			segment_map_busy(m, m->bytes - 1, 1);
			segment_map_idle(m);
		}
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
		best = min_u64(best, (uint64_t)(to.tv_sec - from.tv_sec) *
						     1000000000u +
					     (uint64_t)to.tv_nsec -
					     (uint64_t)from.tv_nsec);
	}
	assert_true(all_idle(m));
	return best;
}

/* Marks cost what they are, and not what the segment is. */
static void marks_are_taken_back(void **state)
{
	const uint64_t bytes = GIB(4);
	struct segment_map large = { .base = NULL };
	int fd = memfd_create("large", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(segment_map_create(&large, fd, bytes, true), 0);
	assert_true(ends_ns(&large) < 20 * ends_ns(map));
	/* Whole words, parts of them, and more than are known one by one. */
	segment_map_busy(&large, 60 * PAGE_BYTES + 1, 70 * PAGE_BYTES);
	assert_int_equal(large.busy[0], 0xfull << 60);
	assert_int_equal(large.busy[1], UINT64_MAX);
	assert_int_equal(large.busy[2], 7);
	for (uint64_t at = 0; at < bytes; at += MIB(1))
		segment_map_busy(&large, at + 5 * PAGE_BYTES, PAGE_BYTES);
	segment_map_idle(&large);
	assert_true(all_idle(&large));
	segment_map_busy(&large, bytes - PAGE_BYTES, PAGE_BYTES);
	assert_int_equal(large.busy[bytes / PAGE_BYTES / 64 - 1], 1ull << 63);
	segment_map_idle(&large);
	assert_true(all_idle(&large));
	segment_map_destroy(&large);
	(void)close(fd);
}

static void a_cut_view_reaches_nobody(void **state)
{
	pthread_t writer;

	(void)state;
	show(5);
	assert_int_equal(pthread_create(&writer, NULL, write_main, NULL), 0);
	WAIT_UNTIL(faults);
	segment_map_cut(map);
	(void)pthread_join(writer, NULL);
	map->base[0] = 200;
	assert_int_equal(all[0], 0);
	assert_int_equal(all[5 * PAGE_BYTES + 34], 5);
}

static void what_cannot_be_shown(void **state)
{
	(void)state;
	segment_map_set_replicas(map, -1);
	assert_int_equal(segment_map_show(map, 1), -EBADF);
	map->nr_runs = SEGMENT_MAP_RUNS;
	segment_map_set_replicas(map, open("/dev/null", O_RDONLY | O_CLOEXEC));
	assert_int_equal(segment_map_show(map, 1), -ENOSPC);
	map->nr_runs = 0;
	assert_true(segment_map_show(map, 1) < 0);
	assert_int_equal(map->base[PAGE_BYTES], 1);
}

/* Whatever there is of it. */
static void maps_are_released(void **state)
{
	struct segment_map m = { .base = NULL };

	(void)state;
	segment_map_destroy(&m);
	assert_int_equal(segment_map_create(&m, segment, BYTES, true), 0);
	segment_map_destroy(&m);
	assert_int_equal(segment_map_create(&m, segment, BYTES, false), 0);
	m.base[3 * PAGE_BYTES] = 4; /* nobody protects it */
	assert_int_equal(all[3 * PAGE_BYTES], 4);
	segment_map_destroy(&m);
	assert_true(segment_map_create(&m, -1, BYTES, true) < 0);
	segment_map_destroy(&m);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pages_come_and_go),	 TEST(writes_wait),
		TEST(replacement_is_atomic),	 TEST(devices_are_respected),
		TEST(a_cut_view_reaches_nobody), TEST(what_cannot_be_shown),
		TEST(maps_are_released),	 TEST(runs_have_a_bound),
		TEST(marks_are_taken_back),
	};

	return cmocka_run_group_tests_name("segment_map", tests, NULL, NULL);
}
