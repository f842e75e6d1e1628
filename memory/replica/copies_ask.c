/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/replica/copies_ask.h"

#include <errno.h>

/* Of an action that was asked for. It is none any more. */
static void ask_end(struct copies_ask *a, const struct copies_ask_engine *e,
		    unsigned i, enum placement_outcome outcome, uint64_t spent)
{
	struct placement_action done = a->asked[i];

	a->asked[i] = a->asked[--a->nr];
	trace_tap_done(e->tap, e->engine, &done, outcome == PLACEMENT_DONE,
		       spent);
	if (outcome > PLACEMENT_FAILED)
		placement_explain(e->engine, &done, outcome);
}

static void ask_end_all(struct copies_ask *a, const struct copies_ask_engine *e)
{
	while (a->nr)
		ask_end(a, e, a->nr - 1, PLACEMENT_BUSY, 0);
}

int copies_ask_open(struct copies_ask *a, const struct copies_ask_engine *e,
		    const int *fds)
{
	int err;

	copies_ask_close(a, e);
	err = copies_link_open(&a->link, fds, true);
	if (!err)
		err = trace_tap_track(e->tap, e->engine);
	if (err)
		copies_link_close(&a->link);
	return err;
}

void copies_ask_close(struct copies_ask *a, const struct copies_ask_engine *e)
{
	if (!copies_link_is_open(&a->link))
		return;
	ask_end_all(a, e);
	/* The owner forgets none, but the next link says nothing of them. */
	trace_tap_forget(e->tap, e->engine);
	copies_link_close(&a->link);
}

int copies_ask_begin(struct copies_ask *a, const struct copies_ask_engine *e)
{
	a->nr = 0;
	return copies_link_is_open(&a->link)
		       ? trace_tap_track(e->tap, e->engine)
		       : 0;
}

unsigned copies_ask_room(const struct copies_ask *a)
{
	return COPIES_ASKED - a->nr;
}

static bool ask_send(struct copies_ask *a, const struct copies_ask_engine *e,
		     const struct placement_action *action)
{
	const struct copies_note n = {
		.page = action->page,
		.kind = action->action == POLICY_REPLICATE ? COPIES_REPLICATE
							   : COPIES_MOVE,
		.node = e->nodes[action->to],
	};

	return copies_link_is_open(&a->link) &&
	       chan_try_send(&a->link.tx, &n) == 0;
}

void copies_ask_for(struct copies_ask *a, const struct copies_ask_engine *e,
		    const struct placement_action *actions, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		if (a->nr < COPIES_ASKED && ask_send(a, e, &actions[i]))
			a->asked[a->nr++] = actions[i];
		else
			trace_tap_done(e->tap, e->engine, &actions[i], false,
				       0);
	}
}

/* An engine has at most one action per page. Return: nr: there is none. */
static unsigned ask_find(const struct copies_ask *a, uint64_t page,
			 uint8_t action)
{
	unsigned i = 0;

	while (i < a->nr &&
	       (a->asked[i].page != page || a->asked[i].action != action))
		i++;
	return i;
}

static void ask_copied(struct copies_ask *a, const struct copies_ask_engine *e,
		       const struct copies_note *n)
{
	unsigned i = ask_find(a, n->page, POLICY_REPLICATE);

	if (i < a->nr)
		ask_end(a, e, i, PLACEMENT_DONE, 0);
	else
		trace_tap_copies(e->tap, e->engine, n->page, true, false);
}

/* What was asked for is answered first: what follows is of the page. */
static void ask_not_copied(struct copies_ask *a,
			   const struct copies_ask_engine *e,
			   const struct copies_note *n,
			   enum placement_outcome why)
{
	unsigned i = ask_find(a, n->page, POLICY_REPLICATE);

	if (i < a->nr)
		ask_end(a, e, i, why, 0);
	if (n->kind == COPIES_WRITTEN || n->kind == COPIES_ENDED)
		trace_tap_copies(e->tap, e->engine, n->page, false,
				 n->kind == COPIES_WRITTEN);
}

static void ask_moved(struct copies_ask *a, const struct copies_ask_engine *e,
		      const struct copies_note *n,
		      enum placement_outcome outcome)
{
	unsigned i = ask_find(a, n->page, POLICY_MOVE);

	if (i == a->nr)
		return;
	ask_end(a, e, i, outcome, e->timed ? n->spent_ns : 0);
	if (outcome == PLACEMENT_COPIED)
		trace_tap_copies(e->tap, e->engine, n->page, true, false);
	if (outcome == PLACEMENT_DONE)
		e->moved(e->arg, n->page);
}

static void ask_busy(struct copies_ask *a, const struct copies_ask_engine *e,
		     const struct copies_note *n)
{
	unsigned i = ask_find(a, n->page, POLICY_REPLICATE);

	if (i == a->nr)
		i = ask_find(a, n->page, POLICY_MOVE);
	if (i < a->nr)
		ask_end(a, e, i, PLACEMENT_BUSY, 0);
}

static void ask_take(struct copies_ask *a, const struct copies_ask_engine *e,
		     const struct copies_note *n)
{
	if (n->kind == COPIES_LOST) {
		ask_end_all(a, e);
		trace_tap_forget(e->tap, e->engine);
		return;
	}
	if (n->page >= e->pages)
		return;
	switch ((enum copies_kind)n->kind) {
	case COPIES_COPIED:
		ask_copied(a, e, n);
		break;
	case COPIES_WRITTEN:
		ask_not_copied(a, e, n, PLACEMENT_WRITTEN);
		break;
	case COPIES_FULL:
		ask_not_copied(a, e, n, PLACEMENT_NO_ROOM);
		break;
	case COPIES_ENDED:
		ask_not_copied(a, e, n, PLACEMENT_FAILED);
		break;
	case COPIES_RESTS:
		ask_not_copied(a, e, n, PLACEMENT_RESTING);
		break;
	case COPIES_BUSY:
		ask_busy(a, e, n);
		break;
	case COPIES_MOVED:
		ask_moved(a, e, n, PLACEMENT_DONE);
		break;
	case COPIES_NOT_MOVED:
		ask_moved(a, e, n, PLACEMENT_FAILED);
		break;
	case COPIES_HAS_COPIES:
		ask_moved(a, e, n, PLACEMENT_COPIED);
		break;
	case COPIES_REPLICATE:
	case COPIES_MOVE:
	case COPIES_LOST:
		break;
	}
}

void copies_ask_turn(struct copies_ask *a, const struct copies_ask_engine *e)
{
	struct copies_note n;
	int err = copies_link_is_open(&a->link) ? 0 : -EAGAIN;

	for (unsigned i = 0; i < COPIES_ASK_NOTES && !err; i++) {
		err = chan_try_recv(&a->link.rx, &n);
		if (!err)
			ask_take(a, e, &n);
	}
	if (err == -EPROTO)
		copies_ask_close(a, e);
}
