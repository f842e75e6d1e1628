/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Huge pages of guest RAM: when they are taken apart, what that gives back, and
 * when they are made again. What the kernel must do for that is tested too.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "disco/clock.h"
#include "tests/unit/memory/huge_world.h"

#define S	1000000000ull
#define REST_NS ((RAM_HUGE_REST_S + 1) * S)

static struct huge_world w;

static uint64_t first_page(uint64_t run)
{
	return run * RAM_HUGE_PAGES;
}

static struct ram_huge_stats stats_now(void)
{
	struct ram_huge_stats s;

	ram_huge_get_stats(w.huge, &s);
	return s;
}

/* Return: what became of the next candidate; -1: there is none. */
static int collapse_next(uint64_t now, uint64_t *run)
{
	enum ram_huge_result how;

	uint64_t end = wait_end_ns();

	if (!pmap_next_candidate(w.pm, now, run))
		return -1;
	/* The kernel does not while somebody else holds one of the pages. */
	do {
		assert_true(clock_now_ns() < end);
		how = ram_huge_collapse(&w.view, w.pagemap, *run);
	} while (how == RAM_HUGE_ABORTED);
	pmap_collapsed(w.pm, *run, how, now);
	return (int)how;
}

static void need_real(void)
{
	if (w.real)
		return;
	huge_world_end(&w);
	SKIP("no huge pages of shared memory here");
}

/* One byte of a run takes all of it; those that are to stay small take a page. */
static void a_touched_run_is_huge(void **state)
{
	(void)state;
	huge_world_make(&w, UINT64_MAX);
	need_real();
	huge_world_write(&w, first_page(3) + 7, 1, 1);
	assert_int_equal(huge_world_pages(&w), RAM_HUGE_PAGES);
	assert_int_equal(huge_world_mapped(&w), RAM_HUGE_BYTES);
	assert_int_equal(ram_huge_bytes(w.huge), RAM_HUGE_BYTES);
	huge_world_write(&w, 5, 1, 1);
	huge_world_write(&w, first_page(RUNS) + 5, 1, 1);
	assert_int_equal(huge_world_pages(&w), RAM_HUGE_PAGES + 2);
	huge_world_check(&w);
	huge_world_end(&w);
}

/* What is hidden is free at once, and nothing else is lost. */
static void an_overlay_takes_its_run_apart(void **state)
{
	(void)state;
	huge_world_make(&w, UINT64_MAX);
	huge_world_write(&w, first_page(2), 2 * RAM_HUGE_PAGES, 3);
	assert_int_equal(huge_world_pages(&w), 2 * RAM_HUGE_PAGES);
	assert_int_equal(huge_world_show(&w, first_page(2) + 100, 16), 0);
	assert_int_equal(huge_world_pages(&w), 2 * RAM_HUGE_PAGES - 16);
	assert_int_equal(stats_now().splits, 1);
	if (w.real) {
		assert_int_equal(huge_world_mapped(&w), RAM_HUGE_BYTES);
		assert_int_equal(ram_huge_bytes(w.huge), RAM_HUGE_BYTES);
	}
	/* Further ones of the run are no splits. */
	assert_int_equal(huge_world_show(&w, first_page(2) + 300, 1), 0);
	assert_int_equal(huge_world_pages(&w), 2 * RAM_HUGE_PAGES - 17);
	assert_int_equal(stats_now().splits, 1);
	huge_world_check(&w);
	huge_world_end(&w);
}

/* A run that shows something before it is touched stays small. */
static void what_is_saved_stays_saved(void **state)
{
	(void)state;
	huge_world_make(&w, UINT64_MAX);
	assert_int_equal(huge_world_show(&w, first_page(4) + 8, 256), 0);
	assert_int_equal(stats_now().splits, 0);
	huge_world_write(&w, first_page(4), 1, 1);
	huge_world_write(&w, first_page(4) + 400, 1, 1);
	assert_int_equal(huge_world_pages(&w), 2);
	/* A page that the guest has written is no page of RAM. */
	huge_world_write(&w, first_page(4) + 8, 4, 1);
	assert_int_equal(huge_world_pages(&w), 2);
	huge_world_check(&w);
	huge_world_end(&w);
}

