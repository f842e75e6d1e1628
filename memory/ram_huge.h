/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Huge pages in a view of guest RAM.
 *
 * The view is divided into runs of 2 MiB. A run is *open* to a huge page
 * (MADV_HUGEPAGE) or *shut* (MADV_NOHUGEPAGE). Which of the two it is matters
 * when the first of its pages is touched: the kernel then takes a huge page for
 * an open run, or a page of 4 KiB. Later pages of a run that has any are small.
 *
 * INVARIANTS
 *  1. A run that shows anything but RAM is shut. So a huge page never has memory
 *     for a page that an overlay hides.
 *  2. Outside of overlays, the mappings of the view have no other difference than
 *     open or shut. So the view has at most one mapping more for each two
 *     neighbouring runs of which one is open (ram_huge_edges()).
 *
 * What takes a huge page apart: a hole that is punched into it, and
 * ram_huge_split(). The kernel frees the hole at once, and the other pages stay
 * where they are, as small ones. A run that was taken apart, or was shut, and
 * that shows nothing but RAM again, is a *candidate*: ram_huge_next() opens it,
 * and ram_huge_collapse() has the kernel gather its pages in a huge one, if
 *
 *	at least RAM_HUGE_RESIDENT of its 512 pages are there: what is gained must
 *	not be paid for with memory that nobody has touched,
 *	at least RAM_HUGE_MAPPED of them were touched since (the kernel unmaps all
 *	pages of a huge page that it takes apart): it is in use,
 *	and these are on one node.
 *
 * A candidate has to be at rest for RAM_HUGE_REST_S first. That doubles each
 * time that a collapse fails, or that a collapsed page is taken apart again, up
 * to RAM_HUGE_REST_S << RAM_HUGE_DOUBLINGS; so a run that overlays come to over
 * and over costs less and less.
 *
 * Context: the I/O thread, as for pmap.h, unless a function says otherwise.
 */
#ifndef DISCO_MEMORY_RAM_HUGE_H
#define DISCO_MEMORY_RAM_HUGE_H

#include "memory/guest_ram.h"

#define RAM_HUGE_PAGES	   512u /* of a run */
#define RAM_HUGE_BYTES	   (RAM_HUGE_PAGES * PAGE_BYTES)
#define RAM_HUGE_RESIDENT  448u /* so a collapse adds 1/8 at most */
#define RAM_HUGE_MAPPED	   256u
#define RAM_HUGE_REST_S	   10u
#define RAM_HUGE_DOUBLINGS 7u
#define RAM_HUGE_SHUT_COST 4u
#define RAM_HUGE_OPEN_COST 2u
#define RAM_HUGE_LOOKS	   4096u /* runs per ram_huge_next(), and counted */

struct ram_huge;

struct ram_huge_stats {
	uint64_t splits;    /* runs with memory that were taken apart */
	uint64_t collapses; /* runs that were made huge again */
	uint64_t aborted; /* collapses that the kernel or an overlay stopped */
};

/* What became of ram_huge_collapse(). */
enum ram_huge_result {
	RAM_HUGE_DONE,
	RAM_HUGE_EMPTY, /* no page is there: the next touch takes a huge one */
	RAM_HUGE_NOT_NOW, /* too few pages, too little used, or several nodes */
	RAM_HUGE_ABORTED,
};

/**
 * ram_huge_create() - open the runs of a view
 * @view:  outlives it; nothing is overlaid yet
 * @first: bytes at its start that stay small
 * @out:   release with ram_huge_destroy()
 *
 * Context: start of the worker. Return: 0; -ENOMEM; -EOPNOTSUPP the kernel has
 * no huge pages, or the view has no whole run, or one of another alignment.
 */
MUST_CHECK int ram_huge_create(const struct ram_view *view, uint64_t first,
			       struct ram_huge **out);

/* NULL is accepted. The view keeps its mappings. */
void ram_huge_destroy(struct ram_huge *h);

