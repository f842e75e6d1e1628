/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The numbers of guarantees are those of home.h.
 *
 *	PLAIN -> PROTECTING	home_replicate()
 *	PROTECTING -> QUIET	page_answered(): the last holder has answered
 *	PROTECTING, QUIET -> PLAIN	page_disprove(): a write, or a refusal
 *	QUIET -> SHARED		page_publish(): the trial is over
 *	SHARED -> COLLAPSING	page_collapse(): a write, or room is needed
 *	COLLAPSING -> PLAIN	page_answered(): the last holder has answered
 */
#include "memory/replica/home.h"

#include <errno.h>

#define NODE_BIT(node)	  (1ull << (node))
#define HOLDER_BIT(index) (1ull << (index))

/* --- lists --- */

static void list_add(struct home *h, uint32_t page)
{
	struct home_page *p = &h->pages[page];
	struct home_list *l = &h->lists[p->state];

	p->next = HOME_NONE;
	p->prev = l->last;
	if (l->last == HOME_NONE)
		l->first = page;
	else
		h->pages[l->last].next = page;
	l->last = page;
}

static void list_remove(struct home *h, uint32_t page)
{
	const struct home_page *p = &h->pages[page];
	struct home_list *l = &h->lists[p->state];

	if (p->prev == HOME_NONE)
		l->first = p->next;
	else
		h->pages[p->prev].next = p->next;
	if (p->next == HOME_NONE)
		l->last = p->prev;
	else
		h->pages[p->next].prev = p->prev;
}

static void count_state(struct home *h, uint8_t state, uint64_t by)
{
	if (state == HOME_PROTECTING || state == HOME_QUIET)
		h->stats.protected_pages += by;
	if (state == HOME_SHARED || state == HOME_COLLAPSING)
		h->stats.shared_pages += by;
}

/* Answers to what was asked before the change are too late from now on. */
static void page_enter(struct home *h, uint32_t page, enum home_state state)
{
	struct home_page *p = &h->pages[page];

	if (p->state != HOME_PLAIN)
		list_remove(h, page);
	count_state(h, p->state, UINT64_MAX); /* minus 1 */
	p->state = (uint8_t)state;
	p->turn++;
	p->time_ns = h->now_ns;
	count_state(h, p->state, 1);
	if (state != HOME_PLAIN)
		list_add(h, page);
}

/* --- holders --- */

static void holder_late(struct home *h, unsigned i)
{
	struct home_holder *o = &h->holders[i];

	if (o->late)
		return;
	o->late = 1;
	h->stats.late++;
	h->ops->late(h->arg, i);
}

/* To one that is late nothing is sent: its end is its answer. */
static void home_send(struct home *h, unsigned i, enum replica_kind kind,
		      uint32_t turn, uint32_t first, uint32_t nr)
{
	const struct replica_msg m = {
		.kind = kind, .turn = turn, .first = first, .nr = nr
	};

	if (!h->holders[i].late && !h->ops->send(h->arg, i, &m))
		holder_late(h, i);
}

/* Return: one bit per holder that there is. */
static uint64_t holders_all(const struct home *h)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++)
		if (h->holders[i].state != HOLDER_NONE)
			all |= HOLDER_BIT(i);
	return all;
}

/* Those that are being reset answer with that. */
static void ask_pending(struct home *h, uint32_t page, enum replica_kind kind)
{
	const struct home_page *p = &h->pages[page];
	uint64_t pending = p->pending;

	for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++)
		if ((pending & HOLDER_BIT(i)) &&
		    h->holders[i].state == HOLDER_LIVE)
			home_send(h, i, kind, p->turn, page, 1);
}

/* --- pages --- */

static void page_allow_writers(struct home *h, uint32_t page)
{
	struct home_page *p = &h->pages[page];
	uint64_t writers = p->writers;

	p->writers = 0;
	for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++)
		if ((writers & HOLDER_BIT(i)) &&
		    h->holders[i].state == HOLDER_LIVE)
			home_send(h, i, REPLICA_ALLOW, 0, page, 1);
}

static void page_back_off(struct home *h, struct home_page *p)
{
	p->time_ns = h->now_ns + (h->config.backoff_ns << p->backoff);
	if (p->backoff < HOME_BACKOFF_MAX)
		p->backoff++;
}

static void page_settled(struct home *h, uint32_t page,
			 enum home_outcome outcome)
{
	if (h->ops->settled)
		h->ops->settled(h->arg, page, outcome);
}

/* It has no copies, and has proven that it should have none. */
static void page_disprove(struct home *h, uint32_t page,
			  enum home_outcome outcome)
{
	struct home_page *p = &h->pages[page];

