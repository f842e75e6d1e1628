/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies of one guest's RAM for its views: what each view reads, where it reads
 * it from, and what a write, a device, a limit and a failure do to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "memory/replica/ram_copies.h"
#include "tests/unit/support.h"

#define PAGES 64u
#define BYTES ((uint64_t)PAGES * PAGE_BYTES)
#define VIEWS 3u
#define LIMIT 4u

static int ram = -1;
static uint8_t *host, *raw; /* of devices; one that is in no way guarded */
static struct ram_copies *copies;
static uint64_t asked; /* requests of this test */
static _Atomic(int) failure;
static struct rlimit room; /* of mappings, as it was before it was taken away */

/* There is room again: what follows a failure is not to fail. */
static void when_failed(void *arg, int err)
{
	(void)arg;
	if (err == -ENOMEM)
		(void)setrlimit(RLIMIT_AS, &room);
	failure = err;
}

/* A new one for each test: its threads live until the process ends. */
static int start(bool scan, bool huge)
{
	struct ram_copies_spec s = { .bytes = BYTES,
				     .nr_views = VIEWS,
				     .limit = LIMIT,
				     .max_mappings = 1000,
				     .trial_ns = 1000000,
				     .backoff_ns = 1000,
				     .huge = huge,
				     .round_ns = scan ? 1000000 : 0,
				     .failed = when_failed };
	int err = ram_copies_probe();

	if (err)
		SKIP("no write-protection by userfaultfd: %s", strerror(-err));
	for (unsigned i = 0; i < VIEWS; i++)
		s.nodes[i] = NODE_AUTO;
	ram = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(ram, BYTES), 0);
	host = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ram, 0);
	raw = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ram, 0);
	for (unsigned i = 0; i < PAGES; i++)
		memset(raw + i * PAGE_BYTES, (int)i, PAGE_BYTES);
	s.ram_fd = ram;
	s.base = host;
	failure = 0;
	asked = 0;
	assert_int_equal(ram_copies_create(&s, &copies), 0);
	assert_int_equal(ram_copies_start(copies), 0);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return start(false, false);
}

static int setup_scanned(void **state)
{
	(void)state;
	return start(true, false);
}

static const bool yes = true, no;

static int setup_small(void **state)
{
	*state = (void *)(uintptr_t)&no;
	return start(false, false);
}

static int setup_huge(void **state)
{
	*state = (void *)(uintptr_t)&yes;
	return start(false, true);
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(failure, 0);
	return 0;
}

static volatile uint8_t *at(unsigned view, uint32_t page)
{
	return ram_copies_base(copies, view) + page * PAGE_BYTES;
}

static struct ram_copies_stats stats(void)
{
	struct ram_copies_stats s;

	ram_copies_read_stats(copies, &s);
	return s;
}

static void ask(uint64_t page, uint64_t on)
{
	ram_copies_ask(copies, page, on);
	asked++;
}

/* Whether the mapping at @p is one of copies. */
static bool is_copy(const volatile uint8_t *p)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	bool found = false;

	assert_non_null(f);
	while (!found && fgets(line, sizeof(line), f)) {
		unsigned long long first, end;

		if (sscanf(line, "%llx-%llx", &first, &end) == 2 &&
		    (uintptr_t)p >= first && (uintptr_t)p < end)
			found = strstr(line, "disco-copies") != NULL;
	}
	(void)fclose(f);
	return found;
}

/* How many mappings a view consists of. */
static unsigned mappings(unsigned view)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uintptr_t from = (uintptr_t)at(view, 0);
	char line[512];
	unsigned n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long long first, end;

		n += sscanf(line, "%llx-%llx", &first, &end) == 2 &&
		     end > from && first < from + BYTES;
	}
	(void)fclose(f);
	return n;
}

/* As often as its rest needs; no request is left over. */
static void replicate(uint32_t page, uint64_t views)
{
	for (unsigned i = 0; i < VIEWS; i++)
		WAIT_UNTIL(!(views >> i & 1) || is_copy(at(i, page)) ||
			   (ask(page, views), false));
	WAIT_UNTIL(stats().asked == asked);
}

static void all_show(uint32_t page, unsigned offset, uint8_t value)
{
	for (unsigned i = 0; i < VIEWS; i++)
		assert_int_equal(at(i, page)[offset], value);
	assert_int_equal(host[page * PAGE_BYTES + offset], value);
	assert_int_equal(raw[page * PAGE_BYTES + offset], value);
}

static void each_view_has_its_own(void **state)
{
	(void)state;
	replicate(5, 3);
	assert_true(is_copy(at(0, 5)) && is_copy(at(1, 5)));
	assert_false(is_copy(at(2, 5)) || is_copy(host + 5 * PAGE_BYTES));
	all_show(5, 100, 5);
	replicate(5, 4); /* one more */
	replicate(6, 7);
	WAIT_UNTIL(stats().shared == 2);
	for (unsigned i = 0; i < VIEWS; i++)
		WAIT_UNTIL(stats().now[i] == 2);
	all_show(5, 0, 5);
	all_show(6, 4095, 6);
	assert_int_equal(stats().collapsed, 0);
}

