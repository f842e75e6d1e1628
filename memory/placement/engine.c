/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 820 lines because accesses, decisions, hints and what became of actions share one
 * state, the engine.
 */
#include "memory/placement/engine.h"

#include <stdlib.h>

#include "memory/placement/actions.h"
#include "memory/placement/budget.h"
#include "memory/placement/counters.h"
#include "memory/placement/hinted.h"
#include "memory/placement/page_copies.h"

/*
 * The cost of a move is a running mean, of which the last move is 1/8. One that
 * was held up counts as MOVE_OUTLIER means at most, and with each period a mean
 * comes 1/32 nearer to what it was before anything was measured. Otherwise a
 * few unlucky moves would end all moves for good: none would be made that could
 * show that they cost less.
 */
#define MOVE_SHIFT   3
#define MOVE_OUTLIER 4u
#define FORGET_SHIFT 5
#define FORGET_MOST  256u /* periods: nothing is left then */
/*
 * Of hinted ranges: pages that are looked at per take; how long a range waits
 * when moves have taken their share of the time; and free pages that a node keeps
 * (as balanced has it).
 */
#define HINTED_LOOK   4096u
#define HINTED_REST   1000000ull
#define HINTED_SPARES 1024u

struct placement {
	struct page_counters *counters;
	struct policy_choice choice;
	struct placement_figures *figures, *own; /* own: to be freed */
	uint64_t pages;
	bool begun;	   /* a record has come: the next three are set */
	uint64_t first_ns; /* of the first record */
	uint64_t now_ns;   /* of the latest one; does not go back */
	uint64_t period;   /* number */
	uint64_t period_ns;
	/* No divisions per record: */
	uint64_t period_begin_ns;   /* of this one */
	uint64_t rest, rest_end_ns; /* number of the POLICY_REST_NS; its end */
	struct policy_sums sums;    /* of this period */

	struct policy_machine machine;
	struct policy_node nodes[POLICY_MAX_NODES];
	uint32_t *latency_ns, *move_ns; /* [nr_nodes * nr_nodes] */
	uint32_t first_move_ns;		/* until moves have been measured */
	struct policy_now now; /* placement_now() brings it up to date */

	struct placement_action pending[PLACEMENT_PENDING];
	unsigned nr_pending;
	bool replicas;
	uint32_t run_pages;   /* 0: no runs */
	uint64_t *paid_ns;    /* of hinted runs: as move_ns, see budget_pay() */
	uint8_t *is_pending;  /* a bit per page: decided, and not done */
	uint64_t nr_undone;   /* such pages */
	struct hinted hinted; /* what the guest has said */
	struct page_copies *copies; /* NULL: they are not tracked */

	uint64_t state[POLICY_STATE_MAX / sizeof(uint64_t)]; /* the policy's */
};

#define LOAD(p)	    atomic_load_explicit((p), memory_order_relaxed)
#define STORE(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)

static void placement_count(_Atomic(uint64_t) *figure, uint64_t n)
{
	STORE(figure, LOAD(figure) + n);
}

static bool placement_config_is_sound(const struct placement_config *c)
{
	return c->pages && c->pages <= COUNTERS_MAX_PAGE && c->nr_nodes &&
	       c->nr_nodes <= POLICY_MAX_NODES && c->choice.policy &&
	       c->latency_ns;
}

