/* SPDX-License-Identifier: BSD-2-Clause */
#include "numa/balance.h"

/* Loads of all nodes, indexed as in the topology. */
struct scale {
	const struct topology *t;
	uint64_t sum[MAX_NODES]; /* in units of BALANCE_CPU per CPU */
};

/* A move that rules 1, 2 and 4 allow. */
struct offer {
	struct balance_move move;
	uint64_t from_load, to_load; /* of the nodes, before */
	uint64_t gain, cost;
	uint32_t distance;
};

/*
 * Index of the node whose CPUs a VM of @node runs on; -1: no such node, or no
 * CPUs.
 */
static int balance_runs_on(const struct topology *t, nodeid_t node)
{
	const struct topology_node *n = topology_cpus_near(t, node);

	return n ? (int)(n - t->nodes) : -1;
}

static void balance_put(struct scale *s, nodeid_t node, uint32_t load)
{
	int at = balance_runs_on(s->t, node);

	if (at >= 0)
		s->sum[at] += load;
}

static void balance_weigh(struct scale *s, const struct topology *t,
			  const struct balance_vm *vms, unsigned nr)
{
	*s = (struct scale){ .t = t };
	for (unsigned i = 0; i < nr; i++) {
		const struct balance_vm *vm = &vms[i];

		if (!vm->parts)
			balance_put(s, vm->node, vm->load);
		for (unsigned k = 0; vm->parts && k < vm->nr_parts; k++)
			balance_put(s, vm->parts[k].node, vm->parts[k].load);
	}
}

uint64_t balance_load(const struct topology *t, const struct balance_vm *vms,
		      unsigned nr, nodeid_t node)
{
	const struct topology_node *n = topology_find(t, node);
	struct scale s;

	if (!n || !n->nr_cpus)
		return 0;
	balance_weigh(&s, t, vms, nr);
	return s.sum[n - t->nodes] / n->nr_cpus;
}

/* Rule 3. */
static bool balance_movable(const struct balance_vm *vm)
{
	return !vm->parts && !vm->fixed && !vm->paused && !vm->moving &&
	       vm->load >= BALANCE_BUSY && vm->rested >= BALANCE_REST;
}

static bool has_room(const struct topology_node *n, const struct balance_vm *vm)
{
	uint64_t reserve = n->total_bytes / BALANCE_RESERVE;

	return n->total_bytes && n->free_bytes >= reserve &&
	       vm->pages <= (n->free_bytes - reserve) / PAGE_BYTES;
}

/* Rules 1, 2 and 4; nodes are indexes. */
static bool balance_worth(const struct scale *s, const struct balance_vm *vm,
			  unsigned from, unsigned to, struct offer *out)
{
	const struct topology_node *n = s->t->nodes;
	uint64_t a, b, left, after;

	if (from == to || !n[to].nr_cpus || !has_room(&n[to], vm))
		return false;
	a = s->sum[from] / n[from].nr_cpus;
	b = s->sum[to] / n[to].nr_cpus;
	if (a <= b + max_u64(BALANCE_UNEVEN, a / BALANCE_UNEVEN_PART))
		return false;
	/*
	 * The fuller node has to become less full by at least half of what the
	 * VM weighs on @from (a - left). A smaller gain only exchanges the two
	 * nodes' loads, and the VM would move back in a later check.
	 */
	left = (s->sum[from] - vm->load) / n[from].nr_cpus;
	after = max_u64(left, (s->sum[to] + vm->load) / n[to].nr_cpus);
	if (after >= a || 2 * (a - after) < a - left)
		return false;
	*out = (struct offer){ .move = { vm->id, n[to].id },
			       .from_load = a,
			       .to_load = b,
			       .gain = a - after,
			       .cost = vm->pages + BALANCE_FIXED_PAGES,
			       .distance = s->t->distance[from][to] };
	return true;
}

/* Compares gain/cost without division: a/b > c/d if ad > cb. */
static bool balance_better(const struct offer *a, const struct offer *b)
{
	uint64_t x = a->gain * b->cost, y = b->gain * a->cost;

	if (x != y)
		return x > y;
	if (a->to_load != b->to_load)
		return a->to_load < b->to_load;
	return a->distance < b->distance;
}

/* Call @each for each allowed move of a movable VM. */
static void each_offer(const struct scale *s, const struct balance_vm *vms,
		       unsigned nr,
		       void (*each)(void *arg, const struct offer *o),
		       void *arg)
{
	struct offer o;

	for (unsigned i = 0; i < nr; i++) {
		int from = balance_movable(&vms[i])
				   ? balance_runs_on(s->t, vms[i].node)
				   : -1;

		for (unsigned to = 0; from >= 0 && to < s->t->nr_nodes; to++)
			if (balance_worth(s, &vms[i], (unsigned)from, to, &o))
				each(arg, &o);
	}
}

struct search {
	const struct balance_move *last;
	uint64_t fullest;
	struct offer best; /* move.id 0: none yet */
	bool again;	   /* the last check's move is still allowed */
};

static void find_fullest(void *arg, const struct offer *o)
{
	struct search *f = arg;

	f->fullest = max_u64(f->fullest, o->from_load);
}

/*
 * Only moves away from the fullest node, or from one about as full, are
 * candidates: otherwise a cheap move elsewhere could win for ever while the
 * fullest node stays as it is.
 */
static void find_best(void *arg, const struct offer *o)
{
	struct search *f = arg;

	if (o->from_load + BALANCE_UNEVEN < f->fullest)
		return;
	if (o->move.id == f->last->id && o->move.to == f->last->to)
		f->again = true;
	if (!f->best.move.id || balance_better(o, &f->best))
		f->best = *o;
}

bool balance_check(const struct topology *t, const struct balance_vm *vms,
		   unsigned nr, struct balance_move *last,
		   struct balance_move *out)
{
	struct search f = { .last = last };
	struct scale s;

	/*
	 * Two passes over the same moves: the first finds how full the fullest
	 * node is that any move can relieve, the second finds the best move.
	 */
	balance_weigh(&s, t, vms, nr);
	each_offer(&s, vms, nr, find_fullest, &f);
	each_offer(&s, vms, nr, find_best, &f);
	if (f.again)
		*out = *last;
	*last = f.best.move;
	/* This move is done now; the next one needs two checks of its own. */
	if (f.again)
		last->id = 0;
	return f.again;
}