/* By a view with a copy, by one without, by the host, by the kernel for it. */
static void the_first_write_collapses(void **state)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		uint32_t page = 7 + i;

		replicate(page, 3);
		if (i < VIEWS)
			at(i, page)[9] = 77;
		else
			host[page * PAGE_BYTES + 9] = 77;
		all_show(page, 9, 77);
		all_show(page, 10, (uint8_t)page);
		for (unsigned v = 0; v < VIEWS; v++)
			assert_false(is_copy(at(v, page)));
	}
	WAIT_UNTIL(stats().shared == 0 && stats().collapsed == 4);
	replicate(20, 7);
	assert_int_equal(read(zero, host + 20 * PAGE_BYTES + 9, 16), 16);
	all_show(20, 9, 0);
	all_show(20, 8, 20);
	WAIT_UNTIL(stats().collapsed == 5);
	for (unsigned i = 0; i < VIEWS; i++) {
		assert_true(stats().writes[i] >= 1);
		assert_int_equal(stats().now[i], 0);
		assert_int_equal(stats().made[i], stats().dropped[i]);
	}
	/* The others ask, too, and are answered at once. */
	for (unsigned i = 0; i < VIEWS; i++)
		at(i, 20)[30 + i] = 1;
	all_show(20, 32, 1);
	(void)close(zero);
}

static void it_can_be_taken_back(void **state)
{
	(void)state;
	replicate(3, 7);
	WAIT_UNTIL(stats().shared == 1); /* figures come a little later */
	ask(3, 0);
	WAIT_UNTIL(stats().shared == 0);
	assert_false(is_copy(at(0, 3)));
	at(1, 3)[0] = 9;
	all_show(3, 0, 9);
	/* What is no page, or no view, is ignored. */
	ask(PAGES, 1);
	ask(UINT64_MAX, 0);
	ask(1, 1ull << VIEWS);
	replicate(4, 1);
}

/* A run of copies is one mapping; without copies so is all of a view. */
static void mappings_become_one_again(void **state)
{
	(void)state;
	assert_int_equal(mappings(0), 1);
	for (uint32_t p = 20; p < 20 + LIMIT; p++)
		replicate(p, 7);
	WAIT_UNTIL(stats().shared == LIMIT);
	for (unsigned i = 0; i < VIEWS; i++)
		assert_int_equal(mappings(i), 3);
	at(1, 22)[0] = 1;
	for (uint32_t p = 20; p < 20 + LIMIT; p++)
		ask(p, 0);
	WAIT_UNTIL(stats().shared == 0);
	for (unsigned i = 0; i < VIEWS; i++)
		assert_int_equal(mappings(i), 1);
}