	h->stats.disproved++;
	p->pending = p->wanted = 0;
	page_enter(h, page, HOME_PLAIN);
	page_back_off(h, p);
	page_settled(h, page, outcome);
	page_allow_writers(h, page);
}

static void page_drop_copies(struct home *h, uint32_t page)
{
	struct home_page *p = &h->pages[page];

	for (unsigned n = 0; n < HOME_MAX_NODES; n++) {
		if (!(p->copied & NODE_BIT(n)))
			continue;
		h->ops->drop(h->arg, page, n);
		h->stats.copies[n]--;
	}
	p->copied = 0;
}

/* Guarantees 1 and 3: the last holder has answered. */
static void page_answered(struct home *h, uint32_t page)
{
	struct home_page *p = &h->pages[page];

	if (p->pending)
		return;
	if (p->state == HOME_PROTECTING) {
		page_enter(h, page, HOME_QUIET);
	} else if (p->state == HOME_COLLAPSING) {
		page_drop_copies(h, page);
		page_enter(h, page, HOME_PLAIN);
		page_back_off(h, p);
		page_settled(h, page, (enum home_outcome)p->outcome);
		p->outcome = 0;
		page_allow_writers(h, page);
	}
}

/* Only those that may show a copy are asked: all others are protected. */
static void page_collapse(struct home *h, uint32_t page,
			  enum home_outcome outcome)
{
	struct home_page *p = &h->pages[page];

	/* It was worth it: what it did before is forgiven. */
	if (h->now_ns - p->time_ns > h->config.backoff_ns << p->backoff)
		p->backoff = 0;
	p->pending = p->held;
	p->wanted = 0;
	p->outcome = (uint8_t)outcome;
	page_enter(h, page, HOME_COLLAPSING);
	ask_pending(h, page, REPLICA_REVOKE);
	page_answered(h, page);
}

/*
 * Guarantee 6. One that has come just now stays, so that more than there is room
 * for does not take turns. Return: false: there is no room now.
 */
static bool node_make_room(struct home *h, unsigned node)
{
	uint32_t page = h->lists[HOME_SHARED].first, next;

	if (h->stats.copies[node] < h->config.limit)
		return true;
	for (unsigned i = 0; i < HOME_STEPS && page != HOME_NONE; i++) {
		struct home_page *p = &h->pages[page];
		bool young = h->now_ns - p->time_ns < h->config.backoff_ns;

		next = p->next;
		if (!p->used && !young && (p->copied & NODE_BIT(node))) {
			h->stats.reclaimed++;
			p->backoff = 0;
			page_collapse(h, page, HOME_ENDED);
			return h->stats.copies[node] < h->config.limit;
		}
		p->used = 0;
		list_remove(h, page);
		list_add(h, page);
		page = next;
	}
	return false;
}

/* To all on the node that do not show it yet. */
static void page_show(struct home *h, uint32_t page, unsigned node)
{
	struct home_page *p = &h->pages[page];

	for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++) {
		const struct home_holder *o = &h->holders[i];

		if (o->state != HOLDER_LIVE || o->node != node ||
		    (p->held & HOLDER_BIT(i)))
			continue;
		p->held |= HOLDER_BIT(i);
		home_send(h, i, REPLICA_SHOW, p->turn, page, 1);
	}
}

/* Steps 3 to 5 of the order, for the nodes that are wanted. */
static void page_copy_wanted(struct home *h, uint32_t page)
{
	struct home_page *p = &h->pages[page];
	uint64_t wanted = p->wanted;

	p->wanted = 0;
	for (unsigned n = 0; n < HOME_MAX_NODES; n++) {
		if (!(wanted & NODE_BIT(n)))
			continue;
		if (!(p->copied & NODE_BIT(n))) {
			if (!node_make_room(h, n) ||
			    h->ops->copy(h->arg, page, n))
				continue;
			p->copied |= NODE_BIT(n);
			h->stats.copies[n]++;
			h->stats.replicated++;
		}
		page_show(h, page, n);
	}
}

/* The trial is over. It is protected still, whether or not there are copies. */
static void page_publish(struct home *h, uint32_t page)
{
	struct home_page *p = &h->pages[page];

	/* Room is made while it is not SHARED: it is not taken for it. */
	page_copy_wanted(h, page);
	if (!p->held) { /* no room; or who was to show it has gone */
		page_drop_copies(h, page);
		page_enter(h, page, HOME_PLAIN);
		page_back_off(h, p);
		page_settled(h, page, HOME_FULL);
		page_allow_writers(h, page);
		return;
	}
	page_enter(h, page, HOME_SHARED);
	p->used = 1;
	page_settled(h, page, HOME_COPIED);
}

