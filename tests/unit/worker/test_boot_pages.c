/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/worker/vm/boot_pages.h"
#include "tests/unit/memory/pmap_world.h"

/* Sources 0 and 2 of the world are files here: two copies that differ. */
#define FIRST_ID (NR_SOURCES + 1)

static const struct boot_layout layout = {
	.nr_extents = 2,
	.extents = { { 20 * PAGE_BYTES, 50 * PAGE_BYTES },
		     { 100 * PAGE_BYTES, 30 * PAGE_BYTES } }
};
static const struct boot_others nobody;
static struct world w;

static bool is_boot(unsigned page)
{
	return (page >= 20 && page < 70) || (page >= 100 && page < 130);
}

static bool shows(uint64_t page, unsigned copy)
{
	uint8_t want[PAGE_BYTES];

	source_bytes(copy, page, want);
	return memcmp(world_page(&w, page), want, PAGE_BYTES) == 0;
}

static void start(uint64_t budget)
{
	world_make(&w, budget);
	memset(w.view.hva, 'r', w.view.bytes);
	assert_int_equal(boot_pages_show(w.pm, &w.view, &layout, w.src[0].s.fd),
			 0);
}

static uint64_t overlaid(void)
{
	struct pmap_stats s;

	pmap_get_stats(w.pm, &s);
	return s.overlaid_pages;
}

static void extents_are_shown(void **state)
{
	(void)state;
	start(UINT64_MAX);
	for (unsigned i = 0; i < PAGES; i++) {
		assert_int_equal(shows(i, 0), is_boot(i));
		assert_int_equal(world_hole(&w, i), is_boot(i));
	}
	assert_int_equal(overlaid(), 80);
	assert_non_null(pmap_source(w.pm, FIRST_ID));
	/* It goes with its last page. */
	assert_int_equal(pmap_free(w.pm, (gfn_t){ 20 }, 100), 0);
	assert_non_null(pmap_source(w.pm, FIRST_ID));
	world_end(&w);
}

static void ends_with_its_last_page(void **state)
{
	(void)state;
	start(UINT64_MAX);
	memset(world_page(&w, 129), 'g', PAGE_BYTES);
	assert_int_equal(pmap_free(w.pm, (gfn_t){ 0 }, 129), 0);
	assert_non_null(pmap_source(w.pm, FIRST_ID));
	assert_int_equal(pmap_sweep(w.pm, w.pagemap, PAGES, NULL), 1);
	assert_null(pmap_source(w.pm, FIRST_ID));
	world_end(&w);
}

static void no_budget_is_a_copy(void **state)
{
	(void)state;
	start(2);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(shows(i, 0), is_boot(i));
	assert_int_equal(overlaid(), 50);
	assert_false(world_hole(&w, 100));
	world_end(&w);
	start(0);
	assert_int_equal(overlaid(), 0);
	assert_null(pmap_source(w.pm, FIRST_ID));
	world_end(&w);
}

static void moves_to_the_other_copy(void **state)
{
	(void)state;
	start(UINT64_MAX);
	memset(world_page(&w, 25), 'g', PAGE_BYTES);
	assert_int_equal(world_show(&w, 200, 2, 1, 200), 0);
	assert_int_equal(
		boot_pages_rebase(w.pm, w.pagemap, w.src[2].s.fd, &nobody), 0);
	assert_null(pmap_source(w.pm, FIRST_ID));
	for (unsigned i = 20; i < 70; i++)
		/* Five pages before the written one are a short run. */
		assert_true(i == 25 || shows(i, i < 25 ? 0 : 2));
	assert_true(shows(100, 2) && shows(129, 2));
	/* Somebody else's have nowhere to go, but into RAM. */
	assert_true(shows(200, 1) && !world_hole(&w, 200));
	assert_int_equal(w.src[1].told, 2);
	/* And back, by which the second copy goes. */
	assert_int_equal(
		boot_pages_rebase(w.pm, w.pagemap, w.src[0].s.fd, &nobody), 0);
	assert_null(pmap_source(w.pm, FIRST_ID + 1));
	assert_true(shows(26, 0) && shows(129, 0));
	assert_int_equal(*world_page(&w, 25), 'g');
	world_end(&w);
}

static unsigned to_two(void *arg, unsigned id, uint64_t index, uint64_t *nr)
{
	assert_ptr_equal(arg, &w);
	assert_int_equal(id, w.src[1].id);
	*nr = 1;
	w.src[2].held[index]++;
	return w.src[2].id;
}

static void others_are_asked(void **state)
{
	const struct boot_others others = { to_two, &w };

	(void)state;
	start(UINT64_MAX);
	assert_int_equal(world_show(&w, 200, 1, 1, 200), 0);
	assert_int_equal(world_show(&w, 202, 1, 1, 202), 0);
	assert_int_equal(
		boot_pages_rebase(w.pm, w.pagemap, w.src[2].s.fd, &others), 0);
	assert_true(shows(200, 2) && shows(202, 2) && shows(20, 2));
	assert_int_equal(w.src[2].held[202], 1);
	assert_int_equal(w.src[1].told, 2);
	world_end(&w);
}

static void failures_leave_no_source(void **state)
{
	struct boot_layout bad = layout;

	(void)state;
	start(UINT64_MAX);
	assert_int_equal(boot_pages_rebase(w.pm, w.pagemap, -1, &nobody),
			 -EBADF);
	assert_null(pmap_source(w.pm, FIRST_ID + 1));
	assert_true(shows(20, 0));
	/* The next one is none the worse for it. */
	assert_int_equal(
		boot_pages_rebase(w.pm, w.pagemap, w.src[2].s.fd, &nobody), 0);
	assert_null(pmap_source(w.pm, FIRST_ID));
	assert_true(shows(20, 2));
	assert_int_equal(boot_pages_show(w.pm, &w.view, &layout, -1), -EBADF);
	bad.extents[1].gpa = PAGES * PAGE_BYTES;
	assert_int_equal(boot_pages_show(w.pm, &w.view, &bad, w.src[0].s.fd),
			 -EFAULT);
	assert_true(shows(20, 0) && shows(100, 2));
	world_end(&w);
}

static void no_number_is_left(void **state)
{
	struct pmap_source s = { .fd = -1 };
	unsigned id;

	(void)state;
	start(UINT64_MAX);
	while (pmap_add_source(w.pm, &s, &id) == 0)
		;
	assert_int_equal(
		boot_pages_rebase(w.pm, w.pagemap, w.src[2].s.fd, &nobody),
		-ENOSPC);
	assert_true(shows(20, 0));
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(extents_are_shown),
		cmocka_unit_test(ends_with_its_last_page),
		cmocka_unit_test(no_budget_is_a_copy),
		cmocka_unit_test(moves_to_the_other_copy),
		cmocka_unit_test(others_are_asked),
		cmocka_unit_test(failures_leave_no_source),
		cmocka_unit_test(no_number_is_left),
	};

	return cmocka_run_group_tests_name("boot_pages", tests, NULL, NULL);
}
