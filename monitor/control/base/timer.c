/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A heap of timers: each is earlier than all in the list of its children.
 * INVARIANT: of an armed timer, *link is the timer itself.
 */
#include "monitor/control/base/timer.h"

static bool timer_earlier(const struct loop_timer *a,
			  const struct loop_timer *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

/* Two heaps become one; neither root is in a list, either may be NULL. */
static struct loop_timer *timer_meld(struct loop_timer *a, struct loop_timer *b)
{
	struct loop_timer *t;

	if (!a || !b)
		return a ? a : b;
	if (timer_earlier(b, a)) {
		t = a;
		a = b;
		b = t;
	}
	b->next = a->child;
	if (b->next)
		b->next->link = &b->next;
	b->link = &a->child;
	a->child = b;
	return a;
}

/* Take the first heap off a list. */
static struct loop_timer *timer_shift(struct loop_timer **list)
{
	struct loop_timer *t = *list;

	if (t) {
		*list = t->next;
		t->next = NULL;
	}
	return t;
}

/*
 * The children of a timer that goes become one heap: in pairs from the left,
 * and then the pairs, the last one first. That order is what makes the cost
 * logarithmic.
 */
static struct loop_timer *timer_meld_all(struct loop_timer *list)
{
	struct loop_timer *pairs = NULL, *all = NULL, *a;

	while ((a = timer_shift(&list))) {
		a = timer_meld(a, timer_shift(&list));
		a->next = pairs;
		pairs = a;
	}
	while ((a = timer_shift(&pairs)))
		all = timer_meld(all, a);
	return all;
}

static void timer_put_root(struct timer_heap *h, struct loop_timer *t)
{
	h->first = timer_meld(h->first, t);
	if (h->first)
		h->first->link = &h->first;
}

void timer_heap_cancel(struct timer_heap *h, struct loop_timer *t)
{
	struct loop_timer *children = t->child;

	if (!t->at_ns)
		return;
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	t->at_ns = 0;
	t->child = t->next = NULL;
	t->link = NULL;
	timer_put_root(h, timer_meld_all(children));
}

void timer_heap_set(struct timer_heap *h, struct loop_timer *t, uint64_t at_ns)
{
	timer_heap_cancel(h, t);
	if (h->passed_ns && at_ns <= h->passed_ns)
		at_ns = h->passed_ns + 1;
	t->at_ns = max_u64(at_ns, 1);
	t->order = h->orders++;
	timer_put_root(h, t);
}

void timer_heap_run(struct timer_heap *h, uint64_t now_ns)
{
	/* A deadline of UINT64_MAX is never; there has to be a later one. */
	h->passed_ns = min_u64(now_ns, UINT64_MAX - 1);
	while (h->first && h->first->at_ns <= h->passed_ns) {
		struct loop_timer *t = h->first;

		timer_heap_cancel(h, t);
		t->expired(t);
	}
	h->passed_ns = 0;
}