static void page_write(struct home *h, uint32_t page, unsigned holder)
{
	struct home_page *p = &h->pages[page];

	h->stats.writes++;
	p->writers |= HOLDER_BIT(holder);
	switch ((enum home_state)p->state) {
	case HOME_PLAIN:
		if (!h->recovering)
			page_allow_writers(h, page);
		break;
	case HOME_PROTECTING:
	case HOME_QUIET:
		page_disprove(h, page, HOME_WRITTEN);
		break;
	case HOME_SHARED:
		h->stats.collapsed++;
		page_collapse(h, page, HOME_WRITTEN);
		break;
	case HOME_COLLAPSING:
	case HOME_NR_STATES:
		break;
	}
}

int home_replicate(struct home *h, uint32_t page, uint64_t nodes,
		   uint64_t now_ns)
{
	struct home_page *p;

	h->now_ns = now_ns;
	if (page >= h->config.nr_pages || !nodes)
		return -EINVAL;
	p = &h->pages[page];
	if (h->recovering || p->state == HOME_COLLAPSING ||
	    (p->state == HOME_PLAIN && now_ns < p->time_ns))
		return -EAGAIN;
	p->wanted |= nodes;
	if (p->state == HOME_SHARED)
		page_copy_wanted(h, page);
	if (p->state != HOME_PLAIN)
		return 0;
	p->pending = holders_all(h);
	page_enter(h, page, HOME_PROTECTING);
	ask_pending(h, page, REPLICA_PROTECT);
	page_answered(h, page);
	return 0;
}

void home_collapse(struct home *h, uint32_t page, uint64_t now_ns)
{
	h->now_ns = now_ns;
	if (page >= h->config.nr_pages)
		return;
	switch ((enum home_state)h->pages[page].state) {
	case HOME_PROTECTING:
	case HOME_QUIET:
		page_disprove(h, page, HOME_ENDED);
		break;
	case HOME_SHARED:
		page_collapse(h, page, HOME_ENDED);
		break;
	default:
		break;
	}
}

void home_touch(struct home *h, uint32_t page)
{
	if (page < h->config.nr_pages)
		h->pages[page].used = 1;
}

/* --- all pages --- */

/*
 * A holder shows no copy, and writes nothing; or it is dead. A page whose copies
 * nobody shows any more is plain again. Lists change only behind the page that is
 * looked at.
 */
static void pages_forget(struct home *h, unsigned holder)
{
	static const enum home_state states[] = { HOME_PROTECTING, HOME_QUIET,
						  HOME_SHARED,
						  HOME_COLLAPSING };
	uint64_t keep = ~HOLDER_BIT(holder);

	for (unsigned s = 0; s < ARRAY_SIZE(states); s++) {
		uint32_t page = h->lists[states[s]].first, next;

		for (; page != HOME_NONE; page = next) {
			struct home_page *p = &h->pages[page];

			next = p->next;
			p->held &= keep;
			p->pending &= keep;
			if (p->state == HOME_SHARED && !p->held)
				page_collapse(h, page, HOME_ENDED);
			page_answered(h, page);
		}
	}
}

/* Whatever is left out is asked for when it is written. */
static void home_allow_plain(struct home *h, unsigned holder)
{
	uint32_t end = (uint32_t)min_u64(h->config.nr_pages, HOME_RUN_PAGES);
	uint32_t page = 0, first;

	if (home_is_plain(h)) {
		home_send(h, holder, REPLICA_ALLOW, 0, 0, h->config.nr_pages);
		return;
	}
	for (unsigned runs = 0; runs < HOME_RUNS && page < end; runs++) {
		while (page < end && h->pages[page].state != HOME_PLAIN)
			page++;
		first = page;
		while (page < end && h->pages[page].state == HOME_PLAIN)
			page++;
		if (page > first)
			home_send(h, holder, REPLICA_ALLOW, 0, first,
				  page - first);
	}
}

/* Guarantee 7. */
static void home_try_recovered(struct home *h)
{
	if (!h->recovering || !h->complete)
		return;
	for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++)
		if (h->holders[i].state == HOLDER_RESETTING)
			return;
	h->recovering = false;
	for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++)
		if (h->holders[i].state == HOLDER_LIVE)
			home_allow_plain(h, i);
}

void home_complete(struct home *h)
{
	h->complete = true;
	home_try_recovered(h);
}

static void holder_was_reset(struct home *h, unsigned i)
{
	h->holders[i].state = HOLDER_LIVE;
	pages_forget(h, i);
	if (h->recovering)
		home_try_recovered(h);
	else
		home_allow_plain(h, i);
}

void home_add(struct home *h, unsigned holder, unsigned node, uint64_t now_ns)
{
	struct home_holder *o = &h->holders[holder];

	h->now_ns = now_ns;
	o->state = HOLDER_RESETTING;
	o->node = (uint8_t)node;
	o->late = 0;
	o->turn++;
	o->since_ns = now_ns;
	home_send(h, holder, REPLICA_RESET, o->turn, 0, h->config.nr_pages);
}

