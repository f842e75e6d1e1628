/* SPDX-License-Identifier: BSD-2-Clause */
// LINK: memory/rebase.c memory/guest_ram.c
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/rebase.h"
#include "tests/unit/support.h"

#define CLEAN	((1ull << 63) | (1ull << 61))
#define COPY	(1ull << 63)
#define SWAPPED (1ull << 62)
#define PAGES	1200u /* more than two batches of pagemap entries */

static void doubt_counts_as_written(void **state)
{
	(void)state;
	assert_false(pagemap_written(0));
	assert_false(pagemap_written(CLEAN));
	assert_true(pagemap_written(COPY));
	assert_true(pagemap_written(COPY | 1ull << 55)); /* soft-dirty */
	assert_true(pagemap_written(SWAPPED));
	assert_true(pagemap_written(SWAPPED | 1ull << 61));
}

static struct page_run seen[8];
static unsigned nr_seen;

static int note(void *arg, const struct page_run *run)
{
	(void)arg;
	seen[nr_seen++] = *run;
	return nr_seen == 8 ? -E2BIG : 0;
}

static void expect_run(unsigned i, uint64_t first, uint64_t nr, bool written)
{
	assert_int_equal(seen[i].first, first);
	assert_int_equal(seen[i].nr, nr);
	assert_int_equal(seen[i].written, written);
}

static void runs_go_on_over_calls(void **state)
{
	const uint64_t a[] = { 0, CLEAN, COPY }, b[] = { SWAPPED, COPY, 0 };
	struct page_run run = { .nr = 0 };

	(void)state;
	nr_seen = 0;
	assert_int_equal(pagemap_runs(&run, a, 3, note, NULL), 0);
	assert_int_equal(pagemap_runs(&run, a, 0, note, NULL), 0);
	assert_int_equal(pagemap_runs(&run, b, 3, note, NULL), 0);
	assert_int_equal(note(NULL, &run), 0);
	assert_int_equal(nr_seen, 3);
	expect_run(0, 0, 2, false);
	expect_run(1, 2, 3, true);
	expect_run(2, 5, 1, false);
}

static void a_refusal_ends_it(void **state)
{
	uint64_t e[32];
	struct page_run run = { .nr = 0 };

	(void)state;
	nr_seen = 0;
	for (unsigned i = 0; i < 32; i++)
		e[i] = i % 2 ? CLEAN : COPY;
	assert_int_equal(pagemap_runs(&run, e, 32, note, NULL), -E2BIG);
}

/* --- for real: the kernel's pagemap --- */

static int image(const char *what)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)PAGES * PAGE_BYTES), 0);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(pwrite(fd, what, 1, (off_t)i * PAGE_BYTES), 1);
	return fd;
}

static unsigned mappings_of(const struct ram_view *v)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned n = 0;
	char line[512];
	uintptr_t at;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-", &at) == 1 && at >= (uintptr_t)v->hva &&
		    at < (uintptr_t)v->hva + v->bytes)
			n++;
	(void)fclose(f);
	return n;
}

/* What a guest may have done to page @i. */
static bool writes(unsigned i)
{
	return i % 100 == 0 || (i > 700 && i < 800 && i % 3 == 0);
}

static void written_pages_stay(void **state)
{
	/* The copy differs, so that one can see which page is shown. */
	int from = image("a"), to = image("b");
	int ram = memfd_create("ram", MFD_CLOEXEC);
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t bytes = (uint64_t)PAGES * PAGE_BYTES;
	struct ram_view v;
	unsigned moved = 0;

	(void)state;
	assert_int_equal(ftruncate(ram, (off_t)bytes), 0);
	assert_int_equal(ram_view_create(&v, ram, bytes), 0);
	assert_int_equal(ram_overlay(&v, gpa(0), bytes, from, 0), 0);
	for (unsigned i = 0; i < PAGES; i++) {
		uint8_t *p = v.hva + (uint64_t)i * PAGE_BYTES;

		if (writes(i))
			*p = 'w';
		else if (i % 2) /* read, or never looked at */
			assert_int_equal(*(volatile uint8_t *)p, 'a');
	}
	assert_int_equal(ram_rebase(&v, gpa(0), bytes, pagemap, to, 0), 0);
	for (unsigned i = 0; i < PAGES; i++) {
		uint8_t c = v.hva[(uint64_t)i * PAGE_BYTES];

		if (writes(i))
			assert_int_equal(c, 'w');
		else if (i > 700 && i < 800) /* short runs are copied */
			assert_int_equal(c, 'a');
		else
			assert_int_equal(c, 'b');
		moved += c == 'b';
	}
	assert_true(moved > 1000);
	assert_true(mappings_of(&v) < 2 * PAGES / (REBASE_RUN_MIN + 1));
	/* Again, and to where it came from. */
	assert_int_equal(ram_rebase(&v, gpa(0), bytes, pagemap, from, 0), 0);
	assert_int_equal(v.hva[0], 'w');
	assert_int_equal(v.hva[PAGE_BYTES], 'a');
	ram_view_destroy(&v);
	(void)close(from);
	(void)close(to);
	(void)close(ram);
	(void)close(pagemap);
}

static void refusals(void **state)
{
	int ram = memfd_create("ram", MFD_CLOEXEC);
	struct ram_view v;

	(void)state;
	assert_int_equal(ftruncate(ram, PAGE_BYTES), 0);
	assert_int_equal(ram_view_create(&v, ram, PAGE_BYTES), 0);
	assert_int_equal(ram_rebase(&v, gpa(PAGE_BYTES), PAGE_BYTES, -1, -1, 0),
			 -EFAULT);
	assert_int_equal(ram_rebase(&v, gpa(0), 100, -1, -1, 0), -EINVAL);
	assert_int_equal(ram_rebase(&v, gpa(0), PAGE_BYTES, -1, -1, 0), -EBADF);
	/* Nothing there to read: not taken for "never written". */
	assert_int_equal(ram_rebase(&v, gpa(0), PAGE_BYTES, ram, -1, 0), -EIO);
	ram_view_destroy(&v);
	(void)close(ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubt_counts_as_written),
		cmocka_unit_test(runs_go_on_over_calls),
		cmocka_unit_test(a_refusal_ends_it),
		cmocka_unit_test(written_pages_stay),
		cmocka_unit_test(refusals),
	};

	return cmocka_run_group_tests_name("rebase", tests, NULL, NULL);
}