/* The guest's balloon gives a run back: it is as it was at the start. */
static void a_run_that_is_freed_is_huge_again(void **state)
{
	(void)state;
	huge_world_make(&w, UINT64_MAX);
	huge_world_write(&w, first_page(5), RAM_HUGE_PAGES, 1);
	assert_int_equal(huge_world_show(&w, first_page(5) + 1, 1), 0);
	assert_int_equal(
		pmap_free(w.pm, (gfn_t){ first_page(5) }, RAM_HUGE_PAGES), 0);
	memset(huge_world_shadow(&w, first_page(5)), 0, RAM_HUGE_BYTES);
	assert_int_equal(huge_world_pages(&w), 0);
	huge_world_write(&w, first_page(5), 1, 1);
	if (w.real)
		assert_int_equal(huge_world_pages(&w), RAM_HUGE_PAGES);
	/* A part of it: the rest stays, in small pages. */
	huge_world_write(&w, first_page(5), RAM_HUGE_PAGES, 1);
	assert_int_equal(pmap_free(w.pm, (gfn_t){ first_page(5) + 8 }, 8), 0);
	memset(huge_world_shadow(&w, first_page(5) + 8), 0, 8 * PAGE_BYTES);
	assert_int_equal(huge_world_pages(&w), RAM_HUGE_PAGES - 8);
	assert_int_equal(stats_now().splits, 2);
	huge_world_check(&w);
	huge_world_end(&w);
}

/* A split without an overlay: nothing is lost but the huge page. */
static void a_trap_takes_its_run_apart(void **state)
{
	(void)state;
	huge_world_make(&w, UINT64_MAX);
	huge_world_write(&w, first_page(6), RAM_HUGE_PAGES, 1);
	pmap_split(w.pm, first_page(6) + 9);
	pmap_split(w.pm, first_page(6) + 10);
	assert_int_equal(stats_now().splits, 1);
	assert_int_equal(huge_world_mapped(&w), 0);
	assert_int_equal(huge_world_pages(&w), RAM_HUGE_PAGES);
	assert_int_equal(ram_huge_bytes(w.huge), 0);
	huge_world_check(&w);
	huge_world_end(&w);
}

/* Made again when it has rested, is in use, and nothing is shown in it. */
static void a_run_is_collapsed_after_its_rest(void **state)
{
	uint64_t now = clock_now_ns(), run;

	(void)state;
	huge_world_make(&w, UINT64_MAX);
	need_real();
	huge_world_write(&w, first_page(2), RAM_HUGE_PAGES, 1);
	assert_int_equal(huge_world_show(&w, first_page(2) + 100, 16), 0);
	assert_int_equal(collapse_next(now + 1000 * S, &run), -1);
	pmap_overwrite(w.pm, huge_world_page(&w, first_page(2)),
		       RAM_HUGE_BYTES);
	huge_world_write(&w, first_page(2), 100, 4);
	memset(huge_world_page(&w, first_page(2)), 7, RAM_HUGE_BYTES);
	memset(huge_world_shadow(&w, first_page(2)), 7, RAM_HUGE_BYTES);
	now = clock_now_ns();
	assert_int_equal(collapse_next(now, &run), -1);
	assert_int_equal(collapse_next(now + REST_NS, &run), RAM_HUGE_DONE);
	assert_int_equal(run, 2);
	assert_int_equal(huge_world_mapped(&w), RAM_HUGE_BYTES);
	assert_int_equal(ram_huge_bytes(w.huge), RAM_HUGE_BYTES);
	assert_int_equal(stats_now().collapses, 1);
	assert_int_equal(collapse_next(now + 1000 * S, &run), -1);
	huge_world_check(&w);
	huge_world_end(&w);
}

