/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The states of a run, in its flags, and what changes them:
 *
 *	OPEN	set at the start, by ram_huge_next(), and when a run has become a
 *		hole; taken away by ram_huge_shut()
 *	APART	set when a huge page may have been taken apart; taken away when
 *		the run is huge again, or a hole
 *	NEVER	no whole run, or one of those that stay small: never open
 *	TRYING	between ram_huge_next() and ram_huge_tried()
 *	MADE	by a collapse: to take it apart doubles its next rest
 *	AJAR	with TRYING: it was shut before, and is again if it is not collapsed
 *
 *	STUCK	a hole that was punched into it has memory still: somebody held the
 *		huge page
 *
 * A run of which a part is a hole is shut as well, if there is room for its
 * mappings: Linux's khugepaged would fill the hole in a run that is open.
 */
#include "memory/ram_huge.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disco/clock.h"
#include "disco/pagemap.h"
#include "numa/bind.h"

#ifndef MADV_COLD
#define MADV_COLD 20 /* Linux 5.4 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

#define NS_PER_S 1000000000ull

enum {
	OPEN = 1,
	APART = 2,
	NEVER = 4,
	TRYING = 8,
	MADE = 16,
	AJAR = 32,
	STUCK = 64,
};

struct huge_run {
	_Atomic(uint8_t) flags; /* [A: I/O thread / any, relaxed] */
	uint8_t doublings;
	uint16_t not_ram; /* its pages that are not */
	uint32_t due_s;	  /* of a candidate */
};

_Static_assert(sizeof(struct huge_run) == 8, "4 bytes per MiB");

struct ram_huge {
	const struct ram_view *view;
	uint64_t nr;	/* runs; the last one may not be whole */
	uint64_t edges; /* see ram_huge_edges() */
	uint64_t next;	/* run at which ram_huge_next() goes on */
	uint64_t stuck; /* runs that are STUCK */
	/* [A: I/O thread / any, relaxed: statistics] */
	_Atomic(uint64_t) splits, collapses, aborted;
	struct huge_run runs[];
};

static unsigned flags_of(const struct ram_huge *h, uint64_t run)
{
	return atomic_load_explicit(&h->runs[run].flags, memory_order_relaxed);
}

static bool ram_huge_has(const struct ram_huge *h, uint64_t run, unsigned flags)
{
	return flags_of(h, run) & flags;
}

/* One writer; readers count, and order nothing by it. */
static void ram_huge_set(struct ram_huge *h, uint64_t run, unsigned set,
			 unsigned clear)
{
	unsigned now = (flags_of(h, run) | set) & ~clear;

	atomic_store_explicit(&h->runs[run].flags, (uint8_t)now,
			      memory_order_relaxed);
}

static void ram_huge_add(_Atomic(uint64_t) *count)
{
	uint64_t now = atomic_load_explicit(count, memory_order_relaxed);

	atomic_store_explicit(count, now + 1, memory_order_relaxed);
}

/* --- mappings --- */

static uint8_t *ram_huge_at(const struct ram_view *view, uint64_t run)
{
	return view->hva + run * RAM_HUGE_BYTES;
}

static uint64_t ram_huge_length(const struct ram_huge *h, uint64_t run)
{
	return min_u64(RAM_HUGE_BYTES, h->view->bytes - run * RAM_HUGE_BYTES);
}

/* Edges at both ends of a run. */
static unsigned ram_huge_edges_of(const struct ram_huge *h, uint64_t run)
{
	bool open = ram_huge_has(h, run, OPEN);

	return (run > 0 && ram_huge_has(h, run - 1, OPEN) != open) +
	       (run + 1 < h->nr && ram_huge_has(h, run + 1, OPEN) != open);
}

/* Return: 0; -errno: it is what it was. */
static int ram_huge_turn(struct ram_huge *h, uint64_t run, bool open)
{
	if (ram_huge_has(h, run, OPEN) == open)
		return 0;
	if (madvise(ram_huge_at(h->view, run), RAM_HUGE_BYTES,
		    open ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) < 0)
		return -errno;
	h->edges -= ram_huge_edges_of(h, run);
	ram_huge_set(h, run, open ? OPEN : 0, open ? 0 : OPEN);
	h->edges += ram_huge_edges_of(h, run);
	return 0;
}

uint64_t ram_huge_edges(const struct ram_huge *h)
{
	return h->edges;
}