int placement_create(struct placement **out, const struct placement_config *c)
{
	struct placement *e;
	size_t pairs;

	if (!placement_config_is_sound(c))
		return -EINVAL;
	pairs = (size_t)c->nr_nodes * c->nr_nodes;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->pages = c->pages;
	e->choice = c->choice;
	e->replicas = c->replicas;
	e->run_pages = c->run_pages;
	e->period_ns = policy_period_ns(&c->choice);
	e->first_move_ns = c->move_ns;
	e->latency_ns = malloc(pairs * sizeof(uint32_t));
	e->move_ns = malloc(pairs * sizeof(uint32_t));
	e->paid_ns = calloc(pairs, sizeof(uint64_t));
	e->is_pending = calloc(1, c->pages / 8 + 1);
	e->own = c->figures ? NULL : aligned_alloc(128, PLACEMENT_BYTES);
	e->figures = c->figures ? c->figures : e->own;
	if (!e->latency_ns || !e->move_ns || !e->paid_ns || !e->is_pending ||
	    !e->figures ||
	    page_counters_create(&e->counters, c->pages,
				 (enum policy_age)c->choice.policy->age)) {
		placement_destroy(e);
		return -ENOMEM;
	}
	if (e->own)
		memset(e->own, 0, PLACEMENT_BYTES);
	memcpy(e->latency_ns, c->latency_ns, pairs * sizeof(uint32_t));
	for (size_t i = 0; i < pairs; i++)
		e->move_ns[i] = c->move_ns;
	for (unsigned i = 0; i < c->nr_nodes; i++)
		e->nodes[i] = (struct policy_node){ .free_pages = UINT64_MAX,
						    .has_memory = 1 };
	e->machine = (struct policy_machine){ .nr_nodes = c->nr_nodes,
					      .nodes = e->nodes,
					      .latency_ns = e->latency_ns,
					      .move_ns = e->move_ns };
	e->now = (struct policy_now){ .period_ns = e->period_ns,
				      .params = e->choice.params,
				      .machine = &e->machine };
	STORE(&e->figures->magic, PLACEMENT_MAGIC);
	*out = e;
	return 0;
}

void placement_destroy(struct placement *e)
{
	if (!e)
		return;
	page_counters_destroy(e->counters);
	free(e->latency_ns);
	free(e->move_ns);
	free(e->paid_ns);
	free(e->is_pending);
	page_copies_destroy(e->copies);
	free(e->own);
	free(e);
}

/* Its pages are not decided on any more. */
static void placement_clear_pending(struct placement *e,
				    const struct placement_action *a)
{
	for (uint64_t page = a->page; page < a->page + a->pages; page++) {
		uint8_t bit = (uint8_t)(1u << page % 8);

		if (!(e->is_pending[page / 8] & bit))
			continue;
		e->is_pending[page / 8] &= (uint8_t)~bit;
		e->nr_undone--;
	}
}

/* What another policy has decided, and nobody has taken. */
static void placement_drop_pending(struct placement *e)
{
	for (unsigned i = 0; i < e->nr_pending; i++) {
		placement_clear_pending(e, &e->pending[i]);
		placement_count(&e->figures->dropped, e->pending[i].pages);
	}
	e->nr_pending = 0;
}

int placement_set_policy(struct placement *e,
			 const struct policy_choice *choice)
{
	struct page_counters *counters;

	if (page_counters_create(&counters, e->pages,
				 (enum policy_age)choice->policy->age))
		return -ENOMEM;
	page_counters_destroy(e->counters);
	e->counters = counters;
	placement_drop_pending(e);
	e->choice = *choice;
	e->now.period_ns = e->period_ns = policy_period_ns(choice);
	e->begun = false;
	e->period = 0;
	e->sums = (struct policy_sums){ 0 };
	memset(e->state, 0, sizeof(e->state));
	return 0;
}

void placement_set_node(struct placement *e, unsigned node,
			const struct policy_node *n)
{
	if (node < e->machine.nr_nodes)
		e->nodes[node] = *n;
}

static const struct policy_now *placement_now(struct placement *e)
{
	e->now.time_ns = e->now_ns;
	e->now.elapsed_ns = e->now_ns - e->period_begin_ns;
	return &e->now;
}

static void placement_forget_costs(struct placement *e, uint64_t periods)
{
	uint32_t nr = e->machine.nr_nodes * e->machine.nr_nodes;

	for (uint64_t n = min_u64(periods, FORGET_MOST); n; n--)
		for (uint32_t i = 0; i < nr; i++)
			if (e->move_ns[i] > e->first_move_ns)
				e->move_ns[i] -=
					(e->move_ns[i] - e->first_move_ns +
					 (1u << FORGET_SHIFT) - 1) >>
					FORGET_SHIFT;
}

/* Periods without an access are one, with sums of nothing: they are not told. */
static void placement_next_period(struct placement *e)
{
	uint64_t period;

	/* policy_is_sound() lets no period be 0. NOLINTNEXTLINE(*DivideZero) */
	period = (e->now_ns - e->first_ns) / e->period_ns;
	e->period_begin_ns = e->first_ns + period * e->period_ns;
	if (e->choice.policy->period)
		e->choice.policy->period(e->state, placement_now(e), &e->sums);
	placement_forget_costs(e, period - e->period);
	e->period = period;
	e->sums = (struct policy_sums){ 0 };
}