void home_remove(struct home *h, unsigned holder)
{
	struct home_holder *o = &h->holders[holder];

	if (o->state == HOLDER_NONE)
		return;
	*o = (struct home_holder){ .turn = o->turn };
	pages_forget(h, holder);
	home_try_recovered(h);
}

/* --- messages --- */

static void home_take_done(struct home *h, unsigned i,
			   const struct replica_msg *m)
{
	struct home_page *p = &h->pages[m->first];

	if (m->turn != p->turn || !(p->pending & HOLDER_BIT(i)))
		return; /* of what was asked before a change */
	/* What was revoked is shown no more; what was protected never was. */
	p->held &= ~HOLDER_BIT(i);
	p->pending &= ~HOLDER_BIT(i);
	page_answered(h, m->first);
}

static void home_take_refused(struct home *h, const struct replica_msg *m)
{
	const struct home_page *p = &h->pages[m->first];

	if (m->turn == p->turn && p->state == HOME_PROTECTING)
		page_disprove(h, m->first, HOME_WRITTEN);
}

int home_receive(struct home *h, unsigned holder, const struct replica_msg *m,
		 uint64_t now_ns)
{
	struct home_holder *o = &h->holders[holder];

	h->now_ns = now_ns;
	if (o->state == HOLDER_NONE || m->first >= h->config.nr_pages)
		return -EPROTO;
	if (m->kind == REPLICA_RESET_DONE) {
		if (o->state != HOLDER_RESETTING || m->turn != o->turn)
			return -EPROTO;
		holder_was_reset(h, holder);
		return 0;
	}
	/* Before its reset it has nothing to say on this link. */
	if (o->state != HOLDER_LIVE || m->nr != 1)
		return -EPROTO;
	switch (m->kind) {
	case REPLICA_DONE:
		home_take_done(h, holder, m);
		return 0;
	case REPLICA_REFUSED:
		home_take_refused(h, m);
		return 0;
	case REPLICA_WRITE:
		page_write(h, m->first, holder);
		return 0;
	default:
		return -EPROTO;
	}
}

/* --- time --- */

/* Guarantee 4. Lists are in the order of time. Return: as home_turn(). */
static uint64_t home_find_late_in(struct home *h, enum home_state state)
{
	uint32_t page = h->lists[state].first;

	for (; page != HOME_NONE; page = h->pages[page].next) {
		const struct home_page *p = &h->pages[page];

		if (h->now_ns - p->time_ns < h->config.bound_ns)
			return p->time_ns + h->config.bound_ns;
		for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++)
			if (p->pending & HOLDER_BIT(i))
				holder_late(h, i);
	}
	return UINT64_MAX;
}

static uint64_t home_find_late(struct home *h)
{
	uint64_t a = home_find_late_in(h, HOME_PROTECTING);
	uint64_t next = min_u64(a, home_find_late_in(h, HOME_COLLAPSING));

	for (unsigned i = 0; i < HOME_MAX_HOLDERS; i++) {
		const struct home_holder *o = &h->holders[i];

		if (o->state != HOLDER_RESETTING || o->late)
			continue;
		if (h->now_ns - o->since_ns >= h->config.bound_ns)
			holder_late(h, i);
		else
			next = min_u64(next, o->since_ns + h->config.bound_ns);
	}
	return next;
}

uint64_t home_turn(struct home *h, uint64_t now_ns)
{
	uint64_t next;

	h->now_ns = now_ns;
	next = home_find_late(h);
	for (unsigned i = 0; i < HOME_STEPS; i++) {
		uint32_t page = h->lists[HOME_QUIET].first;
		uint64_t due;

		if (page == HOME_NONE)
			return next;
		if (h->crowded)
			return min_u64(next, now_ns + HOME_CROWDED_NS);
		due = h->pages[page].time_ns + h->config.trial_ns;
		if (now_ns < due)
			return min_u64(next, due);
		page_publish(h, page);
	}
	return now_ns;
}

bool home_is_plain(const struct home *h)
{
	for (unsigned s = HOME_PLAIN + 1; s < HOME_NR_STATES; s++)
		if (h->lists[s].first != HOME_NONE)
			return false;
	return true;
}

void home_init(struct home *h, const struct home_config *c,
	       const struct home_ops *ops, void *arg, struct home_page *pages)
{
	*h = (struct home){ .config = *c,
			    .ops = ops,
			    .arg = arg,
			    .pages = pages,
			    .recovering = true };
	for (unsigned s = 0; s < HOME_NR_STATES; s++)
		h->lists[s] = (struct home_list){ HOME_NONE, HOME_NONE };
}
