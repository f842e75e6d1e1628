/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/unit/memory/pmap_world.h"

#define NO_LIMIT UINT64_MAX
#define CLEAN	 ((1ull << 63) | (1ull << 61))
#define COPY	 (1ull << 63)
#define SWAPPED	 (1ull << 62)
#define MOVING	 ((1ull << 62) | (1ull << 61)) /* a file's page */

static struct world w;

static bool shows(uint64_t page, unsigned source, uint64_t index)
{
	uint8_t want[PAGE_BYTES];

	source_bytes(source, index, want);
	return memcmp(world_page(&w, page), want, PAGE_BYTES) == 0;
}

/* Every byte of the page is @value. */
static bool filled(uint64_t page, uint8_t value)
{
	const uint8_t *p = world_page(&w, page);

	return p[0] == value && memcmp(p, p + 1, PAGE_BYTES - 1) == 0;
}

static void fill(uint64_t page, uint64_t nr, uint8_t value)
{
	memset(world_page(&w, page), value, nr * PAGE_BYTES);
}

static void expect_gone(unsigned source, unsigned times)
{
	assert_int_equal(w.src[source].told, times);
}

static void a_write_is_the_guests_own(void **state)
{
	(void)state;
	world_make(&w, NO_LIMIT);
	fill(0, PAGES, 'r');
	assert_int_equal(world_show(&w, 10, 2, 0, 7), 0);
	assert_int_equal(world_show(&w, 20, 2, 0, 7), 0);
	assert_true(shows(10, 0, 7) && shows(11, 0, 8) && shows(21, 0, 8));
	assert_true(filled(9, 'r') && filled(12, 'r'));
	assert_true(world_hole(&w, 10) && world_hole(&w, 11));
	assert_false(world_hole(&w, 9) || world_hole(&w, 12));
	fill(10, 1, 'g');
	assert_true(filled(10, 'g') && shows(20, 0, 7));
	assert_true(world_hole(&w, 10));
	assert_int_equal(world_mappings(&w), 4);
	expect_gone(0, 0);
	world_end(&w);
	expect_gone(0, 4);
}

static void refusals_change_nothing(void **state)
{
	struct pmap_source none = { .fd = -1 };
	struct pmap_stats s;
	unsigned id;

	(void)state;
	world_make(&w, NO_LIMIT);
	fill(0, PAGES, 'r');
	assert_int_equal(world_show(&w, 10, 1, 1, 3), 0);
	assert_int_equal(pmap_add_source(w.pm, &none, &id), 0);
	assert_int_equal(pmap_show(w.pm, world_page(&w, 9), 3, id, 0), -EBADF);
	assert_int_equal(world_show(&w, 9, 0, 0, 0), -EFAULT);
	assert_int_equal(world_show(&w, PAGES - 1, 2, 0, 0), -EFAULT);
	assert_int_equal(
		pmap_show(w.pm, w.view.hva - PAGE_BYTES, 1, w.src[0].id, 0),
		-EFAULT);
	assert_int_equal(pmap_show(w.pm, w.view.hva + 1, 1, w.src[0].id, 0),
			 -EFAULT);
	assert_int_equal(
		pmap_show(w.pm, w.view.hva, UINT64_MAX, w.src[0].id, 0),
		-EFAULT);
	assert_int_equal(pmap_show(w.pm, w.view.hva, 1, 0, 0), -EINVAL);
	assert_int_equal(pmap_show(w.pm, w.view.hva, 1, 77, 0), -EINVAL);
	assert_int_equal(pmap_show(w.pm, w.view.hva, 1, PMAP_MAX_SOURCES, 0),
			 -EINVAL);
	assert_int_equal(pmap_show(w.pm, w.view.hva, 2, id, (1ull << 36) - 2),
			 -EINVAL);
	pmap_remove_source(w.pm, id);
	assert_true(filled(9, 'r') && shows(10, 1, 3) && filled(11, 'r'));
	assert_int_equal(world_mappings(&w), 2);
	expect_gone(1, 0);
	pmap_get_stats(w.pm, &s);
	assert_int_equal(s.overlaid_pages, 1);
	assert_int_equal(s.refused, 1);
	world_end(&w);
}

