/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DAMON of this machine's kernel, where it may be used: memory of this process of
 * which one part is accessed all the time, and the rest never.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/sampling/damon.h"
#include "memory/sampling/sysfs_file.h"
#include "tests/unit/support.h"

#define BYTES MIB(64)
#define HOT   MIB(8)

static const struct damon_limits limits = { .regions = 100, .sample_us = 5000 };
static struct damon_region out[100];
static volatile char *memory;

static void touch(uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i += PAGE_BYTES)
		memory[i]++;
}

/* Of a range: looks that found an access, by bytes. */
static uint64_t accesses(int nr, uint64_t from, uint64_t to)
{
	uint64_t sum = 0, base = (uintptr_t)memory;

	for (int i = 0; i < nr; i++) {
		uint64_t start = max_u64(out[i].start, base + from);
		uint64_t end = min_u64(out[i].start + out[i].bytes, base + to);

		if (start < end)
			sum += (end - start) / PAGE_BYTES * out[i].accesses;
	}
	return sum * PAGE_BYTES / (to - from);
}

static void what_is_used_is_found(void **state)
{
	struct damon_target t = { .pid = getpid(), .bytes = BYTES };
	uint64_t strange = 0, end = wait_end_ns(), hot = 0, cold = 1, left = 1;
	struct diag d = { 0 };
	struct damon *damon;
	unsigned slot;
	int err;

	(void)state;
	if (damon_probe(DAMON_ROOT, &d))
		SKIP("%s", d.text);
	memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	touch(BYTES);
	t.start = (uintptr_t)memory;
	assert_int_equal(damon_open(&damon, DAMON_ROOT, &limits, NULL, &d), 0);
	err = damon_start(damon, &t, &slot);
	/* The first snapshots have few regions: until they are divided. */
	while (!err && (hot < DAMON_SAMPLES / 2 || cold > hot / 4) &&
	       clock_now_ns() < end) {
		uint64_t until = clock_now_ns() + 500000000;
		int nr;

		while (clock_now_ns() < until)
			touch(HOT);
		nr = damon_read(damon, slot, out, ARRAY_SIZE(out), &strange);
		if (nr < 0) {
			err = nr;
			break;
		}
		hot = accesses(nr, 0, HOT);
		cold = accesses(nr, 2 * HOT, BYTES);
		print_message("[          ] %d regions: %u of %u looks, and %u "
			      "elsewhere\n",
			      nr, (unsigned)hot, DAMON_SAMPLES, (unsigned)cold);
	}
	damon_close(damon);
	assert_int_equal(err, 0);
	assert_true(hot >= DAMON_SAMPLES / 2);
	assert_true(cold <= hot / 4);
	assert_int_equal(strange, 0);
	assert_int_equal(sysfs_get_number(DAMON_ROOT "/nr_kdamonds", &left), 0);
	assert_int_equal(left, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_used_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