/* Of the mapping that begins there: flags as in proc(5). */
static bool has_flag(const volatile uint8_t *p, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long long start, stop;
	bool in = false, found = false;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx ", &start, &stop) == 2)
			in = start == (uintptr_t)p;
		else if (in && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	(void)fclose(f);
	return found;
}

/* In each view, and for the host: each mapping has page tables of its own. */
static void all_ask_for_huge_pages(void **state)
{
	bool wanted = **(const bool **)state;

	if (wanted && madvise(raw, BYTES, MADV_HUGEPAGE) < 0)
		SKIP("no huge pages here: %s", strerror(errno));
	for (unsigned i = 0; i < VIEWS; i++)
		assert_int_equal(has_flag(at(i, 0), " hg"), wanted);
	assert_int_equal(has_flag(host, " hg"), wanted);
}

static void devices_come_first(void **state)
{
	uint64_t before;

	(void)state;
	/* Writes of a device that no page table stops. */
	replicate(11, 7);
	ram_copies_change(copies, 11 * PAGE_BYTES + 4000, 200);
	raw[11 * PAGE_BYTES + 4010] = 1;
	all_show(11, 4010, 1);
	for (unsigned i = 0; i < VIEWS; i++)
		assert_false(is_copy(at(i, 11)));
	/* They get none until it is over; their neighbours do. */
	before = stats().disproved;
	WAIT_UNTIL(stats().disproved > before + 3 || (ask(12, 7), false));
	replicate(13, 7);
	raw[12 * PAGE_BYTES] = 2;
	all_show(12, 0, 2);
	ram_copies_idle(copies);
	replicate(12, 7);
	all_show(12, 0, 2);
	/* A hole. */
	ram_copies_change(copies, 13 * PAGE_BYTES, PAGE_BYTES);
	assert_int_equal(fallocate(ram,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   13 * PAGE_BYTES, PAGE_BYTES),
			 0);
	ram_copies_idle(copies);
	all_show(13, 7, 0);
	at(2, 13)[7] = 5;
	all_show(13, 7, 5);
}

static void the_oldest_goes(void **state)
{
	(void)state;
	for (uint32_t p = 0; p < LIMIT + 3; p++) {
		replicate(p, 1);
		assert_true(stats().now[0] <= LIMIT);
	}
	WAIT_UNTIL(stats().reclaimed >= 3 && stats().now[0] == LIMIT);
	assert_false(is_copy(at(0, 0)));
	assert_true(is_copy(at(0, LIMIT + 2)));
	for (uint32_t p = 0; p < PAGES; p++)
		all_show(p, 1, (uint8_t)p);
}

/* Without being asked: what two views have touched, up to the limit. */
static void what_views_share_is_found(void **state)
{
	(void)state;
	(void)at(0, 8)[0];
	(void)at(2, 8)[0];
	for (uint32_t p = 10; p < 20; p++)
		(void)at(1, p)[0];
	WAIT_UNTIL(is_copy(at(0, 8)) && is_copy(at(2, 8)));
	assert_false(is_copy(at(1, 8)));
	for (uint32_t p = 10; p < 20; p++)
		assert_false(is_copy(at(1, p)));
	/* A write, and it comes again. */
	at(1, 8)[1] = 3;
	all_show(8, 1, 3);
	WAIT_UNTIL(is_copy(at(0, 8)) && is_copy(at(1, 8)) && is_copy(at(2, 8)));
	for (uint32_t p = 10; p < 20; p++)
		(void)at(0, p)[0];
	WAIT_UNTIL(stats().now[0] == LIMIT && stats().now[1] == LIMIT);
	assert_int_equal(stats().reclaimed, 0);
	assert_true(is_copy(at(0, 8)));
	assert_int_equal(stats().now[2], 1);
}

#ifndef __SANITIZE_THREAD__
static _Atomic(bool) reached;

static void *write_main(void *arg)
{
	struct rlimit none = { 0, 0 };

	(void)arg;
	none.rlim_max = room.rlim_max;
	/* From now on there is room for no mapping. */
	(void)setrlimit(RLIMIT_AS, &none);
	at(0, 1)[0] = 99;
	reached = true;
	return NULL;
}

static void *host_write_main(void *arg)
{
	(void)arg;
	host[PAGE_BYTES] = 98;
	return NULL;
}

/*
 * The copies cannot be removed: nobody writes, nobody reads otherwise, the I/O
 * thread goes on, and at the end so does the vCPU.
 */
static void a_failure_ends_it(void **state)
{
	pthread_t writer, io;

	(void)state;
	replicate(1, 7);
	reached = false;
	assert_int_equal(getrlimit(RLIMIT_AS, &room), 0);
	ram_copies_cut(copies); /* nothing has failed */
	assert_int_equal(pthread_create(&writer, NULL, write_main, NULL), 0);
	WAIT_UNTIL(failure);
	assert_int_equal(failure, -ENOMEM);
	all_show(1, 1, 1);
	assert_false(reached);
	assert_int_equal(pthread_create(&io, NULL, host_write_main, NULL), 0);
	(void)pthread_join(io, NULL);
	assert_int_equal(raw[PAGE_BYTES], 1);
	assert_false(reached);
	ram_copies_cut(copies);
	(void)pthread_join(writer, NULL);
	assert_int_equal(raw[PAGE_BYTES], 1);
	failure = 0;
}

#endif

static void what_cannot_be(void **state)
{
	struct ram_copies_spec s = { .bytes = BYTES, .nr_views = 0 };
	struct ram_copies *c = NULL;

	(void)state;
	assert_int_equal(ram_copies_create(&s, &c), -EINVAL);
	s.nr_views = RAM_COPIES_MAX_VIEWS + 1;
	assert_int_equal(ram_copies_create(&s, &c), -EINVAL);
	s.nr_views = 2;
	s.bytes = 100;
	assert_int_equal(ram_copies_create(&s, &c), -EINVAL);
	s.bytes = BYTES;
	s.ram_fd = -1;
	assert_true(ram_copies_create(&s, &c) < 0);
	assert_null(c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_view_has_its_own),
		TEST(the_first_write_collapses),
		TEST(it_can_be_taken_back),
		TEST(mappings_become_one_again),
		cmocka_unit_test_setup_teardown(mappings_become_one_again,
						setup_huge, teardown),
		cmocka_unit_test_setup_teardown(all_ask_for_huge_pages,
						setup_huge, teardown),
		cmocka_unit_test_setup_teardown(all_ask_for_huge_pages,
						setup_small, teardown),
		TEST(devices_come_first),
		TEST(the_oldest_goes),
		TEST(what_cannot_be),
		cmocka_unit_test_setup_teardown(what_views_share_is_found,
						setup_scanned, teardown),
#ifndef __SANITIZE_THREAD__ /* it needs mappings of its own */
		TEST(a_failure_ends_it),
#endif
	};

	return cmocka_run_group_tests_name("ram_copies", tests, NULL, NULL);
}