/* The runs of @nr pages: [*@run, the result). */
static uint64_t ram_huge_runs(uint64_t page, uint64_t nr, uint64_t *run)
{
	*run = page / RAM_HUGE_PAGES;
	return (page + nr + RAM_HUGE_PAGES - 1) / RAM_HUGE_PAGES;
}

unsigned ram_huge_cost(const struct ram_huge *h, uint64_t page, uint64_t nr)
{
	uint64_t run, end = ram_huge_runs(page, nr, &run);

	for (; run < end; run++)
		if (ram_huge_has(h, run, OPEN))
			return 2;
	return 0;
}

/* --- taken apart --- */

/* Has the run any memory? */
static bool ram_huge_any(const struct ram_huge *h, uint64_t run)
{
	uint64_t at = run * RAM_HUGE_BYTES;
	off_t data = lseek(h->view->fd, (off_t)at, SEEK_DATA);

	return data >= 0 && (uint64_t)data < at + RAM_HUGE_BYTES;
}

static void ram_huge_rest(struct ram_huge *h, uint64_t run, uint64_t now_ns)
{
	struct huge_run *r = &h->runs[run];

	r->due_s = (uint32_t)(now_ns / NS_PER_S) +
		   (RAM_HUGE_REST_S << r->doublings);
}

static void ram_huge_double(struct ram_huge *h, uint64_t run)
{
	h->runs[run].doublings = (uint8_t)min_u64(h->runs[run].doublings + 1u,
						  RAM_HUGE_DOUBLINGS);
}

/* It is going to be, if it is huge. */
static void ram_huge_take_apart(struct ram_huge *h, uint64_t run)
{
	if (ram_huge_has(h, run, NEVER | APART) ||
	    !ram_huge_has(h, run, OPEN) || !ram_huge_any(h, run))
		return;
	if (ram_huge_has(h, run, MADE))
		ram_huge_double(h, run);
	ram_huge_set(h, run, APART, MADE);
	ram_huge_rest(h, run, clock_now_ns());
	ram_huge_add(&h->splits);
}

int ram_huge_shut(struct ram_huge *h, uint64_t page, uint64_t nr)
{
	uint64_t run, end = ram_huge_runs(page, nr, &run);
	int err = 0;

	for (; run < end && !err; run++) {
		ram_huge_take_apart(h, run);
		err = ram_huge_turn(h, run, false);
	}
	return err;
}

void ram_huge_mapped(struct ram_huge *h, uint64_t page, uint64_t nr)
{
	/* In vain: a mapping more than was counted, and no huge page in it. */
	(void)madvise(h->view->hva + page * PAGE_BYTES, nr * PAGE_BYTES,
		      MADV_NOHUGEPAGE);
}

void ram_huge_count(struct ram_huge *h, uint64_t page, int more)
{
	struct huge_run *r = &h->runs[page / RAM_HUGE_PAGES];

	r->not_ram = (uint16_t)(r->not_ram + more);
	if (!r->not_ram && !ram_huge_has(h, page / RAM_HUGE_PAGES, NEVER))
		ram_huge_rest(h, page / RAM_HUGE_PAGES, clock_now_ns());
}

/* A part of it goes. In vain: the kernel may fill it in some day. */
static void ram_huge_break(struct ram_huge *h, uint64_t run, bool room)
{
	ram_huge_take_apart(h, run);
	if (room && ram_huge_has(h, run, APART))
		(void)!ram_huge_turn(h, run, false);
}

void ram_huge_punch(struct ram_huge *h, uint64_t page, uint64_t nr, bool room)
{
	uint64_t run, end = ram_huge_runs(page, nr, &run);

	/* Those in the middle go as a whole. */
	if (page % RAM_HUGE_PAGES || nr < RAM_HUGE_PAGES)
		ram_huge_break(h, run, room);
	if ((page + nr) % RAM_HUGE_PAGES && end > run + 1)
		ram_huge_break(h, end - 1, room);
}

void ram_huge_punched(struct ram_huge *h, uint64_t page, uint64_t nr, bool room)
{
	uint64_t run = (page + RAM_HUGE_PAGES - 1) / RAM_HUGE_PAGES;

	for (; (run + 1) * RAM_HUGE_PAGES <= page + nr; run++) {
		if (ram_huge_has(h, run, NEVER) || h->runs[run].not_ram)
			continue;
		ram_huge_set(h, run, 0, APART | MADE);
		/* In vain: it stays a candidate. */
		if (room)
			(void)!ram_huge_turn(h, run, true);
	}
}

