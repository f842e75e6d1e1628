/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/replica/copies_link.h"

#include <errno.h>
#include <unistd.h>

static int copies_link_attach(struct copies_link *l, const int *fds,
			      bool decider)
{
	int err = region_take(&l->own, fds[COPIES_LINK_OWN], COPIES_LINK_BYTES);
	const uint8_t *peer;
	uint8_t *own;

	if (err)
		return err;
	err = region_attach(&l->peer, fds[COPIES_LINK_PEER], COPIES_LINK_BYTES);
	if (err)
		return err;
	own = l->own.base;
	peer = l->peer.base;
	/* The decider does not sleep: whom the owner would wake is nobody. */
	err = chan_tx_init(&l->tx, COPIES_LINK_SHAPE,
			   (void *)(own + COPIES_LINK_RING_OFF),
			   (const void *)(peer + COPIES_LINK_READER_OFF),
			   decider ? l->wake : -1);
	if (err)
		return err;
	return chan_rx_init(&l->rx, COPIES_LINK_SHAPE,
			    (void *)(own + COPIES_LINK_READER_OFF),
			    (const void *)(peer + COPIES_LINK_RING_OFF),
			    decider ? -1 : l->wake);
}

int copies_link_open(struct copies_link *l, const int *fds, bool decider)
{
	int err;

	*l = (struct copies_link){ .wake = fds[COPIES_LINK_WAKE] };
	err = copies_link_attach(l, fds, decider);
	(void)close(fds[COPIES_LINK_PEER]);
	if (!l->own.base)
		(void)close(fds[COPIES_LINK_OWN]);
	if (!err)
		return 0;
	region_detach(&l->peer);
	region_destroy(&l->own);
	(void)close(l->wake);
	*l = (struct copies_link){ .wake = -1 };
	return err;
}

void copies_link_close(struct copies_link *l)
{
	if (!copies_link_is_open(l))
		return;
	region_detach(&l->peer);
	region_destroy(&l->own);
	(void)close(l->wake);
	*l = (struct copies_link){ .wake = -1 };
}

void copies_link_tell(struct copies_link *l, uint64_t page,
		      enum copies_kind kind, uint64_t spent_ns)
{
	const struct copies_note note = { .page = page,
					  .kind = kind,
					  .spent_ns = spent_ns };
	const struct copies_note lost = { .page = UINT64_MAX,
					  .kind = COPIES_LOST };

	if (!copies_link_is_open(l))
		return;
	if (l->lost && chan_try_send(&l->tx, &lost) == 0)
		l->lost = false;
	if (l->lost || chan_try_send(&l->tx, &note))
		l->lost = true;
}