/* Mappings that the view has for runs that are open. */
uint64_t ram_huge_edges(const struct ram_huge *h);

/* How much more ram_huge_shut() of these pages makes of them, at most. */
unsigned ram_huge_cost(const struct ram_huge *h, uint64_t page, uint64_t nr);

/**
 * ram_huge_shut() - shut the runs of pages that are going to be overlaid
 *
 * The pages are RAM still. Return: 0; -errno of madvise(): some may be shut.
 */
MUST_CHECK int ram_huge_shut(struct ram_huge *h, uint64_t page, uint64_t nr);

/* Pages of runs that are shut were mapped anew: give them invariant 2. */
void ram_huge_mapped(struct ram_huge *h, uint64_t page, uint64_t nr);

/* One page more (1), or less (-1), of a run is not RAM. */
void ram_huge_count(struct ram_huge *h, uint64_t page, int more);

/*
 * A hole is going to be punched (before), and was (after). A run that is a hole
 * as a whole is opened, if it shows nothing but RAM; one of which a part is, is
 * shut. @room: there is room for RAM_HUGE_SHUT_COST and RAM_HUGE_OPEN_COST
 * mappings more, which that takes at most; else they stay what they are.
 */
void ram_huge_punch(struct ram_huge *h, uint64_t page, uint64_t nr, bool room);
void ram_huge_punched(struct ram_huge *h, uint64_t page, uint64_t nr,
		      bool room);

/*
 * Memory is left where a hole was punched: the kernel cannot take a huge page
 * apart that somebody holds, as direct I/O to another page of it does. The first
 * run, @run or later, of which that is so; each is found once.
 */
void ram_huge_stuck(struct ram_huge *h, uint64_t page);
bool ram_huge_next_stuck(struct ram_huge *h, uint64_t *run);

/* Take the huge page of @page apart, if there is one; no page is lost. */
void ram_huge_split(struct ram_huge *h, uint64_t page);

/**
 * ram_huge_next() - take a candidate that has had its rest
 * @now_ns: clock_now_ns()
 * @run:    out: its number
 *
 * It is open from then on, for which there must be room for two mappings more
 * (pmap_next_candidate()). Looks at RAM_HUGE_LOOKS runs at most, and goes on
 * where the last call stopped. Return: whether there is one; end it with
 * ram_huge_tried().
 */
bool ram_huge_next(struct ram_huge *h, uint64_t now_ns, uint64_t *run);

/**
 * ram_huge_collapse() - try to make a run huge
 * @view:    the pages in it must not be the target of O_DIRECT I/O for long: then
 *           it fails
 * @pagemap: descriptor of /proc/self/pagemap
 * @run:     of ram_huge_next()
 *
 * Guests may use the run meanwhile: they wait for as long as the kernel copies
 * it. Context: any thread; blocks for some milliseconds.
 */
enum ram_huge_result ram_huge_collapse(const struct ram_view *view, int pagemap,
				       uint64_t run);

/*
 * What became of it. Return: whether pages of the run were overlaid meanwhile:
 * then there may be memory under them, which is to be punched again.
 */
bool ram_huge_tried(struct ram_huge *h, uint64_t run, enum ram_huge_result how,
		    uint64_t now_ns);

/**
 * ram_huge_bytes() - guest RAM in huge pages
 *
 * Counted are runs that are open, were not taken apart, and are there as a whole.
 * What the kernel gave as small pages because it had no huge one counts, too, if
 * the guest has touched all of it. Of a view of more than RAM_HUGE_LOOKS runs, as
 * many are looked at, at equal distances.
 *
 * Context: any thread; moves the file offset of the view's descriptor.
 */
uint64_t ram_huge_bytes(const struct ram_huge *h);

/* Context: any thread. */
void ram_huge_get_stats(const struct ram_huge *h, struct ram_huge_stats *out);

#endif