/* Neither memory that nobody touched is paid for it, nor work for idle runs. */
static void sparse_and_idle_runs_stay_small(void **state)
{
	uint64_t now, run;

	(void)state;
	huge_world_make(&w, UINT64_MAX);
	huge_world_write(&w, first_page(2), RAM_HUGE_PAGES, 1);
	assert_int_equal(pmap_free(w.pm, (gfn_t){ first_page(2) },
				   RAM_HUGE_PAGES - RAM_HUGE_RESIDENT + 1),
			 0);
	memset(huge_world_shadow(&w, first_page(2)), 0,
	       (RAM_HUGE_PAGES - RAM_HUGE_RESIDENT + 1) * PAGE_BYTES);
	now = clock_now_ns();
	assert_int_equal(collapse_next(now + REST_NS, &run), RAM_HUGE_NOT_NOW);
	/* Of this one nothing was touched since. */
	huge_world_write(&w, first_page(3), RAM_HUGE_PAGES, 1);
	pmap_split(w.pm, first_page(3));
	if (w.real)
		assert_int_equal(collapse_next(now + REST_NS, &run),
				 RAM_HUGE_NOT_NOW);
	assert_int_equal(huge_world_pages(&w),
			 RAM_HUGE_PAGES + RAM_HUGE_RESIDENT - 1);
	assert_int_equal(stats_now().collapses + stats_now().aborted, 0);
	huge_world_check(&w);
	huge_world_end(&w);
}

/* Each round of overlay and collapse rests twice as long as the last one. */
static void a_run_does_not_ping_pong(void **state)
{
	uint64_t run, rest = RAM_HUGE_REST_S;

	(void)state;
	huge_world_make(&w, UINT64_MAX);
	need_real();
	for (unsigned round = 0; round < RAM_HUGE_DOUBLINGS + 3; round++) {
		uint64_t now;

		huge_world_write(&w, first_page(2), RAM_HUGE_PAGES, 1);
		assert_int_equal(huge_world_show(&w, first_page(2), 1), 0);
		pmap_overwrite(w.pm, huge_world_page(&w, first_page(2)),
			       PAGE_BYTES);
		memset(huge_world_page(&w, first_page(2)), 7, PAGE_BYTES);
		memset(huge_world_shadow(&w, first_page(2)), 7, PAGE_BYTES);
		huge_world_write(&w, first_page(2), RAM_HUGE_PAGES, 2);
		now = clock_now_ns();
		assert_int_equal(collapse_next(now + (rest - 1) * S, &run), -1);
		assert_int_equal(collapse_next(now + (rest + 1) * S, &run),
				 RAM_HUGE_DONE);
		rest = min_u64(2 * rest, RAM_HUGE_REST_S << RAM_HUGE_DOUBLINGS);
	}
	huge_world_check(&w);
	huge_world_end(&w);
}

/* Shown between the choice and the end: what was filled in is given back. */
static void an_overlay_stops_a_collapse(void **state)
{
	uint64_t now, run, pages;

	(void)state;
	huge_world_make(&w, UINT64_MAX);
	huge_world_write(&w, first_page(2), RAM_HUGE_PAGES, 1);
	pmap_split(w.pm, first_page(2));
	now = clock_now_ns() + REST_NS;
	assert_true(pmap_next_candidate(w.pm, now, &run));
	assert_int_equal(run, 2);
	assert_int_equal(huge_world_show(&w, first_page(2) + 5, 3), 0);
	/* As if it had been filled in: what a collapse does to holes. */
	assert_int_equal(pwrite(w.ram, "x", 1,
				(off_t)((first_page(2) + 6) * PAGE_BYTES)),
			 1);
	pages = huge_world_pages(&w);
	pmap_collapsed(w.pm, run, RAM_HUGE_DONE, now);
	assert_int_equal(huge_world_pages(&w), pages - 1);
	assert_int_equal(stats_now().collapses, 0);
	assert_int_equal(stats_now().aborted, 1);
	huge_world_check(&w);
	huge_world_end(&w);
}