static void placement_begin(struct placement *e, uint64_t time_ns)
{
	e->first_ns = e->now_ns = e->period_begin_ns = time_ns;
	e->rest_end_ns = 0;
	e->begun = true;
}

static void placement_next_rest(struct placement *e)
{
	e->rest = e->now_ns / POLICY_REST_NS;
	e->rest_end_ns = (e->rest + 1) * POLICY_REST_NS;
}

/* For each record: what is needed once per period is elsewhere. */
static inline void placement_advance(struct placement *e, uint64_t time_ns)
{
	if (!e->begun)
		placement_begin(e, time_ns);
	e->now_ns = max_u64(e->now_ns, time_ns);
	if (e->now_ns >= e->rest_end_ns)
		placement_next_rest(e);
	if (e->now_ns - e->period_begin_ns >= e->period_ns)
		placement_next_period(e);
}

static void placement_sum(struct placement *e, const struct access_record *r)
{
	struct policy_sums *s = &e->sums;

	placement_count(&e->figures->records, 1);
	if (r->node == r->home) {
		s->local += r->weight;
		placement_count(&e->figures->local, r->weight);
	} else {
		s->remote += r->weight;
		placement_count(&e->figures->remote, r->weight);
	}
	if (r->kind == POLICY_WRITE)
		s->writes += r->weight;
	if (r->kind == POLICY_READ)
		s->reads += r->weight;
	s->at[r->home] += r->weight;
}

/* --- the log -------------------------------------------------------------- */

static uint64_t placement_what(const struct policy_page *p,
			       const struct policy_decision *d,
			       enum placement_outcome outcome)
{
	return (uint64_t)p->home | (uint64_t)d->to << 8 |
	       (uint64_t)d->action << 16 | (uint64_t)d->reason << 24 |
	       (uint64_t)outcome << 32;
}

/* Return: its number. */
static uint64_t placement_log(struct placement *e, const struct policy_page *p,
			      const struct policy_decision *d,
			      enum placement_outcome outcome, uint64_t pages)
{
	uint64_t nr = LOAD(&e->figures->logged);
	struct placement_entry *t = &e->figures->log[nr % PLACEMENT_LOG];

	stamp_begin(&t->stamp);
	STORE(&t->time_ns, e->now_ns);
	STORE(&t->page, p->page);
	STORE(&t->pages, pages);
	STORE(&t->what, placement_what(p, d, outcome));
	STORE(&t->gain_ns, d->gain_ns);
	STORE(&t->cost_ns, d->cost_ns);
	STORE(&t->spent_ns, 0);
	stamp_end(&t->stamp, nr);
	STORE(&e->figures->logged, nr + 1);
	return nr;
}

/* Of an entry that may have been overwritten since. */
static void placement_log_outcome(struct placement *e, uint64_t nr,
				  enum placement_outcome outcome,
				  uint64_t spent_ns)
{
	struct placement_entry *t = &e->figures->log[nr % PLACEMENT_LOG];

	if (LOAD(&t->stamp) != nr + 1)
		return;
	STORE(&t->spent_ns, spent_ns);
	STORE(&t->what,
	      (LOAD(&t->what) & 0xffffffffull) | (uint64_t)outcome << 32);
}

/* --- decisions ------------------------------------------------------------ */

static bool placement_is_pending(const struct placement *e, uint64_t page)
{
	return e->nr_undone && e->is_pending[page / 8] & 1u << page % 8;
}

/* What a policy may not say is taken for "stay": a plug-in may be wrong. */
static bool placement_decision_is_sound(const struct placement *e,
					const struct policy_page *p,
					const struct policy_decision *d)
{
	return d->action <= POLICY_REPLICATE && d->reason < POLICY_NR_REASONS &&
	       (d->action == POLICY_STAY ||
		(d->to < e->machine.nr_nodes && d->to != p->home));
}

