/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/sim/optimum.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK  512u /* pages */
#define NEVER  (UINT64_MAX / 4)
#define STATES (1u << OPTIMUM_SET_NODES)

/* Accesses in a row of one node and kind, not counted in the costs yet. */
struct optimum_run {
	uint64_t weight; /* 0: none */
	uint8_t node;
	bool write, touched;
};

struct optimum_chunk {
	struct optimum_run runs[CHUNK];
	uint64_t costs[]; /* [CHUNK * nr_states] */
};

struct optimum {
	const struct trace_info *info;
	const struct sim_machine *m;
	uint32_t nr_nodes;
	bool sets; /* a state is a set, as bits; else a node */
	uint32_t nr_states;
	/* Of sets: latency to the nearest copy, and cost of one more copy. */
	uint32_t latency[POLICY_MAX_NODES][STATES];
	uint64_t add[OPTIMUM_SET_NODES][STATES];
	struct optimum_chunk **chunks[TRACE_MAX_VMS];
};

static void optimum_fill_tables(struct optimum *o)
{
	const struct sim_machine *m = o->m;

	for (uint32_t n = 0; n < o->nr_nodes; n++)
		for (uint32_t s = 1; s < o->nr_states; s++) {
			o->latency[n][s] = UINT32_MAX;
			o->add[n][s] = NEVER;
			for (uint32_t i = 0; i < o->nr_nodes; i++) {
				if (!(s >> i & 1))
					continue;
				o->latency[n][s] = (uint32_t)min_u64(
					o->latency[n][s],
					m->latency_ns[n * o->nr_nodes + i]);
				o->add[n][s] = min_u64(
					o->add[n][s],
					m->move_ns[i * o->nr_nodes + n]);
			}
		}
}

int optimum_create(struct optimum **out, const struct trace_info *info,
		   const struct sim_machine *m, bool replicas)
{
	struct optimum *o;

	if (m->nr_nodes < info->nr_nodes || m->nr_nodes > POLICY_MAX_NODES)
		return -EINVAL;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->info = info;
	o->m = m;
	o->nr_nodes = m->nr_nodes;
	o->sets = replicas && m->nr_nodes <= OPTIMUM_SET_NODES;
	o->nr_states = o->sets ? 1u << m->nr_nodes : m->nr_nodes;
	if (o->sets)
		optimum_fill_tables(o);
	for (uint32_t vm = 0; vm < info->nr_vms; vm++) {
		o->chunks[vm] = calloc(info->vms[vm].pages / CHUNK + 1,
				       sizeof(struct optimum_chunk *));
		if (!o->chunks[vm]) {
			optimum_destroy(o);
			return -ENOMEM;
		}
	}
	*out = o;
	return 0;
}

void optimum_destroy(struct optimum *o)
{
	if (!o)
		return;
	for (uint32_t vm = 0; vm < o->info->nr_vms; vm++) {
		if (!o->chunks[vm])
			continue;
		for (uint64_t i = 0; i <= o->info->vms[vm].pages / CHUNK; i++)
			free(o->chunks[vm][i]);
		free(o->chunks[vm]);
	}
	free(o);
}

bool optimum_has_replicas(const struct optimum *o)
{
	return o->sets;
}

/* --- changes of a page's set ---------------------------------------------- */

static void optimum_least(uint64_t *cost, uint64_t other)
{
	if (other < *cost)
		*cost = other;
}

/* @bit: how a node is a state. */
static void optimum_move(const struct optimum *o, uint64_t *costs, bool bits)
{
	uint64_t was[POLICY_MAX_NODES] = { 0 };

	for (uint32_t i = 0; i < o->nr_nodes; i++)
		was[i] = costs[bits ? 1u << i : i];
	for (uint32_t i = 0; i < o->nr_nodes; i++)
		for (uint32_t j = 0; j < o->nr_nodes; j++)
			if (i != j)
				optimum_least(
					&costs[bits ? 1u << j : j],
					was[i] + o->m->move_ns[i * o->nr_nodes +
							       j]);
}

/* Larger sets first, so that several copies go at once. */
static void optimum_drop(const struct optimum *o, uint64_t *costs)
{
	for (uint32_t s = o->nr_states; s-- > 1;)
		for (uint32_t n = 0; n < o->nr_nodes; n++)
			if (s >> n & 1 && s != 1u << n)
				optimum_least(&costs[s & ~(1u << n)],
					      costs[s] + o->m->collapse_ns);
}