static void freed_pages_are_zero(void **state)
{
	(void)state;
	world_make(&w, NO_LIMIT);
	fill(0, PAGES, 'r');
	assert_int_equal(world_show(&w, 10, 4, 0, 0), 0);
	fill(10, 2, 'g');
	/* One of two written pages is known to be. */
	assert_int_equal(pmap_sweep(w.pm, w.pagemap, 11, NULL), 1);
	expect_gone(0, 1);
	assert_int_equal(pmap_free(w.pm, (gfn_t){ 9 }, 6), 0);
	expect_gone(0, 4);
	for (unsigned i = 9; i < 15; i++)
		assert_true(world_hole(&w, i) && filled(i, 0));
	assert_true(filled(8, 'r') && filled(15, 'r'));
	/* What the guest then writes is in its RAM. */
	fill(10, 1, 'n');
	assert_false(world_hole(&w, 10));
	assert_int_equal(pmap_free(w.pm, (gfn_t){ 0 }, 0), 0);
	assert_int_equal(pmap_free(w.pm, (gfn_t){ PAGES - 1 }, 2), -EFAULT);
	assert_int_equal(pmap_free(w.pm, (gfn_t){ UINT64_MAX / 2 }, 1),
			 -EFAULT);
	assert_int_equal(pmap_free(w.pm, (gfn_t){ 0 }, 1ull << 52), -EFAULT);
	world_end(&w);
}

static uint64_t changed_at, changed_bytes;

static void note_change(void *arg, uint64_t offset, uint64_t bytes)
{
	assert_ptr_equal(arg, &w);
	changed_at = offset;
	changed_bytes = bytes;
}

/* Holes, and what devices are going to write; not what they read. */
static void changes_are_announced(void **state)
{
	uint8_t *at;

	(void)state;
	world_make(&w, 0);
	w.view.change = note_change;
	w.view.change_arg = &w;
	fill(0, PAGES, 'r');
	assert_int_equal(pmap_free(w.pm, (gfn_t){ 9 }, 6), 0);
	assert_int_equal(changed_at, 9 * PAGE_BYTES);
	assert_int_equal(changed_bytes, 6 * PAGE_BYTES);
	assert_true(world_hole(&w, 9) && filled(8, 'r'));
	at = ram_buffer(&w.view, gpa(5000), 300, true);
	assert_ptr_equal(at, w.view.hva + 5000);
	assert_int_equal(changed_at, 5000);
	assert_int_equal(changed_bytes, 300);
	assert_non_null(ram_buffer(&w.view, gpa(6000), 300, false));
	assert_null(ram_buffer(&w.view, gpa(PAGES * PAGE_BYTES), 1, true));
	assert_int_equal(changed_at, 5000);
	world_end(&w);
}

static void whole_pages_are_overwritten(void **state)
{
	uint64_t from = 10 * PAGE_BYTES + 100, to = 14 * PAGE_BYTES + 100;

	(void)state;
	world_make(&w, NO_LIMIT);
	assert_int_equal(world_show(&w, 10, 5, 0, 0), 0);
	fill(12, 1, 'g');
	pmap_overwrite(w.pm, w.view.hva + from, to - from);
	expect_gone(0, 3);
	assert_true(shows(10, 0, 0) && shows(14, 0, 4));
	memset(w.view.hva + from, 'd', to - from);
	assert_true(filled(11, 'd') && filled(12, 'd') && filled(13, 'd'));
	assert_true(world_page(&w, 10)[100] == 'd' && !filled(10, 'd'));
	assert_false(world_hole(&w, 11) || world_hole(&w, 13));
	assert_true(world_hole(&w, 10) && world_hole(&w, 14));
	/* Not a whole page, not guest RAM: nothing. */
	pmap_overwrite(w.pm, world_page(&w, 10) + 1, 2 * PAGE_BYTES - 2);
	pmap_overwrite(w.pm, world_page(&w, 10), PAGE_BYTES - 1);
	pmap_overwrite(w.pm, world_page(&w, 10), 0);
	pmap_overwrite(w.pm, world_page(&w, 10), UINT64_MAX);
	pmap_overwrite(w.pm, w.view.hva - PAGE_BYTES, 100 * PAGE_BYTES);
	pmap_overwrite(w.pm, &w, sizeof(w));
	expect_gone(0, 3);
	/* Pages that were written, found and are still mapped privately. */
	assert_int_equal(pmap_sweep(w.pm, w.pagemap, PAGES, NULL), 2);
	expect_gone(0, 5);
	pmap_overwrite(w.pm, world_page(&w, 10), PAGE_BYTES);
	expect_gone(0, 5);
	world_look(&w);
	assert_int_equal(w.truth[10].source, NR_SOURCES);
	world_end(&w);
}

