/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an engine knows of the pages of a guest that have copies
 * (placement_track_copies()): which have some, by a bit per page, and which get none
 * for a while.
 *
 * A page rests when its copies ended by a write, or when it could get none: for
 * PLACEMENT_REST_NS, and twice as long each time, up to PLACEMENT_RESTS_MAX
 * doublings. One that has gone without for as long again begins anew. Of
 * PLACEMENT_RESTS pages that is known: so does a page that another one has taken the
 * place of.
 *
 * Context: the engine's. Pages are within those of the guest.
 */
#ifndef DISCO_MEMORY_PAGE_COPIES_H
#define DISCO_MEMORY_PAGE_COPIES_H

#include "disco/base.h"

#define PLACEMENT_REST_NS   5000000000ull
#define PLACEMENT_RESTS_MAX 10u
#define PLACEMENT_RESTS	    4096u

struct page_copies;

/* No page has copies. Return: 0; -ENOMEM. Release with page_copies_destroy(). */
MUST_CHECK int page_copies_create(uint64_t pages, struct page_copies **out);

/* NULL is accepted. */
void page_copies_destroy(struct page_copies *c);

/* NULL: no page has any. */
bool page_copies_are_there(const struct page_copies *c, uint64_t page);
void page_copies_set(struct page_copies *c, uint64_t page, bool there);

/* No page has copies any more; those that rest go on. */
void page_copies_forget(struct page_copies *c);

/* Does the page rest? NULL: none does. */
bool page_copies_resting(const struct page_copies *c, uint64_t page,
			 uint64_t now_ns);

/* What two messages say of one write is one rest. */
void page_copies_begin_rest(struct page_copies *c, uint64_t page,
			    uint64_t now_ns);

/* Pages were to have copies: they were made, or else the pages rest. */
void page_copies_done(struct page_copies *c, uint64_t page, uint64_t pages,
		      bool made, uint64_t now_ns);

#endif
