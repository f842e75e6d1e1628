/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/sim/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory/placement/engine.h"

#define AHEAD	    24u /* records: their pages are fetched in advance */
#define TURN_MAX    4096u
#define BUCKET_NS   1000000ull
#define BACKOFF_MAX 16u

/* A page. All-zero: untouched. */
struct sim_page {
	uint64_t copies;     /* bit i: node i; the home's, too */
	uint32_t written_us; /* since the first record, + 1; 0: never */
	uint8_t home;
	uint8_t collapses; /* at most BACKOFF_MAX */
	uint8_t zero[2];
};

struct sim_vm {
	struct placement *engine; /* NULL: no policy */
	struct sim_page *pages;
};

struct sim {
	struct sim_config c;
	uint32_t nr_nodes;
	uint64_t next_turn_ns, changed_ns, bucket_end_ns;
	uint64_t proof_us;
	struct sim_bucket *bucket;	   /* of now, in the result */
	uint64_t weight[POLICY_MAX_NODES]; /* of all accesses, by node */
	struct sim_result result;
	uint8_t nearest_order[POLICY_MAX_NODES][POLICY_MAX_NODES];
	struct sim_vm vms[TRACE_MAX_VMS];
};

/* --- creation ------------------------------------------------------------- */

static int sim_create_vm(struct sim *s, uint32_t vm)
{
	const struct sim_machine *m = s->c.machine;
	const struct placement_config c = {
		.pages = s->c.info->vms[vm].pages,
		.choice = s->c.choice,
		.nr_nodes = m->nr_nodes,
		.latency_ns = m->latency_ns,
		.move_ns = m->nr_nodes > 1 ? m->move_ns[1] : 0,
		.replicas = s->c.replicas,
	};
	struct sim_vm *v = &s->vms[vm];

	v->pages = calloc(c.pages, sizeof(*v->pages));
	if (!v->pages)
		return -ENOMEM;
	return c.choice.policy ? placement_create(&v->engine, &c) : 0;
}

/* Of each node all of them, the nearest first. */
static void sim_order_nodes(struct sim *s)
{
	const struct sim_machine *m = s->c.machine;

	for (uint32_t i = 0; i < m->nr_nodes; i++) {
		const uint32_t *far = &m->latency_ns[i * m->nr_nodes];
		uint8_t *order = s->nearest_order[i];

		for (uint32_t j = 0; j < m->nr_nodes; j++) {
			uint32_t k = j;

			for (; k && far[order[k - 1]] > far[j]; k--)
				order[k] = order[k - 1];
			order[k] = (uint8_t)j;
		}
	}
}

int sim_create(struct sim **out, const struct sim_config *c)
{
	struct sim *s;
	int err = 0;

	if (c->machine->nr_nodes < c->info->nr_nodes ||
	    c->machine->nr_nodes > POLICY_MAX_NODES ||
	    (c->turn_ns && (!c->turn_pages || c->turn_pages > TURN_MAX)))
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->c = *c;
	s->nr_nodes = c->machine->nr_nodes;
	s->result.bucket_ns = BUCKET_NS;
	s->bucket = s->result.buckets;
	s->proof_us = c->proof_ns / 1000;
	sim_order_nodes(s);
	for (uint32_t vm = 0; !err && vm < c->info->nr_vms; vm++)
		err = sim_create_vm(s, vm);
	if (err) {
		sim_destroy(s);
		return err;
	}
	*out = s;
	return 0;
}

void sim_destroy(struct sim *s)
{
	if (!s)
		return;
	for (uint32_t vm = 0; vm < TRACE_MAX_VMS; vm++) {
		placement_destroy(s->vms[vm].engine);
		free(s->vms[vm].pages);
	}
	free(s);
}

uint64_t sim_copies(const struct sim *s, uint32_t vm, uint64_t page)
{
	return s->vms[vm].pages[page].copies;
}

/* --- time ----------------------------------------------------------------- */

/* Twice as long ones, half as many. */
static void sim_halve_buckets(struct sim_result *r)
{
	struct sim_bucket *b = r->buckets;

	for (uint32_t i = 0; i < SIM_BUCKETS / 2; i++) {
		const struct sim_bucket *x = &b[2 * i], *y = &b[2 * i + 1];

		b[i] = (struct sim_bucket){
			.local = x->local + y->local,
			.remote = x->remote + y->remote,
			.stall_ns = x->stall_ns + y->stall_ns,
			.moves = x->moves + y->moves,
			.copies = x->copies + y->copies,
			.collapses = x->collapses + y->collapses,
			.replica_pages =
				max_u64(x->replica_pages, y->replica_pages),
		};
	}
	memset(b + SIM_BUCKETS / 2, 0, SIM_BUCKETS / 2 * sizeof(*b));
	r->bucket_ns *= 2;
}