/* @pages: from that page on */
static void placement_add_pending(struct placement *e,
				  const struct policy_page *p,
				  const struct policy_decision *d,
				  uint32_t pages)
{
	e->pending[e->nr_pending++] = (struct placement_action){
		.page = p->page,
		.entry = placement_log(e, p, d, PLACEMENT_DECIDED, pages),
		.pages = pages,
		.from = p->home,
		.to = d->to,
		.action = d->action,
	};
	for (uint64_t page = p->page; page < p->page + pages; page++)
		e->is_pending[page / 8] |= (uint8_t)(1u << page % 8);
	e->nr_undone += pages;
}

static void placement_act(struct placement *e, const struct policy_page *p,
			  const struct policy_decision *d)
{
	if (d->action == POLICY_REPLICATE && !e->replicas) {
		placement_count(&e->figures->replicas_refused, 1);
		(void)placement_log(e, p, d, PLACEMENT_FAILED, 1);
		return;
	}
	if (e->nr_pending == PLACEMENT_PENDING) {
		placement_count(&e->figures->dropped, 1);
		return;
	}
	placement_add_pending(e, p, d, 1);
}

/* --- copies --------------------------------------------------------------- */

/* What a policy cannot know, as it does not know copies. */
static void placement_heed_copies(const struct placement *e, uint64_t page,
				  struct policy_decision *d)
{
	if (d->action == POLICY_REPLICATE &&
	    page_copies_resting(e->copies, page, e->now_ns)) {
		d->action = POLICY_STAY;
		d->reason = POLICY_RESTS;
	} else if (d->action == POLICY_MOVE &&
		   page_copies_are_there(e->copies, page)) {
		d->action = POLICY_STAY;
		d->reason = POLICY_HAS_COPIES;
	}
}

int placement_track_copies(struct placement *e)
{
	int err;

	if (e->copies)
		return 0;
	err = page_copies_create(e->pages, &e->copies);
	if (err)
		return err;
	e->replicas = true;
	e->run_pages = 0; /* the owner of copies is asked page by page */
	return 0;
}

void placement_copies_changed(struct placement *e, uint64_t page, bool there,
			      bool written)
{
	if (!e->copies || page >= e->pages)
		return;
	if (!there && page_copies_are_there(e->copies, page))
		placement_count(written ? &e->figures->collapsed
					: &e->figures->copies_ended,
				1);
	page_copies_set(e->copies, page, there);
	if (written)
		page_copies_begin_rest(e->copies, page, e->now_ns);
}

void placement_forget_copies(struct placement *e)
{
	if (e->copies)
		page_copies_forget(e->copies);
}

/* --- hints ---------------------------------------------------------------- */

/* Accesses of one phase say nothing about the next one. */
static void placement_phase(struct placement *e)
{
	struct page_counters *counters;

	hinted_phase(&e->hinted);
	if (page_counters_create(&counters, e->pages,
				 (enum policy_age)e->choice.policy->age))
		return; /* no memory: they go on */
	page_counters_destroy(e->counters);
	e->counters = counters;
}

static void placement_hint(struct placement *e, const struct access_record *r)
{
	bool phase = r->kind == HINTS_PHASE_BEGIN || r->kind == HINTS_PHASE_END;

	if (!phase && (r->page >= e->pages || !r->weight)) {
		placement_count(&e->figures->strange, 1);
		return;
	}
	placement_count(&e->figures->hints, 1);
	if (phase)
		placement_phase(e);
	else
		hinted_add(&e->hinted, r->page,
			   min_u64(r->weight, e->pages - r->page), r->kind,
			   r->node < e->machine.nr_nodes ? r->node
							 : ACCESS_NO_NODE,
			   r->time_ns);
}

static uint8_t placement_hint_flag(const struct hinted_range *hint)
{
	switch (hint ? hint->kind : HINTS_NONE) {
	case HINTS_READ_MOSTLY:
		return POLICY_PAGE_READ_MOSTLY;
	case HINTS_PRIVATE:
		return POLICY_PAGE_PRIVATE;
	case HINTS_REWRITE:
		return POLICY_PAGE_REWRITE;
	case HINTS_COLD:
		return POLICY_PAGE_COLD;
	case HINTS_PIN:
		return POLICY_PAGE_PINNED;
	default:
		return 0;
	}
}