static void a_page_that_cannot_change_stays(void **state)
{
	int ram;

	(void)state;
	world_make(&w, NO_LIMIT);
	ram = w.view.fd;
	assert_int_equal(world_show(&w, 10, 2, 0, 0), 0);
	fill(3, 1, 'r');
	w.view.fd = -1;
	pmap_overwrite(w.pm, world_page(&w, 10), PAGE_BYTES);
	assert_int_equal(pmap_free(w.pm, (gfn_t){ 10 }, 1), -EBADF);
	assert_int_equal(pmap_free(w.pm, (gfn_t){ 3 }, 1), -EBADF);
	w.view.fd = ram;
	assert_true(shows(10, 0, 0) && filled(3, 'r'));
	assert_int_equal(world_mappings(&w), 2);
	expect_gone(0, 0);
	world_end(&w);
}

static void what_is_shown_over_goes(void **state)
{
	(void)state;
	world_make(&w, NO_LIMIT);
	assert_int_equal(world_show(&w, 10, 4, 0, 100), 0);
	fill(12, 1, 'g');
	assert_int_equal(world_show(&w, 11, 2, 1, 5), 0);
	expect_gone(0, 2);
	assert_int_equal(w.src[0].held[101] + w.src[0].held[102], 0);
	assert_true(shows(10, 0, 100) && shows(11, 1, 5) && shows(12, 1, 6) &&
		    shows(13, 0, 103));
	assert_int_equal(world_mappings(&w), 4);
	/* The same again is one more and one less. */
	assert_int_equal(world_show(&w, 11, 2, 1, 5), 0);
	expect_gone(1, 2);
	assert_int_equal(w.src[1].held[5], 1);
	world_end(&w);
}

/* A pagemap that says what it is told to. */
static int fake_pagemap(uint64_t page, const uint64_t *e, size_t nr)
{
	int fd = memfd_create("pagemap", MFD_CLOEXEC);
	off_t at = (off_t)((uintptr_t)world_page(&w, page) / PAGE_BYTES * 8);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, e, nr * 8, at), nr * 8);
	return fd;
}

static void only_what_is_certain_is_written(void **state)
{
	const uint64_t e[] = { 0,      CLEAN,	COPY,
			       MOVING, SWAPPED, COPY | 1ull << 55 };
	const bool written[] = { false, false, true, false, true, true };
	int fd;

	(void)state;
	world_make(&w, NO_LIMIT);
	fd = fake_pagemap(10, e, 6);
	assert_int_equal(world_show(&w, 10, 6, 0, 0), 0);
	assert_int_equal(pmap_sweep(w.pm, fd, PAGES, NULL), 3);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(w.src[0].held[i], !written[i]);
	/* Once is enough. */
	assert_int_equal(pmap_sweep(w.pm, fd, PAGES, NULL), 0);
	assert_int_equal(world_show(&w, 30, 1, 0, 0), 0);
	assert_int_equal(pmap_sweep(w.pm, fd, PAGES, NULL), -EIO);
	assert_int_equal(pmap_sweep(w.pm, -1, PAGES, NULL), -EBADF);
	assert_int_equal(pmap_rebase(w.pm, -1, NULL, NULL), -EBADF);
	(void)close(fd);
	world_end(&w);
}

static void a_sweep_goes_on_where_it_stopped(void **state)
{
	(void)state;
	world_make(&w, NO_LIMIT);
	assert_int_equal(pmap_sweep(w.pm, -1, PAGES, NULL), 0);
	assert_int_equal(world_show(&w, 0, PAGES, 0, 0), 0);
	fill(0, PAGES, 'g');
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(pmap_sweep(w.pm, w.pagemap, 100, NULL), 100);
		assert_int_equal(w.src[0].held[100 * i + 99], 0);
		assert_int_equal(w.src[0].held[100 * i + 100], 1);
	}
	assert_int_equal(pmap_sweep(w.pm, w.pagemap, NO_LIMIT, NULL), 100);
	expect_gone(0, PAGES);
	assert_int_equal(world_mappings(&w), 0);
	world_end(&w);
}

/* --- rebase --- */

static unsigned nr_asked;

