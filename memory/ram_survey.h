/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * On which node the pages of guest RAM are: counted for some of them, or for
 * all.
 *
 * move_pages(2) takes time for each page that it is asked about, so a count of
 * all pages takes as long as the guest is large. A survey has a budget of pages
 * instead. What is certainly absent costs nothing: holes of the RAM memfd that
 * no overlay covers (SEEK_DATA, pmap_skip()). The view is divided into at most
 * RAM_SURVEY_CHUNKS chunks, and the budget is spent evenly on the chunks that
 * are not all absent. If that suffices for all of their pages, the survey is
 * exact. Otherwise one random page is looked at in each of as many equal parts
 * of a chunk, and the counts are estimates. A share of 0 % or 100 % of the
 * pages that were looked at stays 0 % or 100 % in the estimate.
 */
#ifndef DISCO_MEMORY_RAM_SURVEY_H
#define DISCO_MEMORY_RAM_SURVEY_H

#include "memory/pmap.h"
#include "numa/bind.h"

#define RAM_SURVEY_CHUNKS 4096u
#define RAM_SURVEY_PAGES  32768u     /* a budget: 128 MiB are exact */
#define RAM_SURVEY_ALL	  UINT64_MAX /* a budget: look at all pages */

struct ram_survey_ask {
	uint64_t budget; /* pages to look at, RAM_SURVEY_CHUNKS or more */
	uint64_t seed;	 /* another one chooses other pages */
	/*
	 * The guest touches pages by other mappings: those that have memory are
	 * mapped to be looked at, some around them, and no others.
	 */
	bool map;
	/* Called between batches; true ends the survey. May be NULL. */
	bool (*stop)(void *arg);
	void *arg;
};

struct ram_survey {
	uint64_t pages;	       /* that this process has mapped to memory */
	struct node_counts on; /* the same, by node */
	uint64_t looked;       /* pages that the counts are made of */
	bool exact;	       /* no page was left out that can be mapped */
};

/**
 * ram_survey() - find out where guest RAM is
 * @pm:  of @view; NULL: nothing is overlaid
 * @out: untouched on error
 *
 * Pages may come, go and move meanwhile, so even an exact survey is no snapshot
 * of a running guest.
 *
 * Context: any thread but one that others wait for: with a budget it takes
 * milliseconds, with RAM_SURVEY_ALL as long as the touched memory is large.
 * Takes mmap_lock for reading and releases it after each 512 pages. Moves the
 * file offset of @view->fd. Needs 12 KiB of stack.
 * Return: 0; -ECANCELED by @ask->stop; errors of node_pages_at() (numa/bind.h).
 * Source: move_pages(2), lseek(2).
 */
MUST_CHECK int ram_survey(const struct ram_view *view, const struct pmap *pm,
			  const struct ram_survey_ask *ask,
			  struct ram_survey *out);

#endif