static void optimum_add(const struct optimum *o, uint64_t *costs)
{
	for (uint32_t s = 1; s < o->nr_states; s++)
		for (uint32_t n = 0; n < o->nr_nodes; n++)
			if (!(s >> n & 1))
				optimum_least(&costs[s | 1u << n],
					      costs[s] + o->add[n][s]);
}

/*
 * The cheapest way from each set to each other one either adds first and drops
 * then, or drops all but one, moves that, and adds: so this order has all.
 */
static void optimum_change(const struct optimum *o, uint64_t *costs)
{
	if (!o->sets) {
		optimum_move(o, costs, false);
		return;
	}
	optimum_drop(o, costs);
	optimum_move(o, costs, true);
	optimum_add(o, costs);
	optimum_drop(o, costs);
}

static void optimum_count(const struct optimum *o, uint64_t *costs,
			  const struct optimum_run *run)
{
	const uint32_t *latency = &o->m->latency_ns[run->node * o->nr_nodes];

	for (uint32_t s = o->sets ? 1 : 0; s < o->nr_states; s++) {
		if (o->sets && run->write && s & (s - 1))
			costs[s] = NEVER;
		else
			costs[s] += run->weight *
				    (o->sets ? o->latency[run->node][s]
					     : latency[s]);
		costs[s] = min_u64(costs[s], NEVER);
	}
}

static void optimum_end_run(const struct optimum *o, uint64_t *costs,
			    struct optimum_run *run)
{
	if (!run->weight)
		return;
	optimum_change(o, costs);
	optimum_count(o, costs, run);
	run->weight = 0;
}

/* --- accesses ------------------------------------------------------------- */

static struct optimum_chunk *optimum_chunk_of(struct optimum *o, uint32_t vm,
					      uint64_t page)
{
	struct optimum_chunk **c = &o->chunks[vm][page / CHUNK];

	if (!*c)
		*c = calloc(1, sizeof(**c) +
				       sizeof(uint64_t) * CHUNK * o->nr_states);
	return *c;
}

static void optimum_begin(const struct optimum *o, uint64_t *costs,
			  const struct access_record *r)
{
	for (uint32_t s = 0; s < o->nr_states; s++) {
		bool one = !o->sets || (s && !(s & (s - 1)));
		uint32_t home = o->sets ? 1u << (r->home & 31) : r->home;

		costs[s] = one && (r->home >= o->nr_nodes || s == home) ? 0
									: NEVER;
	}
}

int optimum_feed(struct optimum *o, const struct access_record *records,
		 uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		const struct access_record *r = &records[i];
		bool write = r->kind == POLICY_WRITE;
		struct optimum_chunk *c;
		struct optimum_run *run;
		uint64_t *costs;

		if (r->node >= o->nr_nodes)
			continue;
		c = optimum_chunk_of(o, r->vm, r->page);
		if (!c)
			return -ENOMEM;
		run = &c->runs[r->page % CHUNK];
		costs = &c->costs[r->page % CHUNK * o->nr_states];
		if (!run->touched)
			optimum_begin(o, costs, r);
		if (run->node != r->node || run->write != write)
			optimum_end_run(o, costs, run);
		run->touched = true;
		run->node = r->node;
		run->write = write;
		run->weight += r->weight;
	}
	return 0;
}

static uint64_t optimum_of_page(const struct optimum *o,
				const struct optimum_chunk *c, uint32_t page)
{
	uint64_t costs[POLICY_MAX_NODES > STATES ? POLICY_MAX_NODES
						 : STATES] = { 0 };
	struct optimum_run run = c->runs[page];
	uint64_t best = NEVER;

	if (!run.touched)
		return 0;
	for (uint32_t s = 0; s < o->nr_states; s++)
		costs[s] = c->costs[page * o->nr_states + s];
	optimum_end_run(o, costs, &run);
	for (uint32_t s = o->sets ? 1 : 0; s < o->nr_states; s++)
		optimum_least(&best, costs[s]);
	return best;
}

uint64_t optimum_cost_ns(struct optimum *o)
{
	uint64_t sum = 0;

	for (uint32_t vm = 0; vm < o->info->nr_vms; vm++)
		for (uint64_t i = 0; i <= o->info->vms[vm].pages / CHUNK; i++)
			for (uint32_t p = 0; o->chunks[vm][i] && p < CHUNK; p++)
				sum += optimum_of_page(o, o->chunks[vm][i], p);
	return sum;
}