/* To the source whose bytes differ, so that one sees what is shown. */
static unsigned to_last(void *arg, unsigned id, uint64_t index, uint64_t *nr)
{
	struct world_source *s = &w.src[NR_SOURCES - 1];

	(void)id;
	nr_asked++;
	if (arg)
		*nr = min_u64(*nr, *(uint64_t *)arg);
	for (uint64_t i = 0; i < *nr; i++)
		s->held[index + i]++;
	return s->id;
}

static unsigned to_none(void *arg, unsigned id, uint64_t index, uint64_t *nr)
{
	(void)arg;
	(void)id;
	(void)index;
	(void)nr;
	return 0;
}

static unsigned to_same(void *arg, unsigned id, uint64_t index, uint64_t *nr)
{
	(void)arg;
	(void)index;
	(void)nr;
	return id;
}

static void unwritten_pages_move(void **state)
{
	uint64_t most = 30;

	(void)state;
	world_make(&w, NO_LIMIT);
	assert_int_equal(world_show(&w, 10, 100, 0, 10), 0);
	assert_int_equal(world_show(&w, 200, 1, 0, 200), 0);
	fill(50, 1, 'g');
	fill(53, 1, 'g');
	nr_asked = 0;
	assert_int_equal(pmap_rebase(w.pm, w.pagemap, to_last, &most), 0);
	assert_int_equal(nr_asked, 2 + 1 + 2 + 1);
	for (unsigned i = 10; i < 110; i++)
		if (i == 50 || i == 53)
			assert_true(filled(i, 'g'));
		else /* 30 and a rest that joins them; a short run; the same */
			assert_true(shows(i, i > 50 && i < 53 ? 0 : 2, i));
	/* One page alone needs no more mappings than it had. */
	assert_true(shows(200, 2, 200));
	assert_int_equal(world_mappings(&w), 1 + 1 + 1 + 1 + 2);
	for (unsigned i = 10; i < 110; i++) {
		assert_int_equal(w.src[0].held[i], 0);
		assert_int_equal(w.src[2].held[i], i < 50 || i >= 54);
	}
	world_end(&w);
}

static void to_ram(void **state)
{
	uint8_t b[PAGE_BYTES], want[PAGE_BYTES];

	(void)state;
	world_make(&w, NO_LIMIT);
	assert_int_equal(world_show(&w, 10, 100, 0, 10), 0);
	assert_int_equal(world_show(&w, 200, 1, 0, 200), 0);
	fill(50, 1, 'g');
	fill(55, 1, 'g');
	assert_int_equal(pmap_rebase(w.pm, w.pagemap, to_same, NULL), 0);
	expect_gone(0, 2);
	assert_true(world_hole(&w, 10));
	assert_int_equal(pmap_rebase(w.pm, w.pagemap, to_none, NULL), 0);
	expect_gone(0, 101);
	for (unsigned i = 10; i < 110; i++)
		assert_true(i == 50 || i == 55 ? filled(i, 'g')
					       : shows(i, 0, i));
	/* In the file, not in private copies; but for the short run. */
	for (unsigned i = 10; i < 110; i++)
		assert_int_equal(world_hole(&w, i), i >= 50 && i <= 55);
	source_bytes(0, 200, want);
	assert_int_equal(pread(w.ram, b, sizeof(b), 200 * PAGE_BYTES),
			 sizeof(b));
	assert_memory_equal(b, want, sizeof(b));
	assert_int_equal(world_mappings(&w), 2);
	world_end(&w);
}