/*
 * What is freed of a run stays free: where the machine's khugepaged could fill it
 * in, the run is no part of what it looks at.
 */
static void a_run_with_a_hole_is_shut(void **state)
{
	uint64_t edges, run, now;

	(void)state;
	huge_world_make(&w, UINT64_MAX);
	need_real();
	edges = ram_huge_edges(w.huge);
	huge_world_write(&w, first_page(3), RAM_HUGE_PAGES, 1);
	assert_int_equal(pmap_free(w.pm, (gfn_t){ first_page(3) + 8 }, 100), 0);
	memset(huge_world_shadow(&w, first_page(3) + 8), 0, 100 * PAGE_BYTES);
	assert_int_equal(ram_huge_edges(w.huge), edges + 2);
	/* And after it was looked at, and was too sparse. */
	now = clock_now_ns();
	assert_int_equal(collapse_next(now + REST_NS, &run), RAM_HUGE_NOT_NOW);
	assert_int_equal(ram_huge_edges(w.huge), edges + 2);
	assert_int_equal(huge_world_pages(&w), RAM_HUGE_PAGES - 100);
	huge_world_write(&w, first_page(3), RAM_HUGE_PAGES, 2);
	assert_int_equal(huge_world_pages(&w), RAM_HUGE_PAGES);
	now = clock_now_ns();
	assert_int_equal(collapse_next(now + 3 * REST_NS, &run), RAM_HUGE_DONE);
	assert_int_equal(ram_huge_edges(w.huge), edges);
	huge_world_check(&w);
	huge_world_end(&w);
}

/* A page that somebody holds keeps its huge page whole: tried again later. */
static void what_is_held_is_given_back_later(void **state)
{
	struct iovec held;
	int fds[2];

	(void)state;
	huge_world_make(&w, UINT64_MAX);
	need_real();
	huge_world_write(&w, first_page(3), RAM_HUGE_PAGES, 1);
	assert_int_equal(pipe(fds), 0);
	held = (struct iovec){ huge_world_page(&w, first_page(3) + 50),
			       PAGE_BYTES };
	assert_int_equal(vmsplice(fds[1], &held, 1, 0), PAGE_BYTES);
	assert_int_equal(huge_world_show(&w, first_page(3) + 7, 5), 0);
	assert_int_equal(huge_world_pages(&w), RAM_HUGE_PAGES);
	pmap_hide_again(w.pm);
	assert_int_equal(huge_world_pages(&w), RAM_HUGE_PAGES);
	(void)close(fds[0]);
	(void)close(fds[1]);
	pmap_hide_again(w.pm);
	assert_int_equal(huge_world_pages(&w), RAM_HUGE_PAGES - 5);
	pmap_hide_again(w.pm);
	huge_world_check(&w);
	huge_world_end(&w);
}

/* What runs cost counts, and where there is no room nothing changes. */
static void mappings_of_runs_are_counted(void **state)
{
	const uint64_t base = 2; /* the first run, and the tail */
	struct pmap_stats s;

	(void)state;
	huge_world_make(&w, base + 4);
	pmap_get_stats(w.pm, &s);
	assert_int_equal(s.mappings, base);
	assert_int_equal(huge_world_show(&w, first_page(3) + 5, 1), 0);
	pmap_get_stats(w.pm, &s);
	assert_int_equal(s.mappings, base + 4);
	assert_int_equal(huge_world_show(&w, first_page(6) + 5, 1), -ENOSPC);
	assert_int_equal(huge_world_show(&w, first_page(3) + 6, 1), 0);
	huge_world_check(&w);
	assert_int_equal(
		pmap_free(w.pm, (gfn_t){ first_page(3) }, RAM_HUGE_PAGES), 0);
	memset(huge_world_shadow(&w, first_page(3)), 0, RAM_HUGE_BYTES);
	pmap_get_stats(w.pm, &s);
	assert_int_equal(s.mappings, base);
	huge_world_check(&w);
	huge_world_end(&w);
}