void ram_huge_split(struct ram_huge *h, uint64_t page)
{
	uint64_t run = page / RAM_HUGE_PAGES;

	if (ram_huge_has(h, run, NEVER | APART) || !ram_huge_has(h, run, OPEN))
		return;
	ram_huge_take_apart(h, run);
	/*
	 * Of a part of a huge page that this process alone maps, the kernel
	 * makes small ones first. It fails while another thread has the page.
	 */
	(void)madvise(h->view->hva + page * PAGE_BYTES, PAGE_BYTES, MADV_COLD);
}

void ram_huge_stuck(struct ram_huge *h, uint64_t page)
{
	uint64_t run = page / RAM_HUGE_PAGES;

	if (ram_huge_has(h, run, STUCK))
		return;
	ram_huge_set(h, run, STUCK, 0);
	h->stuck++;
}

bool ram_huge_next_stuck(struct ram_huge *h, uint64_t *run)
{
	for (uint64_t i = *run; h->stuck && i < h->nr; i++) {
		if (!ram_huge_has(h, i, STUCK))
			continue;
		ram_huge_set(h, i, 0, STUCK);
		h->stuck--;
		*run = i;
		return true;
	}
	return false;
}

/* --- made huge again --- */

static bool ram_huge_is_candidate(const struct ram_huge *h, uint64_t run)
{
	unsigned flags = flags_of(h, run);

	return !h->runs[run].not_ram && !(flags & (NEVER | TRYING)) &&
	       (flags & (OPEN | APART)) != OPEN;
}

bool ram_huge_next(struct ram_huge *h, uint64_t now_ns, uint64_t *run)
{
	uint64_t looks = min_u64(h->nr, RAM_HUGE_LOOKS);

	for (; looks; looks--) {
		uint64_t at = h->next;
		bool shut = !ram_huge_has(h, at, OPEN);

		h->next = at + 1 == h->nr ? 0 : at + 1;
		if (!ram_huge_is_candidate(h, at) ||
		    now_ns / NS_PER_S < h->runs[at].due_s)
			continue;
		if (ram_huge_turn(h, at, true)) {
			ram_huge_rest(h, at, now_ns);
			continue;
		}
		ram_huge_set(h, at, TRYING | APART | (shut ? AJAR : 0), 0);
		*run = at;
		return true;
	}
	return false;
}

/*
 * How many pages of the run have memory? SEEK_HOLE would go on to the first hole
 * of the file, through all of RAM. Return: -errno of mincore().
 */
static int ram_huge_resident(const struct ram_view *view, uint64_t run)
{
	uint64_t at = run * RAM_HUGE_BYTES;
	off_t data = lseek(view->fd, (off_t)at, SEEK_DATA);
	unsigned char there[RAM_HUGE_PAGES];
	int nr = 0;

	if (data < 0 || (uint64_t)data >= at + RAM_HUGE_BYTES)
		return 0;
	if (mincore(ram_huge_at(view, run), RAM_HUGE_BYTES, there) < 0)
		return -errno;
	for (unsigned i = 0; i < RAM_HUGE_PAGES; i++)
		nr += there[i] & 1;
	return nr;
}

/* Is enough of it in use, on one node? */
static bool ram_huge_is_hot(const struct ram_view *view, int pagemap,
			    uint64_t run)
{
	struct node_counts on = { .nr = 0 };
	uint8_t *at = ram_huge_at(view, run);
	void *pages[RAM_HUGE_PAGES];
	uint64_t e[RAM_HUGE_PAGES];
	unsigned nr = 0;

	if (pagemap_read(pagemap, (uintptr_t)at / PAGE_BYTES, e,
			 RAM_HUGE_PAGES) != (int64_t)RAM_HUGE_PAGES)
		return false;
	for (unsigned i = 0; i < RAM_HUGE_PAGES; i++)
		if (e[i] & PM_PRESENT)
			pages[nr++] = at + i * PAGE_BYTES;
	return nr >= RAM_HUGE_MAPPED && node_pages_at(pages, nr, &on) == 0 &&
	       on.nr == 1;
}

enum ram_huge_result ram_huge_collapse(const struct ram_view *view, int pagemap,
				       uint64_t run)
{
	int resident = ram_huge_resident(view, run);

	if (!resident)
		return RAM_HUGE_EMPTY;
	if (resident < (int)RAM_HUGE_RESIDENT ||
	    !ram_huge_is_hot(view, pagemap, run))
		return RAM_HUGE_NOT_NOW;
	return madvise(ram_huge_at(view, run), RAM_HUGE_BYTES, MADV_COLLAPSE)
		       ? RAM_HUGE_ABORTED
		       : RAM_HUGE_DONE;
}

