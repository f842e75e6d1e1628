/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frame_of has the frame of each page. The slots are a hash table of pages by
 * their frame: linear probing, and entries after one that goes move up, so that
 * there are no tombstones. A slot has page + 1; its frame is in frame_of.
 */
#include "memory/placement/frames.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_PAGES (1ull << 28)

struct frame_map {
	uint64_t pages;
	uint32_t *frame_of; /* by page; 0: none */
	uint32_t *slots;    /* page + 1; 0: free */
	uint64_t mask;	    /* slots less 1 */
	unsigned shift;
};

int frame_map_create(struct frame_map **out, uint64_t pages)
{
	struct frame_map *m;
	unsigned bits = 4;

	if (!pages || pages > MAX_PAGES)
		return -EINVAL;
	/* At most 4 of 5 slots are taken. */
	while ((1ull << bits) < pages + pages / 4)
		bits++;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->pages = pages;
	m->mask = (1ull << bits) - 1;
	m->shift = 64 - bits;
	m->frame_of = calloc(pages, sizeof(*m->frame_of));
	m->slots = calloc(m->mask + 1, sizeof(*m->slots));
	if (!m->frame_of || !m->slots) {
		frame_map_destroy(m);
		return -ENOMEM;
	}
	*out = m;
	return 0;
}

void frame_map_destroy(struct frame_map *m)
{
	if (!m)
		return;
	free(m->frame_of);
	free(m->slots);
	free(m);
}

static uint64_t frame_map_home(const struct frame_map *m, uint32_t frame)
{
	return frame * 0x9e3779b97f4a7c15ull >> m->shift;
}

/* The slot that has @frame, or the free one where it would be. */
static uint64_t frame_map_slot(const struct frame_map *m, uint32_t frame)
{
	uint64_t at = frame_map_home(m, frame);

	while (m->slots[at] && m->frame_of[m->slots[at] - 1] != frame)
		at = (at + 1) & m->mask;
	return at;
}

/* Whether an entry whose home is @home may stand at @hole instead of at @at. */
static bool frame_map_may_move(uint64_t home, uint64_t hole, uint64_t at,
			       uint64_t mask)
{
	return ((at - home) & mask) >= ((at - hole) & mask);
}

static void frame_map_remove(struct frame_map *m, uint32_t frame)
{
	uint64_t hole = frame_map_slot(m, frame), at = hole;

	if (!m->slots[hole])
		return;
	while (m->slots[at = (at + 1) & m->mask]) {
		uint32_t other = m->frame_of[m->slots[at] - 1];

		if (frame_map_may_move(frame_map_home(m, other), hole, at,
				       m->mask)) {
			m->slots[hole] = m->slots[at];
			hole = at;
		}
	}
	m->slots[hole] = 0;
}

void frame_map_set(struct frame_map *m, uint64_t page, uint64_t frame)
{
	uint64_t at;

	if (page >= m->pages || frame > FRAMES_MAX_FRAME ||
	    m->frame_of[page] == frame)
		return;
	if (m->frame_of[page])
		frame_map_remove(m, m->frame_of[page]);
	m->frame_of[page] = 0;
	if (!frame)
		return;
	at = frame_map_slot(m, (uint32_t)frame);
	if (m->slots[at])
		m->frame_of[m->slots[at] - 1] = 0; /* it was there before */
	m->slots[at] = (uint32_t)page + 1;
	m->frame_of[page] = (uint32_t)frame;
}

bool frame_map_find(const struct frame_map *m, uint64_t frame, uint64_t *page)
{
	uint64_t at;

	if (!frame || frame > FRAMES_MAX_FRAME)
		return false;
	at = frame_map_slot(m, (uint32_t)frame);
	if (!m->slots[at])
		return false;
	*page = m->slots[at] - 1;
	return true;
}
