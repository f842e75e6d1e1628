/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/placement/page_copies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct rest {
	uint64_t page;	 /* + 1; 0: none */
	uint64_t end_ns; /* of the rest */
	uint8_t times;	 /* doublings so far */
};

struct page_copies {
	struct rest rests[PLACEMENT_RESTS]; /* by page, modulo */
	uint64_t bytes;			    /* of .there */
	uint8_t there[];		    /* a bit per page: it has copies */
};

int page_copies_create(uint64_t pages, struct page_copies **out)
{
	uint64_t bytes = pages / 8 + 1;
	struct page_copies *c = calloc(1, sizeof(*c) + bytes);

	if (!c)
		return -ENOMEM;
	c->bytes = bytes;
	*out = c;
	return 0;
}

void page_copies_destroy(struct page_copies *c)
{
	free(c);
}

bool page_copies_are_there(const struct page_copies *c, uint64_t page)
{
	return c && c->there[page / 8] >> page % 8 & 1;
}

void page_copies_set(struct page_copies *c, uint64_t page, bool there)
{
	uint8_t bit = (uint8_t)(1u << page % 8);

	if (there)
		c->there[page / 8] |= bit;
	else
		c->there[page / 8] &= (uint8_t)~bit;
}

void page_copies_forget(struct page_copies *c)
{
	memset(c->there, 0, c->bytes);
}

bool page_copies_resting(const struct page_copies *c, uint64_t page,
			 uint64_t now_ns)
{
	const struct rest *r;

	if (!c)
		return false;
	r = &c->rests[page % PLACEMENT_RESTS];
	return r->page == page + 1 && now_ns < r->end_ns;
}

void page_copies_begin_rest(struct page_copies *c, uint64_t page,
			    uint64_t now_ns)
{
	struct rest *r = &c->rests[page % PLACEMENT_RESTS];
	uint64_t last = PLACEMENT_REST_NS << r->times;
	bool again = r->page == page + 1 && now_ns < r->end_ns + last;

	if (page_copies_resting(c, page, now_ns))
		return;
	r->times = again ? (uint8_t)min_u64(r->times + 1u, PLACEMENT_RESTS_MAX)
			 : 0;
	r->page = page + 1;
	r->end_ns = now_ns + (PLACEMENT_REST_NS << r->times);
}

void page_copies_done(struct page_copies *c, uint64_t page, uint64_t pages,
		      bool made, uint64_t now_ns)
{
	for (uint64_t i = 0; i < pages; i++) {
		if (made)
			page_copies_set(c, page + i, true);
		else
			page_copies_begin_rest(c, page + i, now_ns);
	}
}