/* A view without a whole run, and one of another alignment. */
static void small_views_have_none(void **state)
{
	struct ram_view v = { .hva = (uint8_t *)RAM_HUGE_BYTES,
			      .bytes = RAM_HUGE_BYTES - PAGE_BYTES };
	struct ram_huge *h;

	(void)state;
	assert_int_equal(ram_huge_create(&v, 0, &h), -EOPNOTSUPP);
	v.bytes = 4 * RAM_HUGE_BYTES;
	assert_int_equal(ram_huge_create(&v, v.bytes, &h), -EOPNOTSUPP);
	v.hva += PAGE_BYTES;
	assert_int_equal(ram_huge_create(&v, 0, &h), -EOPNOTSUPP);
	ram_huge_destroy(NULL);
}

/* CPU time of a look at so much memory, all of it there in small pages. */
static uint64_t look_ns(uint64_t bytes)
{
	uint64_t room = bytes + RAM_HUGE_BYTES, best = UINT64_MAX;
	struct ram_view view = { .bytes = bytes,
				 .fd = memfd_create("ram", MFD_CLOEXEC) };
	uint8_t *p =
		mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct timespec from, to;
	struct ram_huge *h;

	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(ftruncate(view.fd, (off_t)bytes), 0);
	view.hva = mmap((uint8_t *)align_up((uintptr_t)p, RAM_HUGE_BYTES),
			bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			view.fd, 0);
	assert_ptr_not_equal(view.hva, MAP_FAILED);
	memset(view.hva, 1, bytes);
	if (ram_huge_create(&view, 0, &h))
		SKIP("no huge pages in this kernel");
	for (unsigned i = 0; i < 5; i++) {
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
		assert_int_equal(ram_huge_bytes(h), bytes);
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
		best = min_u64(best, (uint64_t)(to.tv_sec - from.tv_sec) * S +
					     (uint64_t)to.tv_nsec -
					     (uint64_t)from.tv_nsec);
	}
	ram_huge_destroy(h);
	(void)munmap(p, room);
	(void)close(view.fd);
	return best;
}

/*
 * Four times the memory takes four times as long. Were the end of each run looked
 * for by SEEK_HOLE, which goes on to the end of the file, it would be sixteen.
 */
static void a_look_does_not_go_on_behind_a_run(void **state)
{
	uint64_t small = look_ns(MIB(64)), large = look_ns(MIB(256));

	(void)state;
	print_message("# 64 MiB: %llu ns, 256 MiB: %llu ns\n",
		      (unsigned long long)small, (unsigned long long)large);
	assert_true(large < 9 * small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_touched_run_is_huge),
		cmocka_unit_test(an_overlay_takes_its_run_apart),
		cmocka_unit_test(what_is_saved_stays_saved),
		cmocka_unit_test(a_run_that_is_freed_is_huge_again),
		cmocka_unit_test(a_trap_takes_its_run_apart),
		cmocka_unit_test(a_run_is_collapsed_after_its_rest),
		cmocka_unit_test(sparse_and_idle_runs_stay_small),
		cmocka_unit_test(a_run_does_not_ping_pong),
		cmocka_unit_test(an_overlay_stops_a_collapse),
		cmocka_unit_test(a_run_with_a_hole_is_shut),
		cmocka_unit_test(what_is_held_is_given_back_later),
		cmocka_unit_test(mappings_of_runs_are_counted),
		cmocka_unit_test(small_views_have_none),
		cmocka_unit_test(a_look_does_not_go_on_behind_a_run),
	};

	return cmocka_run_group_tests_name("ram_huge", tests, NULL, NULL);
}