/* Whether the guest has said that this is not to be done. */
static bool placement_hint_forbids(const struct policy_page *p,
				   const struct policy_decision *d)
{
	if (d->action == POLICY_REPLICATE)
		return p->flags & (POLICY_PAGE_REWRITE | POLICY_PAGE_PINNED |
				   POLICY_PAGE_COLD);
	return d->action == POLICY_MOVE &&
	       p->flags & (POLICY_PAGE_PINNED | POLICY_PAGE_COLD);
}

/* The hint of a page that is accessed, unless it was dropped by that. */
static struct hinted_range *placement_find_hint(struct placement *e,
						const struct access_record *r)
{
	struct hinted_range *hint =
		e->hinted.nr ? hinted_find(&e->hinted, r->page) : NULL;

	if (hint && !hinted_judge(&e->hinted, hint, r, e->period,
				  e->choice.policy->age == POLICY_HALVE)) {
		STORE(&e->figures->hints_dropped, e->hinted.dropped);
		hint = NULL;
	}
	return hint;
}

/*
 * A group of hinted ranges is a page to the policy, with the accesses of all its
 * pages. What the policy predicts that this page saves has to pay for each page of the
 * group that goes; one that predicts nothing decides on all of them.
 */
static void placement_judge_group(struct placement *e, struct hinted_group *g,
				  const struct access_record *r, uint8_t flags)
{
	struct policy_decision d = { 0 };
	uint64_t pages = g->pages;
	struct policy_page p;

	if (!hinted_asks(g, r))
		return;
	hinted_as_page(g, r, &p);
	/* It is a sum of accesses. */
	p.flags = r->page_flags | POLICY_PAGE_COUNTED | flags;
	e->choice.policy->page(e->state, placement_now(e), &p, &d);
	if (!placement_decision_is_sound(e, &p, &d) || d.action == POLICY_STAY)
		return;
	if (e->choice.policy->refund)
		e->choice.policy->refund(e->state, &e->now, p.home, d.to);
	if (d.action == POLICY_REPLICATE && !e->replicas)
		return;
	if (g->node != ACCESS_NO_NODE && d.to != g->node)
		return;
	if (d.cost_ns)
		pages = min_u64(pages, d.gain_ns / d.cost_ns);
	hinted_go(g, d.action, p.home, d.to, pages);
}

/* One that moved of late by a hint is left to the policy: see balanced, b. */
static bool placement_may_go(const struct placement *e,
			     const struct hinted_group *g, uint64_t page)
{
	if (placement_is_pending(e, page) ||
	    page_copies_are_there(e->copies, page))
		return false;
	if (g->action == POLICY_REPLICATE)
		return !page_copies_resting(e->copies, page, e->now_ns);
	return !page_counters_moves(e->counters, page, (uint32_t)e->rest);
}

/* That a node can take, of many. */
static uint64_t placement_room(const struct placement *e, uint8_t node,
			       uint64_t pages)
{
	uint64_t free_pages = e->nodes[node].free_pages;

	return free_pages > HINTED_SPARES
		       ? min_u64(pages, free_pages - HINTED_SPARES)
		       : 0;
}

/* Return: how many pages of a run may move now. */
static uint64_t placement_pay(struct placement *e, struct hinted_group *g,
			      uint64_t pages)
{
	static const struct budget_limit limit = { BUDGET_SHARE, BUDGET_BURST };
	uint32_t pair = g->from * e->machine.nr_nodes + g->to;
	const struct policy *policy = e->choice.policy;

	pages = placement_room(e, g->to, pages);
	/* A plug-in may be wrong, and allow more than it is asked for. */
	if (pages && policy->pay)
		pages = min_u64(pages, policy->pay(e->state, placement_now(e),
						   g->from, g->to, pages));
	else if (pages)
		pages = budget_pay(&e->paid_ns[pair], &limit, e->now_ns,
				   e->move_ns[pair], pages);
	if (!pages)
		g->waits_ns = e->now_ns + HINTED_REST;
	if (e->nodes[g->to].free_pages != UINT64_MAX)
		e->nodes[g->to].free_pages -= pages;
	return pages;
}

/*
 * The next run of a range, of @most pages at most.
 * @looks: pages that may be looked at; those that were are taken off
 * Return: how many there are; 0: none now.
 */