bool ram_huge_tried(struct ram_huge *h, uint64_t run, enum ram_huge_result how,
		    uint64_t now_ns)
{
	/* Shut meanwhile: something was overlaid, whether or not it is now. */
	bool stopped = !ram_huge_has(h, run, OPEN);

	bool ajar = ram_huge_has(h, run, AJAR);

	ram_huge_set(h, run, 0, TRYING | AJAR);
	if (stopped && (how == RAM_HUGE_DONE || how == RAM_HUGE_EMPTY))
		how = RAM_HUGE_ABORTED;
	if (how == RAM_HUGE_DONE)
		ram_huge_set(h, run, MADE, APART);
	else if (how == RAM_HUGE_EMPTY)
		ram_huge_set(h, run, 0, APART);
	if (how == RAM_HUGE_DONE)
		ram_huge_add(&h->collapses);
	else if (how == RAM_HUGE_ABORTED)
		ram_huge_add(&h->aborted);
	if (how != RAM_HUGE_DONE && how != RAM_HUGE_EMPTY) {
		ram_huge_double(h, run);
		ram_huge_rest(h, run, now_ns);
		if (ajar)
			(void)!ram_huge_turn(h, run, false);
	}
	return h->runs[run].not_ram;
}

/* --- all of them --- */

static bool ram_huge_is_whole(const struct ram_huge *h, uint64_t run)
{
	return (flags_of(h, run) & (OPEN | APART)) == OPEN &&
	       ram_huge_resident(h->view, run) == (int)RAM_HUGE_PAGES;
}

uint64_t ram_huge_bytes(const struct ram_huge *h)
{
	uint64_t step = (h->nr + RAM_HUGE_LOOKS - 1) / RAM_HUGE_LOOKS;
	uint64_t found = 0;

	for (uint64_t run = 0; run < h->nr; run += step)
		found += ram_huge_is_whole(h, run);
	return min_u64(found * step * RAM_HUGE_BYTES, h->view->bytes);
}

void ram_huge_get_stats(const struct ram_huge *h, struct ram_huge_stats *out)
{
	*out = (struct ram_huge_stats){
		.splits =
			atomic_load_explicit(&h->splits, memory_order_relaxed),
		.collapses = atomic_load_explicit(&h->collapses,
						  memory_order_relaxed),
		.aborted =
			atomic_load_explicit(&h->aborted, memory_order_relaxed),
	};
}

/* Runs up to @first, and the rest of a run at the end. */
static int ram_huge_open_all(struct ram_huge *h, uint64_t first)
{
	uint64_t from = (first + RAM_HUGE_BYTES - 1) / RAM_HUGE_BYTES, run;
	uint64_t whole = h->view->bytes / RAM_HUGE_BYTES;

	for (run = 0; run < h->nr; run++) {
		bool never = run < from || run >= whole;

		if (never)
			ram_huge_mapped(h, run * RAM_HUGE_PAGES,
					ram_huge_length(h, run) / PAGE_BYTES);
		ram_huge_set(h, run, never ? NEVER : OPEN, 0);
		h->edges += run > 0 && ram_huge_has(h, run - 1, OPEN) == never;
	}
	if (from >= whole)
		return -EOPNOTSUPP;
	return madvise(ram_huge_at(h->view, from),
		       (whole - from) * RAM_HUGE_BYTES, MADV_HUGEPAGE) < 0
		       ? -EOPNOTSUPP
		       : 0;
}

int ram_huge_create(const struct ram_view *view, uint64_t first,
		    struct ram_huge **out)
{
	uint64_t nr = (view->bytes + RAM_HUGE_BYTES - 1) / RAM_HUGE_BYTES;
	struct ram_huge *h;
	int err;

	if ((uintptr_t)view->hva % RAM_HUGE_BYTES)
		return -EOPNOTSUPP;
	h = calloc(1, sizeof(*h) + nr * sizeof(h->runs[0]));
	if (!h)
		return -ENOMEM;
	h->view = view;
	h->nr = nr;
	err = ram_huge_open_all(h, first);
	if (err) {
		ram_huge_destroy(h);
		return err;
	}
	*out = h;
	return 0;
}

void ram_huge_destroy(struct ram_huge *h)
{
	free(h);
}
