/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/sim/replay.h"

#include <stdlib.h>
#include <string.h>

#include "memory/placement/engine.h"
#include "memory/trace/trace_tap.h"

/* An engine takes at most so many before it has to be told of their outcome. */
#define TAKEN_MAX 4096u

/* One VM's engine. */
struct replay_vm {
	struct placement *engine; /* NULL: the trace has not begun one */
	uint64_t logged;	  /* decisions of it that were compared */
	char policy[VM_POLICY_MAX];
	struct placement_action taken[TAKEN_MAX];
	unsigned nr_taken;
};

struct replay {
	const struct trace_info *info;
	const struct policy *plugin;
	struct replay_result result;
	struct replay_vm *vms[TRACE_MAX_VMS];
};

int replay_create(struct replay **out, const struct trace_info *info,
		  const struct policy *plugin)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->info = info;
	r->plugin = plugin;
	*out = r;
	return 0;
}

void replay_destroy(struct replay *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < TRACE_MAX_VMS; i++) {
		if (r->vms[i])
			placement_destroy(r->vms[i]->engine);
		free(r->vms[i]);
	}
	free(r);
}

static int replay_begin(struct replay *r, uint32_t vm,
			const struct policy_choice *choice)
{
	const struct trace_info *info = r->info;
	const struct placement_config c = {
		.pages = info->vms[vm].pages,
		.choice = *choice,
		.nr_nodes = info->nr_nodes,
		.latency_ns = info->latency_ns,
		.move_ns = info->nr_nodes > 1 ? info->move_ns[1] : 0,
	};

	r->result.engines++;
	return placement_create(&r->vms[vm]->engine, &c);
}

/* The texts of events in a row are one. */
static int replay_policy(struct replay *r, const struct trace_event *e,
			 struct diag *d)
{
	struct replay_vm *v = r->vms[e->vm];
	size_t len = strlen(v->policy),
	       more = strnlen(e->text, sizeof(e->text));
	struct policy_choice choice;
	int err;

	if (more >= sizeof(v->policy) - len)
		return diag_fail(d, ST_TRACE, EINVAL,
				 "the trace names a policy that is too long");
	memcpy(v->policy + len, e->text, more);
	if (e->more)
		return 0;
	err = policy_parse(v->policy, r->plugin, &choice, d);
	memset(v->policy, 0, sizeof(v->policy));
	if (!err)
		err = v->engine ? placement_set_policy(v->engine, &choice)
				: replay_begin(r, e->vm, &choice);
	if (err && d->status == ST_OK)
		return diag_fail(d, ST_HOST, -err, "cannot replay: %s",
				 strerror(-err));
	return err;
}

static void replay_take(struct replay_vm *v, uint64_t nr)
{
	v->nr_taken +=
		placement_take(v->engine, v->taken + v->nr_taken,
			       (unsigned)min_u64(nr, TAKEN_MAX - v->nr_taken));
}

/* One that was not taken here is left out: the decisions differ already. */
static void replay_done(struct replay_vm *v, const struct trace_event *e)
{
	for (unsigned i = 0; i < v->nr_taken; i++) {
		if (v->taken[i].page != e->done.page)
			continue;
		placement_done(v->engine, &v->taken[i], e->done.moved,
			       e->done.spent_ns);
		v->taken[i] = v->taken[--v->nr_taken];
		return;
	}
}

static bool replay_is_equal(const struct trace_event *a,
			    const struct trace_event *b)
{
	return a->time_ns == b->time_ns &&
	       a->decision.page == b->decision.page &&
	       a->decision.gain_ns == b->decision.gain_ns &&
	       a->decision.cost_ns == b->decision.cost_ns &&
	       a->decision.from == b->decision.from &&
	       a->decision.to == b->decision.to &&
	       a->decision.action == b->decision.action &&
	       a->decision.reason == b->decision.reason;
}

static void replay_compare(struct replay *r, const struct trace_event *e)
{
	struct replay_vm *v = r->vms[e->vm];
	struct trace_event mine = { 0 };

	r->result.decisions++;
	if (trace_decision(placement_figures(v->engine), v->logged, &mine)) {
		v->logged++;
		if (replay_is_equal(e, &mine)) {
			r->result.equal++;
			return;
		}
	} else {
		mine = (struct trace_event){ 0 };
	}
	if (!r->result.recorded.kind && !r->result.replayed.kind) {
		r->result.recorded = *e;
		r->result.replayed = mine;
	}
}

static int replay_event(struct replay *r, const struct trace_event *e,
			struct diag *d)
{
	struct policy_node n;

	if (!r->vms[e->vm]) {
		r->vms[e->vm] = calloc(1, sizeof(*r->vms[e->vm]));
		if (!r->vms[e->vm])
			return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	}
	if (e->kind == TRACE_POLICY)
		return replay_policy(r, e, d);
	if (e->kind == TRACE_LOST)
		r->result.lost = true;
	if (!r->vms[e->vm]->engine)
		return 0;
	switch ((enum trace_event_kind)e->kind) {
	case TRACE_NODE:
		n = (struct policy_node){ .free_pages = e->node.free_pages,
					  .busy_permille =
						  e->node.busy_permille,
					  .has_memory = e->node.has_memory };
		placement_set_node(r->vms[e->vm]->engine, e->node.node, &n);
		break;
	case TRACE_TAKE:
		replay_take(r->vms[e->vm], e->take.nr);
		break;
	case TRACE_DONE:
		replay_done(r->vms[e->vm], e);
		break;
	case TRACE_DECISION:
		replay_compare(r, e);
		break;
	case TRACE_TRACK:
		if (placement_track_copies(r->vms[e->vm]->engine))
			return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
		break;
	case TRACE_COPIES:
		placement_copies_changed(r->vms[e->vm]->engine, e->copies.page,
					 e->copies.there, e->copies.written);
		break;
	case TRACE_FORGET:
		placement_forget_copies(r->vms[e->vm]->engine);
		break;
	default:
		break;
	}
	return 0;
}

int replay_feed(struct replay *r, const struct trace_chunk *c, struct diag *d)
{
	uint32_t event = 0;
	int err = 0;

	for (uint32_t i = 0; i <= c->nr && !r->result.lost; i++) {
		for (; event < c->nr_events &&
		       c->events[event].at <= c->first + i && !r->result.lost;
		     event++) {
			err = replay_event(r, &c->events[event], d);
			if (err)
				return err;
		}
		if (i == c->nr || r->result.lost || !r->vms[c->records[i].vm] ||
		    !r->vms[c->records[i].vm]->engine)
			continue;
		(void)placement_record(r->vms[c->records[i].vm]->engine,
				       &c->records[i]);
		r->result.accesses++;
	}
	return 0;
}

const struct replay_result *replay_end(struct replay *r)
{
	for (uint32_t vm = 0; vm < TRACE_MAX_VMS && !r->result.lost; vm++) {
		struct replay_vm *v = r->vms[vm];
		uint64_t logged;

		if (!v || !v->engine)
			continue;
		logged = atomic_load_explicit(
			&placement_figures(v->engine)->logged,
			memory_order_relaxed);
		r->result.decisions += logged - v->logged;
		v->logged = logged;
	}
	return &r->result;
}