static uint64_t placement_add_run(struct placement *e, struct hinted_range *r,
				  uint64_t most, uint64_t *looks)
{
	struct hinted_group *g = hinted_group_of(&e->hinted, r);
	uint64_t left, page = 0, pages = 0;
	struct policy_decision d = { .reason = POLICY_HINTED };
	struct policy_page p = { 0 };

	while ((left = hinted_peek(&e->hinted, r, e->now_ns, &page)) &&
	       *looks && !placement_may_go(e, g, page)) {
		hinted_advance(&e->hinted, r, 1);
		--*looks;
	}
	left = min_u64(min_u64(left, most), *looks);
	while (pages < left && placement_may_go(e, g, page + pages))
		pages++;
	*looks -= pages;
	if (pages)
		pages = placement_pay(e, g, pages);
	if (!pages)
		return 0;
	p.page = page;
	p.home = g->from;
	d.action = g->action;
	d.to = g->to;
	placement_add_pending(e, &p, &d, (uint32_t)pages);
	hinted_advance(&e->hinted, r, pages);
	placement_count(&e->figures->hinted_pages, pages);
	placement_count(&e->figures->reasons[POLICY_HINTED], pages);
	return pages;
}

/* What goes of hinted ranges, until there are @max actions. */
static void placement_add_runs(struct placement *e, unsigned max)
{
	uint64_t looks = HINTED_LOOK, left = e->run_pages ? e->run_pages : max;
	unsigned i = 0;

	if (!hinted_waits(&e->hinted, e->now_ns))
		return;
	while (i < e->hinted.nr && left && looks && e->nr_pending < max) {
		uint64_t pages = placement_add_run(e, &e->hinted.ranges[i],
						   e->run_pages ? left : 1,
						   &looks);

		left -= pages;
		i += !pages;
	}
}

/* --- accesses ------------------------------------------------------------- */

void placement_expect(const struct placement *e, uint64_t page)
{
	page_counters_expect(e->counters, page);
}

/* Accessed from anywhere: what a write says of its page holds all the same. */
static void placement_record_nobodys(struct placement *e,
				     const struct access_record *r)
{
	placement_advance(e, r->time_ns);
	placement_count(&e->figures->records, 1);
	placement_count(&e->figures->unknown_node, 1);
	if (r->kind == POLICY_WRITE &&
	    page_counters_written(e->counters, r->page, r->weight,
				  (uint32_t)e->period, (uint32_t)e->rest))
		placement_count(&e->figures->dropped, 1);
}

bool placement_record(struct placement *e, const struct access_record *r)
{
	const struct policy *policy = e->choice.policy;
	struct policy_decision d = { 0 };
	struct page_access access = { .page = r->page,
				      .weight = r->weight,
				      .node = r->node,
				      .kind = r->kind };
	struct hinted_range *hint;
	struct policy_page p;

	if (r->class == ACCESS_HINT) {
		placement_hint(e, r);
		return e->nr_pending;
	}
	if (r->node == ACCESS_NO_NODE && r->page < e->pages) {
		placement_record_nobodys(e, r);
		return e->nr_pending;
	}
	if (r->page >= e->pages || r->node >= e->machine.nr_nodes ||
	    r->home >= e->machine.nr_nodes) {
		placement_count(&e->figures->strange, 1);
		return e->nr_pending;
	}
	placement_advance(e, r->time_ns);
	placement_sum(e, r);
	if (page_counters_add(e->counters, &access, (uint32_t)e->period,
			      (uint32_t)e->rest, &p)) {
		placement_count(&e->figures->dropped, 1);
		return e->nr_pending;
	}
	hint = placement_find_hint(e, r);
	if (hint && hint->group < HINTED_GROUPS)
		placement_judge_group(e, hinted_group_of(&e->hinted, hint), r,
				      placement_hint_flag(hint));
	if (placement_is_pending(e, r->page))
		return e->nr_pending;
	p.home = r->home;
	p.flags |= r->page_flags;
	p.flags |= r->counted ? POLICY_PAGE_COUNTED : 0;
	p.flags |= placement_hint_flag(hint);
	policy->page(e->state, placement_now(e), &p, &d);
	if (d.action == POLICY_STAY && d.reason == POLICY_NOTHING) {
		placement_count(&e->figures->reasons[POLICY_NOTHING], 1);
		return e->nr_pending;
	}
	if (!placement_decision_is_sound(e, &p, &d))
		d = (struct policy_decision){ .reason = POLICY_OTHER };
	if (placement_hint_forbids(&p, &d))
		d = (struct policy_decision){ .reason = POLICY_HINTED };
	placement_heed_copies(e, r->page, &d);
	placement_count(&e->figures->reasons[d.reason], 1);
	if (d.action != POLICY_STAY)
		placement_act(e, &p, &d);
	else if (d.reason != POLICY_NOTHING)
		(void)placement_log(e, &p, &d, PLACEMENT_STAYED, 1);
	return e->nr_pending;
}

