/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/trace/trace_tap.h"

#include <string.h>

static uint64_t tap_logged(const struct placement *e)
{
	return atomic_load_explicit(&placement_figures(e)->logged,
				    memory_order_relaxed);
}

static void tap_event(const struct trace_tap *t, const struct trace_event *e)
{
	struct trace_item i = { .is_event = true, .event = *e };

	i.event.vm = t->vm;
	t->to(t->arg, &i);
}

void trace_tap_policy(const struct trace_tap *t, uint64_t time_ns,
		      const char *policy)
{
	size_t left = strlen(policy);

	if (!t->to)
		return;
	do {
		struct trace_event e = { .time_ns = time_ns,
					 .kind = TRACE_POLICY,
					 .more = left >= sizeof(e.text) };
		size_t len = min_u64(left, sizeof(e.text) - 1);

		memcpy(e.text, policy, len);
		tap_event(t, &e);
		policy += len;
		left -= len;
	} while (left);
}

void trace_tap_node(const struct trace_tap *t, struct placement *e,
		    unsigned node, const struct policy_node *n)
{
	if (t->to) {
		struct trace_event v = { .kind = TRACE_NODE };

		v.node.node = node;
		v.node.busy_permille = n->busy_permille;
		v.node.has_memory = n->has_memory;
		v.node.free_pages = n->free_pages;
		tap_event(t, &v);
	}
	placement_set_node(e, node, n);
}

bool trace_decision(const struct placement_figures *f, uint64_t nr,
		    struct trace_event *out)
{
	const struct placement_entry *p = &f->log[nr % PLACEMENT_LOG];
	uint64_t what;

	if (!stamp_is(&p->stamp, nr))
		return false;
	what = atomic_load_explicit(&p->what, memory_order_relaxed);
	*out = (struct trace_event){
		.kind = TRACE_DECISION,
		.time_ns =
			atomic_load_explicit(&p->time_ns, memory_order_relaxed),
	};
	out->decision.page =
		atomic_load_explicit(&p->page, memory_order_relaxed);
	out->decision.gain_ns =
		atomic_load_explicit(&p->gain_ns, memory_order_relaxed);
	out->decision.cost_ns =
		atomic_load_explicit(&p->cost_ns, memory_order_relaxed);
	out->decision.from = (uint8_t)what;
	out->decision.to = (uint8_t)(what >> 8);
	out->decision.action = (uint8_t)(what >> 16);
	out->decision.reason = (uint8_t)(what >> 24);
	return stamp_still(&p->stamp, nr);
}

void trace_tap_record(const struct trace_tap *t, struct placement *e,
		      const struct access_record *r)
{
	struct trace_item i = { .access = *r };
	uint64_t logged;

	if (!t->to) {
		(void)placement_record(e, r);
		return;
	}
	i.access.vm = t->vm;
	t->to(t->arg, &i);
	logged = tap_logged(e);
	(void)placement_record(e, r);
	for (; logged < tap_logged(e); logged++) {
		struct trace_event d;

		if (trace_decision(placement_figures(e), logged, &d))
			tap_event(t, &d);
	}
}

unsigned trace_tap_take(const struct trace_tap *t, struct placement *e,
			struct placement_action *out, unsigned max)
{
	unsigned nr = placement_take(e, out, max);

	if (t->to && nr) {
		struct trace_event v = { .kind = TRACE_TAKE };

		v.take.nr = nr;
		tap_event(t, &v);
	}
	return nr;
}

void trace_tap_done(const struct trace_tap *t, struct placement *e,
		    const struct placement_action *a, bool moved,
		    uint64_t spent_ns)
{
	if (t->to) {
		struct trace_event v = { .kind = TRACE_DONE };

		v.done.page = a->page;
		v.done.from = a->from;
		v.done.to = a->to;
		v.done.moved = moved;
		v.done.spent_ns = spent_ns;
		tap_event(t, &v);
	}
	placement_done(e, a, moved, spent_ns);
}

int trace_tap_track(const struct trace_tap *t, struct placement *e)
{
	int err = placement_track_copies(e);

	if (!err && t->to)
		tap_event(t, &(struct trace_event){ .kind = TRACE_TRACK });
	return err;
}

void trace_tap_copies(const struct trace_tap *t, struct placement *e,
		      uint64_t page, bool there, bool written)
{
	if (t->to) {
		struct trace_event v = { .kind = TRACE_COPIES };

		v.copies.page = page;
		v.copies.there = there;
		v.copies.written = written;
		tap_event(t, &v);
	}
	placement_copies_changed(e, page, there, written);
}

void trace_tap_forget(const struct trace_tap *t, struct placement *e)
{
	if (t->to)
		tap_event(t, &(struct trace_event){ .kind = TRACE_FORGET });
	placement_forget_copies(e);
}