static void a_rebase_that_fails_shows_the_same(void **state)
{
	char path[32];
	int ram;

	(void)state;
	world_make(&w, NO_LIMIT);
	ram = w.view.fd;
	assert_int_equal(world_show(&w, 10, 100, 0, 10), 0);
	w.view.fd = -1;
	assert_int_equal(pmap_rebase(w.pm, w.pagemap, to_none, NULL), -EBADF);
	w.view.fd = w.src[1].s.fd; /* written: no; read: yes */
	assert_int_equal(pmap_rebase(w.pm, w.pagemap, to_none, NULL), -EBADF);
	/* Filled, and then not mapped. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", ram);
	w.view.fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pmap_rebase(w.pm, w.pagemap, to_none, NULL), -EACCES);
	(void)close(w.view.fd);
	w.view.fd = ram;
	ram = w.src[2].s.fd;
	w.src[2].s.fd = -1;
	assert_int_equal(pmap_rebase(w.pm, w.pagemap, to_last, NULL), -EBADF);
	w.src[2].s.fd = ram;
	expect_gone(0, 0);
	expect_gone(2, 100);
	for (unsigned i = 10; i < 110; i++)
		assert_true(shows(i, 0, i) && world_hole(&w, i));
	world_end(&w);
}

/* --- mappings --- */

static void the_budget_is_kept(void **state)
{
	struct pmap_stats s;

	(void)state;
	world_make(&w, 4);
	fill(0, PAGES, 'r');
	assert_int_equal(world_show(&w, 10, 10, 0, 10), 0);
	assert_int_equal(world_show(&w, 40, 40, 0, 40), 0);
	assert_int_equal(world_show(&w, 30, 1, 0, 30), -ENOSPC);
	assert_int_equal(world_show(&w, 12, 1, 1, 30), -ENOSPC);
	assert_true(filled(30, 'r') && shows(12, 0, 12));
	/* What needs none more goes on. */
	assert_int_equal(world_show(&w, 20, 2, 0, 20), 0);
	assert_int_equal(world_show(&w, 10, 2, 0, 8), -ENOSPC);
	assert_int_equal(world_show(&w, PAGES - 1, 1, 0, 0), -ENOSPC);
	pmap_get_stats(w.pm, &s);
	assert_int_equal(s.refused, 4);
	assert_int_equal(s.mappings, 4);
	assert_int_equal(pmap_free(w.pm, (gfn_t){ 50 }, 2), -ENOSPC);
	pmap_overwrite(w.pm, world_page(&w, 50), PAGE_BYTES);
	assert_true(shows(50, 0, 50) && shows(51, 0, 51));
	/* In the middle, long enough, but too much. */
	fill(41, 1, 'g');
	fill(79, 1, 'g');
	assert_int_equal(pmap_rebase(w.pm, w.pagemap, to_none, NULL), 0);
	assert_true(world_mappings(&w) <= 4);
	assert_true(shows(50, 0, 50) && filled(41, 'g'));
	world_end(&w);
}

/* Linux joins what is shown between two written mappings to one of them. */
static void seams_count(void **state)
{
	(void)state;
	world_make(&w, NO_LIMIT);
	for (unsigned i = 11; i < 100; i += 2) {
		assert_int_equal(world_show(&w, i, 1, 0, i), 0);
		fill(i, 1, 'g');
	}
	for (unsigned i = 10; i < 100; i += 2)
		assert_int_equal(world_show(&w, i, 1, 0, i), 0);
	world_look(&w);
	assert_int_equal(world_recount(&w), 2);
	assert_in_range(world_seen(&w), world_recount(&w), world_mappings(&w));
	assert_int_equal(world_mappings(&w), 2 + 44);
	/* One mapping for all of it: no seam is left. */
	assert_int_equal(world_show(&w, 10, 90, 0, 10), 0);
	assert_int_equal(world_mappings(&w), 2);
	world_end(&w);
}

/* Take all mappings there are but for @spare. Return: how to give them back. */
static uint8_t *use_up_mappings(size_t *bytes)
{
	uint8_t *at;
	size_t i;

	*bytes = (size_t)pmap_budget() * 2 * 2 * PAGE_BYTES;
	at = mmap(NULL, *bytes, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(at != MAP_FAILED);
	for (i = 1; i < *bytes / PAGE_BYTES; i += 2)
		if (mprotect(at + i * PAGE_BYTES, PAGE_BYTES, PROT_READ) < 0)
			break;
	assert_int_equal(errno, ENOMEM);
	return at;
}

static void no_mappings_left(void **state)
{
	int shown, freed, rebased;
	uint8_t *used;
	size_t bytes;

	(void)state;
#ifdef DISCO_SANITIZED
	SKIP("the sanitizer needs mappings as well");
#endif
	if (pmap_budget() > 65536)
		SKIP("too many mappings allowed to use them up");
	world_make(&w, NO_LIMIT);
	fill(0, PAGES, 'r');
	assert_int_equal(world_show(&w, 100, 100, 0, 100), 0);
	fill(120, 1, 'g');
	used = use_up_mappings(&bytes);
	shown = world_show(&w, 10, 2, 0, 10);
	freed = pmap_free(w.pm, (gfn_t){ 110 }, 2);
	pmap_overwrite(w.pm, world_page(&w, 112), PAGE_BYTES);
	rebased = pmap_rebase(w.pm, w.pagemap, to_last, NULL);
	(void)munmap(used, bytes);
	assert_int_equal(shown, -ENOMEM);
	assert_int_equal(freed, -ENOMEM);
	assert_int_equal(rebased, -ENOMEM);
	assert_true(filled(10, 'r') && filled(11, 'r') && filled(120, 'g'));
	/* Some had moved. */
	for (unsigned i = 100; i < 200; i++) {
		unsigned now = shows(i, 2, i) ? 2 : 0;

		assert_true(i == 120 || shows(i, now, i));
		assert_int_equal(w.src[now].held[i], i != 120);
		assert_int_equal(w.src[2 - now].held[i], 0);
	}
	world_end(&w);
}

/* --- sources --- */

static unsigned last_gone;

static void remove_last(struct pmap_source *s, uint64_t index)
{
	(void)s;
	(void)index;
	if (--last_gone == 0)
		pmap_remove_source(w.pm, 4);
}

static void a_source_may_go_with_its_last_page(void **state)
{
	struct pmap_source s = { .gone = remove_last };
	unsigned id;

	(void)state;
	world_make(&w, NO_LIMIT);
	s.fd = w.src[0].s.fd;
	assert_int_equal(pmap_add_source(w.pm, &s, &id), 0);
	assert_int_equal(id, 4);
	last_gone = 3;
	assert_int_equal(pmap_show(w.pm, world_page(&w, 10), 3, id, 0), 0);
	assert_int_equal(pmap_free(w.pm, (gfn_t){ 11 }, 1), 0);
	fill(12, 1, 'g');
	assert_int_equal(pmap_sweep(w.pm, w.pagemap, PAGES, NULL), 1);
	assert_int_equal(world_show(&w, 10, 1, 0, 0), 0);
	assert_int_equal(pmap_show(w.pm, world_page(&w, 10), 1, id, 0),
			 -EINVAL);
	assert_int_equal(last_gone, 0);
	world_end(&w);
}

/* A written page's mapping outlives its source, whose id another one gets. */
static void a_new_source_does_not_continue_an_old_one(void **state)
{
	struct pmap_source s = { .fd = -1 };
	unsigned id, again;

	(void)state;
	world_make(&w, NO_LIMIT);
	s.fd = w.src[0].s.fd;
	assert_int_equal(pmap_add_source(w.pm, &s, &id), 0);
	assert_int_equal(pmap_show(w.pm, world_page(&w, 10), 1, id, 20), 0);
	fill(10, 1, 'g');
	assert_int_equal(pmap_sweep(w.pm, w.pagemap, PAGES, NULL), 1);
	pmap_remove_source(w.pm, id);
	s.fd = w.src[2].s.fd;
	do {
		assert_int_equal(pmap_add_source(w.pm, &s, &again), 0);
		if (again != id)
			pmap_remove_source(w.pm, again);
	} while (again != id);
	assert_int_equal(pmap_show(w.pm, world_page(&w, 11), 1, id, 21), 0);
	assert_int_equal(world_mappings(&w), 3);
	assert_true(filled(10, 'g') && shows(11, 2, 21));
	assert_int_equal(pmap_free(w.pm, (gfn_t){ 11 }, 1), 0);
	pmap_remove_source(w.pm, id);
	world_end(&w);
}

static void sources_are_as_many_as_said(void **state)
{
	struct pmap_source s = { .fd = -1 };
	unsigned id;

	(void)state;
	world_make(&w, NO_LIMIT);
	for (unsigned i = NR_SOURCES + 1; i < PMAP_MAX_SOURCES; i++) {
		assert_int_equal(pmap_add_source(w.pm, &s, &id), 0);
		assert_int_equal(id, i);
	}
	assert_int_equal(pmap_add_source(w.pm, &s, &id), -ENOSPC);
	pmap_remove_source(w.pm, 200);
	assert_int_equal(pmap_add_source(w.pm, &s, &id), 0);
	assert_int_equal(id, 200);
	world_end(&w);
}

/* Guest frames above the hole are not at their number in the view. */
static void frames_above_the_hole(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	uint64_t bytes = RAM_LOW_END + 16 * PAGE_BYTES;
	gfn_t high = gpa_to_gfn(gpa(RAM_HIGH_START)), low = high;
	struct ram_view v;
	struct pmap *pm;
	uint8_t *p;

	(void)state;
	low.v = RAM_LOW_END / PAGE_BYTES - 1;
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(ram_view_create(&v, fd, bytes), 0);
	assert_int_equal(pmap_create(&v, pmap_budget(), &pm), 0);
	p = v.hva + RAM_LOW_END;
	p[-1] = 'l';
	p[0] = 'h';
	assert_int_equal(pmap_free(pm, high, 16), 0);
	assert_true(p[0] == 0 && p[-1] == 'l');
	assert_int_equal(pmap_free(pm, low, 2), -EFAULT);
	assert_int_equal(pmap_free(pm, high, 17), -EFAULT);
	assert_int_equal(pmap_free(pm, low, 1), 0);
	assert_int_equal(p[-1], 0);
	pmap_destroy(pm);
	pmap_destroy(NULL);
	ram_view_destroy(&v);
	(void)close(fd);
}

/* What was swept of a large view does not depend on its size. */
static void a_sweep_skips_what_is_all_ram(void **state)
{
	const uint64_t bytes = GIB(256), nr = bytes / PAGE_BYTES;
	uint64_t at = 1, index, passed;
	struct ram_view v;
	struct pmap *pm;
	unsigned id;
	int fd = memfd_create("ram", MFD_CLOEXEC);

	(void)state;
	world_make(&w, NO_LIMIT);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(ram_view_create(&v, fd, bytes), 0);
	assert_int_equal(pmap_create(&v, NO_LIMIT, &pm), 0);
	assert_int_equal(pmap_skip(pm, 0), nr);
	assert_int_equal(pmap_add_source(pm, &w.src[0].s, &id), 0);
	w.src[0].held[0] = w.src[0].held[1] = 1;
	assert_int_equal(pmap_show(pm, v.hva, 1, id, 0), 0);
	assert_int_equal(pmap_show(pm, v.hva + bytes - PAGE_BYTES, 1, id, 1),
			 0);
	assert_int_equal(pmap_skip(pm, PMAP_CHUNK), nr - PMAP_CHUNK);
	assert_int_equal(pmap_next_shown(pm, &at, nr, &index), id);
	assert_true(at == nr - 1 && index == 1);
	v.hva[0] = v.hva[bytes - 1] = 'g';
	/* One budget for a chunk finds the first, the next one the last. */
	assert_int_equal(pmap_sweep(pm, w.pagemap, PMAP_CHUNK, &passed), 1);
	assert_int_equal(passed, PMAP_CHUNK);
	assert_int_equal(pmap_sweep(pm, w.pagemap, PMAP_CHUNK, &passed), 1);
	assert_int_equal(passed, nr); /* no overlay is left */
	assert_int_equal(pmap_rebase(pm, w.pagemap, NULL, NULL), 0);
	assert_int_equal(pmap_free(pm, (gfn_t){ 0 }, 1), 0);
	assert_int_equal(pmap_skip(pm, 0), nr - PMAP_CHUNK);
	pmap_destroy(pm);
	ram_view_destroy(&v);
	(void)close(fd);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_is_the_guests_own),
		cmocka_unit_test(refusals_change_nothing),
		cmocka_unit_test(freed_pages_are_zero),
		cmocka_unit_test(changes_are_announced),
		cmocka_unit_test(whole_pages_are_overwritten),
		cmocka_unit_test(a_page_that_cannot_change_stays),
		cmocka_unit_test(what_is_shown_over_goes),
		cmocka_unit_test(only_what_is_certain_is_written),
		cmocka_unit_test(a_sweep_goes_on_where_it_stopped),
		cmocka_unit_test(unwritten_pages_move),
		cmocka_unit_test(to_ram),
		cmocka_unit_test(a_rebase_that_fails_shows_the_same),
		cmocka_unit_test(the_budget_is_kept),
		cmocka_unit_test(seams_count),
		cmocka_unit_test(no_mappings_left),
		cmocka_unit_test(a_source_may_go_with_its_last_page),
		cmocka_unit_test(a_new_source_does_not_continue_an_old_one),
		cmocka_unit_test(sources_are_as_many_as_said),
		cmocka_unit_test(frames_above_the_hole),
		cmocka_unit_test(a_sweep_skips_what_is_all_ram),
	};

	return cmocka_run_group_tests_name("pmap", tests, NULL, NULL);
}
