/* SPDX-License-Identifier: BSD-2-Clause */
/* Which pages are worth a copy, and for whom, by this process's page tables. */
#include <fcntl.h>
#include <numaif.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/replica/copies_scan.h"
#include "tests/unit/support.h"

#define PAGES 700u /* more than one call looks at */
#define BYTES ((uint64_t)PAGES * PAGE_BYTES)
#define VIEWS 3u

static int ram = -1;
static uint8_t *view[VIEWS];
static uint64_t shown[VIEWS][(PAGES + 63) / 64];
static struct copies_scan scan;
static struct copies_found found[COPIES_SCAN_PAGES];

static int setup(void **state)
{
	(void)state;
	ram = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(ram, BYTES), 0);
	scan = (struct copies_scan){ .nr_views = VIEWS, .nr_pages = PAGES };
	scan.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	assert_true(scan.pagemap >= 0);
	memset(shown, 0, sizeof(shown));
	for (unsigned v = 0; v < VIEWS; v++) {
		view[v] = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			       ram, 0);
		assert_ptr_not_equal(view[v], MAP_FAILED);
		/* One page at a time is mapped, and no neighbours. */
		assert_int_equal(madvise(view[v], BYTES, MADV_RANDOM), 0);
		scan.base[v] = view[v];
		scan.shown[v] = shown[v];
		scan.nodes[v] = NODE_AUTO;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned v = 0; v < VIEWS; v++)
		(void)munmap(view[v], BYTES);
	(void)close(scan.pagemap);
	(void)close(ram);
	return 0;
}

static void touch(unsigned v, unsigned page)
{
	*(volatile uint8_t *)(view[v] + page * PAGE_BYTES) = 1;
}

static void show(unsigned v, unsigned page)
{
	shown[v][page / 64] |= 1ull << (page % 64);
}

static void what_two_have_touched(void **state)
{
	(void)state;
	touch(0, 3);
	touch(1, 4);
	touch(2, 4);
	touch(0, 600);
	touch(1, 600);
	touch(2, 600);
	assert_int_equal(copies_scan_next(&scan, found), 1);
	assert_int_equal(found[0].page, 4);
	assert_int_equal(found[0].views, 6);
	assert_int_equal(copies_scan_next(&scan, found), 1);
	assert_int_equal(found[0].page, 600);
	assert_int_equal(found[0].views, 7);
	assert_int_equal(scan.at, 0);
}

/* Whoever has a copy needs none. */
static void copies_are_left_out(void **state)
{
	(void)state;
	for (unsigned v = 0; v < VIEWS; v++)
		touch(v, 5);
	show(1, 5);
	assert_int_equal(copies_scan_next(&scan, found), 1);
	assert_int_equal(found[0].views, 5);
	show(0, 5);
	show(2, 5);
	scan.at = 0;
	assert_int_equal(copies_scan_next(&scan, found), 0);
}

/*
 * Where a page is, a view that shows a copy of it does not say. A copy that view 0
 * shows on its node is no reason to give one to view 1, on whose node the page is.
 */
static void the_page_itself_is_asked_for(void **state)
{
	void *at = view[1] + 5 * PAGE_BYTES;
	int here = -1;

	(void)state;
	touch(0, 5);
	touch(1, 5);
	if (move_pages(0, 1, &at, NULL, &here, 0) < 0 || here < 0)
		SKIP("the kernel does not say on which node a page is");
	/* View 0 is elsewhere. */
	scan.nodes[0] = here + 1;
	scan.nodes[1] = scan.nodes[2] = here;
	assert_int_equal(copies_scan_next(&scan, found), 1);
	assert_int_equal(found[0].views, 1);
	show(0, 5);
	scan.at = 0;
	assert_int_equal(copies_scan_next(&scan, found), 0);
	/* A third one comes to it, which is elsewhere, too. */
	scan.nodes[2] = here + 2;
	touch(2, 5);
	scan.at = 0;
	assert_int_equal(copies_scan_next(&scan, found), 1);
	assert_int_equal(found[0].views, 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_two_have_touched),
		TEST(copies_are_left_out),
		TEST(the_page_itself_is_asked_for),
	};

	return cmocka_run_group_tests_name("copies_scan", tests, NULL, NULL);
}