static void sim_next_bucket(struct sim *s, uint64_t now_ns)
{
	struct sim_result *r = &s->result;

	while ((now_ns - r->first_ns) / r->bucket_ns >= SIM_BUCKETS)
		sim_halve_buckets(r);
	r->nr_buckets = (now_ns - r->first_ns) / r->bucket_ns + 1;
	s->bucket_end_ns = r->first_ns + r->nr_buckets * r->bucket_ns;
	s->bucket = &r->buckets[r->nr_buckets - 1];
	s->bucket->replica_pages = r->replica_pages;
}

static void sim_advance(struct sim *s, uint64_t now_ns)
{
	struct sim_result *r = &s->result;

	if (!r->accesses) {
		r->first_ns = s->changed_ns = now_ns;
		s->next_turn_ns = now_ns + s->c.turn_ns;
	}
	r->last_ns = now_ns;
	if (now_ns >= s->bucket_end_ns)
		sim_next_bucket(s, now_ns);
}

/* Copies come or go. */
static void sim_count_replicas(struct sim *s, uint64_t more, uint64_t less)
{
	struct sim_result *r = &s->result;
	struct sim_bucket *b = s->bucket;

	r->replica_page_ns +=
		(double)r->replica_pages * (double)(r->last_ns - s->changed_ns);
	s->changed_ns = r->last_ns;
	r->replica_pages += more - less;
	r->replica_pages_max = max_u64(r->replica_pages_max, r->replica_pages);
	b->replica_pages = max_u64(b->replica_pages, r->replica_pages);
}

/* --- actions -------------------------------------------------------------- */

/* All copies but the home's end. */
static uint64_t sim_collapse(struct sim *s, struct sim_page *p)
{
	uint64_t gone = (uint64_t)__builtin_popcountll(p->copies) - 1, cost;

	if (!gone)
		return 0;
	p->copies = 1ull << p->home;
	if (p->collapses < BACKOFF_MAX)
		p->collapses++;
	cost = gone * s->c.machine->collapse_ns;
	s->result.collapses++;
	s->result.collapsed += gone;
	s->result.spent_ns += cost;
	s->bucket->collapses++;
	sim_count_replicas(s, 0, gone);
	return cost;
}

/* Return: what it took; the page may have changed since the decision. */
static uint64_t sim_carry_out(struct sim *s, struct sim_page *p,
			      const struct placement_action *a, bool *done)
{
	struct sim_bucket *b = s->bucket;
	uint64_t spent = s->c.machine->move_ns[a->from * s->nr_nodes + a->to];
	bool copy = a->action == POLICY_REPLICATE;

	*done = p->copies >> a->from & 1 && !(copy && p->copies >> a->to & 1);
	if (!*done)
		return 0;
	if (copy) {
		p->copies |= 1ull << a->to;
		s->result.copies++;
		b->copies++;
		sim_count_replicas(s, 1, 0);
	} else {
		(void)sim_collapse(s, p);
		p->home = a->to;
		p->copies = 1ull << a->to;
		s->result.moves++;
		b->moves++;
	}
	s->result.spent_ns += spent;
	return spent;
}

static void sim_act(struct sim *s, struct sim_vm *v, unsigned max)
{
	struct placement_action a[TURN_MAX];
	unsigned nr = placement_take(v->engine, a, max);

	for (unsigned i = 0; i < nr; i++) {
		bool done;
		uint64_t spent =
			sim_carry_out(s, &v->pages[a[i].page], &a[i], &done);

		placement_done(v->engine, &a[i], done, spent);
	}
}

static void sim_turns(struct sim *s, uint64_t now_ns)
{
	if (now_ns < s->next_turn_ns)
		return;
	for (uint32_t vm = 0; vm < s->c.info->nr_vms; vm++)
		sim_act(s, &s->vms[vm], s->c.turn_pages);
	s->next_turn_ns = now_ns + s->c.turn_ns;
}

/* --- accesses ------------------------------------------------------------- */

