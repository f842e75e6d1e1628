/* SPDX-License-Identifier: BSD-2-Clause */
/* What the owner of copies does for who decides about them: copies_link.h. */
#include <errno.h>

#include "disco/clock.h"
#include "memory/replica/copies_move.h"
#include "memory/replica/ram_copies_internal.h"

void copies_take_link(struct ram_copies *c, const int *fds)
{
	copies_link_close(&c->link);
	/* What was found before is old. */
	c->nr_found = c->next_found = 0;
	/* Without one the scan decides. */
	(void)!copies_link_open(&c->link, fds, false);
}

void copies_unlink(struct ram_copies *c)
{
	copies_link_close(&c->link);
	if (c->spec.round_ns)
		c->scan_due_ns = clock_now_ns();
}

static uint64_t copies_views_of(const struct ram_copies *c, int32_t node)
{
	uint64_t views = 0;

	for (unsigned i = 0; i < c->spec.nr_views; i++)
		if (c->spec.nodes[i] == node)
			views |= 1ull << i;
	return views;
}

static void copies_note_replicate(struct ram_copies *c,
				  const struct copies_note *n)
{
	const struct home_page *p = &c->pages[n->page];
	uint64_t views = copies_views_of(c, n->node);
	int err = views ? copies_replicate(c, n->page, views) : -ENODEV;

	if (err)
		copies_link_tell(&c->link, n->page,
				 err == -ENODEV		  ? COPIES_FULL
				 : p->state == HOME_PLAIN ? COPIES_RESTS
							  : COPIES_BUSY,
				 0);
	else if (p->state == HOME_SHARED)
		copies_link_tell(&c->link, n->page,
				 (p->copied & views) == views ? COPIES_COPIED
							      : COPIES_FULL,
				 0);
	/* Else it is on trial: copies_op_settled() has the answer. */
	copies_pump(c);
}

/* The mapping of the view that is there keeps the pages. */
static void copies_move_plain(struct ram_copies *c,
			      const struct copies_note *notes, unsigned nr)
{
	uint64_t pages[COPIES_MOVE_PAGES], begun = clock_now_ns(), each;
	uint64_t views = copies_views_of(c, notes[0].node);
	unsigned keeps = views ? (unsigned)__builtin_ctzll(views) : 0;
	uint8_t *base[COPIES_MAPS + 1];
	bool moved[COPIES_MOVE_PAGES];

	for (unsigned i = 0; i < c->nr_maps; i++)
		base[i] = c->maps[i].map.base;
	base[c->nr_maps] = (uint8_t *)(uintptr_t)c->pages_of_ram;
	base[0] = c->maps[keeps].map.base;
	base[keeps] = c->maps[0].map.base;
	for (unsigned i = 0; i < nr; i++)
		pages[i] = notes[i].page;
	copies_move(base, c->nr_maps + 1, pages, nr, notes[0].node, moved);
	each = (clock_now_ns() - begun) / nr;
	for (unsigned i = 0; i < nr; i++)
		copies_link_tell(&c->link, pages[i],
				 moved[i] ? COPIES_MOVED : COPIES_NOT_MOVED,
				 each);
}

/*
 * A page with copies does not move: who decides does not know how often these
 * are accessed. One that is on trial will have some, or is written. Return:
 * whether the page can be moved.
 */
static bool copies_may_move(struct ram_copies *c, const struct copies_note *n)
{
	uint8_t state = c->pages[n->page].state;

	if (state != HOME_PLAIN)
		copies_link_tell(&c->link, n->page,
				 state == HOME_SHARED ? COPIES_HAS_COPIES
						      : COPIES_BUSY,
				 0);
	return state == HOME_PLAIN;
}

/* Some of what was decided. Moves to one node are made at once. */
void copies_take_notes(struct ram_copies *c)
{
	struct copies_note moves[COPIES_MOVE_PAGES], n;
	unsigned nr = 0;
	int err = 0;

	for (unsigned i = 0; i < COPIES_MOVE_PAGES && !err; i++) {
		err = chan_try_recv(&c->link.rx, &n);
		if (err || n.page >= copies_pages(c))
			continue;
		if (n.kind == COPIES_REPLICATE)
			copies_note_replicate(c, &n);
		if (n.kind != COPIES_MOVE || !copies_may_move(c, &n))
			continue;
		if (nr && moves[0].node != n.node) {
			copies_move_plain(c, moves, nr);
			nr = 0;
		}
		moves[nr++] = n;
	}
	if (nr)
		copies_move_plain(c, moves, nr);
	if (err == -EPROTO)
		copies_unlink(c);
}

int copies_link_look(struct ram_copies *c)
{
	int err = copies_link_is_open(&c->link) ? chan_sleep_begin(&c->link.rx)
						: -ENOTCONN;

	if (err == -EPROTO)
		copies_unlink(c);
	return err == 0 ? 0 : err == -EAGAIN ? 1 : -1;
}
