/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/replica/holder.h"

#include <errno.h>

static bool bit_get(const uint64_t *bits, uint32_t page)
{
	return bits[page / 64] >> (page % 64) & 1;
}

/* Return: true if it has changed. */
static bool bit_set(uint64_t *bits, uint32_t page, bool value)
{
	uint64_t bit = 1ull << (page % 64);

	if (bit_get(bits, page) == value)
		return false;
	bits[page / 64] ^= bit;
	return true;
}

static int holder_send(struct holder *h, enum replica_kind kind, uint32_t turn,
		       uint32_t page)
{
	const struct replica_msg m = {
		.kind = kind, .turn = turn, .first = page, .nr = 1
	};

	return h->ops->send(h->arg, &m) ? 0 : -EPIPE;
}

/* To whatever was shown before: the segment, protected. */
static int holder_hide(struct holder *h, uint32_t page)
{
	struct holder_range hidden = { page, 1 };
	int err;

	if (!bit_get(h->shown, page))
		return 0;
	err = h->ops->hide(h->arg, page, &hidden);
	if (err)
		return err;
	for (uint32_t i = 0; i < hidden.nr; i++)
		if (bit_set(h->shown, hidden.first + i, false))
			h->nr_shown--;
	return 0;
}

static int holder_hide_all(struct holder *h)
{
	for (size_t w = 0; h->nr_shown && w < HOLDER_WORDS(h->nr_pages); w++)
		while (h->shown[w]) {
			int bit = __builtin_ctzll(h->shown[w]);
			int err = holder_hide(h, (uint32_t)(w * 64) +
							 (uint32_t)bit);

			if (err)
				return err;
		}
	return 0;
}

/* Guarantee 3. */
static int holder_ask_again(struct holder *h)
{
	for (size_t w = 0; h->nr_waiting && w < HOLDER_WORDS(h->nr_pages); w++)
		for (uint64_t left = h->waiting[w]; left; left &= left - 1) {
			int bit = __builtin_ctzll(left);
			int err =
				holder_send(h, REPLICA_WRITE, 0,
					    (uint32_t)(w * 64) + (uint32_t)bit);

			if (err)
				return err;
		}
	return 0;
}

static int holder_reset(struct holder *h, uint32_t turn)
{
	int err = holder_hide_all(h);

	if (!err)
		err = h->ops->protect(h->arg, 0, h->nr_pages);
	if (err)
		return err;
	h->linked = true;
	err = holder_send(h, REPLICA_RESET_DONE, turn, 0);
	return err ? err : holder_ask_again(h);
}

static int holder_protect(struct holder *h, const struct replica_msg *m)
{
	/* A replica is protected already, and is no page of the segment's. */
	int err = bit_get(h->shown, m->first)
			  ? 0
			  : h->ops->protect(h->arg, m->first, 1);

	return holder_send(h, err ? REPLICA_REFUSED : REPLICA_DONE, m->turn,
			   m->first);
}

static void holder_show(struct holder *h, uint32_t page)
{
	if (bit_get(h->shown, page) || h->ops->show(h->arg, page))
		return;
	(void)bit_set(h->shown, page, true);
	h->nr_shown++;
}

static int holder_revoke(struct holder *h, const struct replica_msg *m)
{
	int err = holder_hide(h, m->first);

	return err ? err : holder_send(h, REPLICA_DONE, m->turn, m->first);
}

/* A replica in the range would mean that the home is wrong: not allowed. */
static int holder_allow(struct holder *h, uint32_t first, uint32_t nr)
{
	for (uint32_t i = 0; h->nr_shown && i < nr; i++)
		if (bit_get(h->shown, first + i))
			return -EPROTO;
	for (uint32_t i = 0; h->nr_waiting && i < nr; i++)
		if (bit_set(h->waiting, first + i, false))
			h->nr_waiting--;
	h->ops->allow(h->arg, first, nr);
	return 0;
}

int holder_receive(struct holder *h, const struct replica_msg *m)
{
	if (m->first >= h->nr_pages || !m->nr || m->nr > h->nr_pages - m->first)
		return -EPROTO;
	if (m->kind == REPLICA_RESET)
		return holder_reset(h, m->turn);
	if (!h->linked)
		return -EPROTO;
	switch (m->kind) {
	case REPLICA_PROTECT:
		return holder_protect(h, m);
	case REPLICA_SHOW:
		holder_show(h, m->first);
		return 0;
	case REPLICA_REVOKE:
		return holder_revoke(h, m);
	case REPLICA_ALLOW:
		return holder_allow(h, m->first, m->nr);
	default:
		return -EPROTO;
	}
}

int holder_fault(struct holder *h, uint64_t page)
{
	if (page >= h->nr_pages)
		return 0;
	/* A second thread, or one whose first question is under way. */
	if (!bit_set(h->waiting, (uint32_t)page, true))
		return 0;
	h->nr_waiting++;
	return h->linked ? holder_send(h, REPLICA_WRITE, 0, (uint32_t)page) : 0;
}

int holder_unlink(struct holder *h)
{
	h->linked = false;
	return holder_hide_all(h);
}

void holder_allow_all(struct holder *h)
{
	for (size_t w = 0; h->nr_waiting && w < HOLDER_WORDS(h->nr_pages); w++)
		h->waiting[w] = 0;
	h->nr_waiting = 0;
	h->ops->allow(h->arg, 0, h->nr_pages);
}

void holder_init(struct holder *h, uint32_t nr_pages,
		 const struct holder_ops *ops, void *arg, uint64_t *shown,
		 uint64_t *waiting)
{
	*h = (struct holder){ .ops = ops,
			      .arg = arg,
			      .nr_pages = nr_pages,
			      .shown = shown,
			      .waiting = waiting };
}