static void sim_touch_first(struct sim *s, struct sim_vm *v, struct sim_page *p,
			    const struct access_record *r)
{
	uint8_t home = r->home < s->nr_nodes ? r->home : r->node;

	if (r->home >= s->nr_nodes && v->engine)
		home = placement_place(v->engine, r->time_ns, r->page, r->node);
	p->home = home;
	p->copies = 1ull << home;
	s->result.pages++;
}

/* Of a page with several copies. */
static uint8_t sim_nearest(const struct sim *s, const struct sim_page *p,
			   uint8_t node)
{
	const uint8_t *order = s->nearest_order[node];
	uint32_t i = 0;

	while (i + 1 < s->nr_nodes && !(p->copies >> order[i] & 1))
		i++;
	return order[i];
}

static uint32_t sim_us(const struct sim *s, uint64_t time_ns)
{
	return (uint32_t)min_u64((time_ns - s->result.first_ns) / 1000 + 1,
				 UINT32_MAX);
}

static uint8_t sim_flags(const struct sim *s, struct sim_page *p,
			 const struct access_record *r)
{
	uint64_t proof_us = s->proof_us << p->collapses, since;
	uint32_t now_us = sim_us(s, r->time_ns);

	if (r->kind == POLICY_WRITE)
		p->written_us = now_us;
	since = now_us - p->written_us;
	return since >= proof_us ? POLICY_PAGE_SHARED | POLICY_PAGE_UNWRITTEN
				 : POLICY_PAGE_SHARED;
}

static void sim_access(struct sim *s, const struct access_record *in)
{
	struct sim_result *res = &s->result;
	struct sim_vm *v = &s->vms[in->vm];
	struct sim_page *p = &v->pages[in->page];
	struct access_record r = *in;
	struct sim_bucket *b;
	bool act;

	sim_advance(s, r.time_ns);
	res->accesses++;
	if (r.node >= s->nr_nodes) {
		res->skipped++;
		return;
	}
	if (!p->copies)
		sim_touch_first(s, v, p, &r);
	if (v->engine)
		r.home = p->home;
	else if (r.home >= s->nr_nodes)
		r.home = p->home;
	if (p->copies & (p->copies - 1)) {
		if (r.kind == POLICY_WRITE)
			(void)sim_collapse(s, p);
		else
			r.home = sim_nearest(s, p, r.node);
	}
	if (s->c.replicas)
		r.page_flags = sim_flags(s, p, &r);
	b = s->bucket;
	b->stall_ns += (uint64_t)r.weight *
		       s->c.machine->latency_ns[r.node * s->nr_nodes + r.home];
	s->weight[r.node] += r.weight;
	if (r.node == r.home)
		b->local += r.weight;
	else
		b->remote += r.weight;
	if (!v->engine)
		return;
	act = placement_record(v->engine, &r);
	if (s->c.turn_ns)
		sim_turns(s, r.time_ns);
	else if (act)
		sim_act(s, v, 1);
}

static inline void sim_expect(const struct sim *s,
			      const struct access_record *r)
{
	const struct sim_vm *v = &s->vms[r->vm];

	__builtin_prefetch(&v->pages[r->page], 1);
	if (v->engine)
		placement_expect(v->engine, r->page);
}

int sim_feed(struct sim *s, const struct access_record *records, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		if (i + AHEAD < nr)
			sim_expect(s, &records[i + AHEAD]);
		sim_access(s, &records[i]);
	}
	return 0;
}

const struct sim_result *sim_result(struct sim *s)
{
	struct sim_result *r = &s->result;

	sim_count_replicas(s, 0, 0);
	r->local = r->remote = r->stall_ns = r->uma_ns = r->bounced = 0;
	for (uint32_t i = 0; i < r->nr_buckets; i++) {
		r->local += r->buckets[i].local;
		r->remote += r->buckets[i].remote;
		r->stall_ns += r->buckets[i].stall_ns;
	}
	for (uint32_t i = 0; i < s->nr_nodes; i++)
		r->uma_ns += s->weight[i] *
			     s->c.machine->latency_ns[i * s->nr_nodes + i];
	for (uint32_t vm = 0; vm < s->c.info->nr_vms; vm++)
		if (s->vms[vm].engine)
			r->bounced += atomic_load_explicit(
				&placement_figures(s->vms[vm].engine)->bounced,
				memory_order_relaxed);
	return r;
}