unsigned placement_take(struct placement *e, struct placement_action *out,
			unsigned max)
{
	unsigned nr;

	placement_add_runs(e, (unsigned)min_u64(max, PLACEMENT_PENDING));
	nr = (unsigned)min_u64(max, e->nr_pending);
	if (!nr)
		return 0;
	memcpy(out, e->pending, nr * sizeof(*out));
	e->nr_pending -= nr;
	memmove(e->pending, e->pending + nr,
		e->nr_pending * sizeof(e->pending[0]));
	actions_sort(out, nr);
	return nr;
}

unsigned placement_pending(struct placement *e)
{
	uint64_t pages = hinted_waits(&e->hinted, e->now_ns);

	for (unsigned i = 0; i < e->nr_pending; i++)
		pages += e->pending[i].pages;
	return (unsigned)min_u64(pages, UINT32_MAX);
}

void placement_needless(struct placement *e, const struct placement_action *a)
{
	placement_clear_pending(e, a);
}

/* One of several that took so long. */
static void placement_measured(struct placement *e,
			       const struct placement_action *a,
			       uint64_t spent_ns)
{
	uint32_t *mean = &e->move_ns[a->from * e->machine.nr_nodes + a->to];
	uint64_t weighted = (uint64_t)*mean * ((1u << MOVE_SHIFT) - 1);

	spent_ns = min_u64(spent_ns / max_u64(a->pages, 1),
			   (uint64_t)*mean * MOVE_OUTLIER);
	*mean = (uint32_t)min_u64((weighted + spent_ns) >> MOVE_SHIFT,
				  UINT32_MAX);
}

void placement_done(struct placement *e, const struct placement_action *a,
		    bool moved, uint64_t spent_ns)
{
	/* A page that cannot move now is not to be tried at each access. */
	bool copied = a->action == POLICY_REPLICATE;
	uint64_t before = 0;

	for (uint64_t i = 0; !copied && i < a->pages; i++)
		before += page_counters_moved(e->counters, a->page + i, moved,
					      (uint32_t)e->period,
					      (uint32_t)e->rest);
	placement_clear_pending(e, a);
	placement_log_outcome(e, a->entry,
			      moved ? PLACEMENT_DONE : PLACEMENT_FAILED,
			      spent_ns);
	placement_count(&e->figures->spent_ns, spent_ns);
	placement_count(!moved	 ? &e->figures->failed
			: copied ? &e->figures->replicas
				 : &e->figures->moves,
			a->pages);
	if (e->copies && copied)
		page_copies_done(e->copies, a->page, a->pages, moved,
				 e->now_ns);
	if (!moved)
		return;
	placement_count(&e->figures->bounced, before);
	STORE(&e->figures->counter_bytes, page_counters_bytes(e->counters));
	/* A clock that stood has measured nothing. */
	if (spent_ns)
		placement_measured(e, a, spent_ns);
}

void placement_explain(struct placement *e, const struct placement_action *a,
		       enum placement_outcome why)
{
	placement_log_outcome(e, a->entry, why, 0);
}

uint8_t placement_place(struct placement *e, uint64_t time_ns, uint64_t page,
			uint8_t node)
{
	uint8_t to;

	placement_advance(e, time_ns);
	to = e->choice.policy->place(e->state, placement_now(e), page, node);
	return to < e->machine.nr_nodes ? to : node;
}

const struct placement_figures *placement_figures(const struct placement *e)
{
	return e->figures;
}

void placement_count_owner(struct placement *e, uint64_t cpu_ns, uint64_t lost,
			   uint64_t strange)
{
	placement_count(&e->figures->cpu_ns, cpu_ns);
	placement_count(&e->figures->lost, lost);
	placement_count(&e->figures->strange, strange);
}
