/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Balanced, the standard policy: a page moves when what it is predicted to save
 * over the horizon is more than what a move between these two nodes has been
 * measured to cost.
 *
 * SAVING. A page's counts are misses by node. With its home at h they cost
 * stall(h), the sum of count x latency(node, h). The latency of a memory that is
 * busy to u of its capacity is that of an idle one / (1 - u), the mean wait of a
 * queue; so pages leave a memory that is nearly saturated, and go to none.
 * Counts are halved each period T, so that they are of the last 2T at most, and
 *
 *	saving = (stall(home) - stall(to)) x horizon / 2T
 *
 * COST. The measured time of a move from home to it, and then one miss for each
 * line of the page, as no cache has it any more; times 2 for each move that the
 * page made of late.
 *
 * A page moves only if
 *  1. two accesses in a row were of the node that gains most: one alone is
 *     chance, unless it is a sum of counted ones;
 *  2. saving > cost;
 *  3. its new home has memory to spare, and is not busy;
 *  4. moves between these two nodes have taken less than their share of the time
 *     (budget), but for a burst. Runs of hinted pages are of the same budget.
 *
 * A memory that is read only, of a cache or a segment, is replicated on a node
 * that would save more by a copy of its own than that costs.
 *
 * Where the home is busy, so that the page is to go to a node that hardly uses
 * it, every second page stays: or all would follow each other round the nodes.
 *
 * NO PAGE BOUNCES FOR EVER
 *  a. With counts that keep their proportions, and constant loads: each move
 *     makes stall(home) smaller, by more than cost x 2T / horizon > 0 (rule 2).
 *     So no node is a page's home twice, and it moves at most nodes - 1 times.
 *  b. Whatever the counts do: the saving is at most
 *     G = POLICY_TOP x most counts x highest latency x horizon / 2T. The move
 *     after k moves of late needs cost x 2^k < G, so there are at most
 *     1 + log2(G / cost) moves before one of them is forgotten, POLICY_REST_NS
 *     later: in the long run a page moves at most once in that time.
 */
#include "memory/placement/budget.h"
#include "memory/placement/policies.h"

#define PAGE_LINES	 64u
#define BUSY_MOST	 950u /* permille: latency x 20 at most */
#define BUSY_LIMIT	 850u /* nothing is moved to a node beyond */
#define FREE_PAGES_LEAST 1024u

enum {
	BALANCED_HORIZON,
	BALANCED_BUDGET,
	BALANCED_BURST,
	BALANCED_PERIOD,
};

static const struct policy_param balanced_params[] = {
	{ "horizon", "ms within which a move has to pay", 2000, 1, 3600000 },
	{ "budget", "permille of the time for moves between two nodes",
	  BUDGET_SHARE, 1, 1000 },
	{ "burst", "ms of moves at once", BUDGET_BURST, 1, 60000 },
	{ "period", "ms until counts are halved", 100, 1, 3600000 },
};

/* Of each pair of nodes: see budget_pay(). */
struct balanced_state {
	uint64_t paid_ns[POLICY_MAX_NODES][POLICY_MAX_NODES];
};

_Static_assert(sizeof(struct balanced_state) <= POLICY_STATE_MAX, "state");

static uint64_t balanced_latency(const struct policy_machine *m, uint8_t from,
				 uint8_t home)
{
	uint64_t busy = min_u64(m->nodes[home].busy_permille, BUSY_MOST);

	return (uint64_t)policy_latency(m, from, home) * 1000 / (1000 - busy);
}

static uint64_t balanced_stall(const struct policy_machine *m,
			       const struct policy_page *p, uint8_t home)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < POLICY_TOP; i++)
		if (p->nodes[i] != POLICY_NO_NODE)
			sum += p->counts[i] *
			       balanced_latency(m, p->nodes[i], home);
	return sum;
}

/* Where the page stalls least: at home, if it is nowhere less. */
static uint8_t balanced_best(const struct policy_machine *m,
			     const struct policy_page *p, uint64_t *stall)
{
	uint8_t best = p->home;

	*stall = balanced_stall(m, p, p->home);
	for (uint32_t i = 0; i < m->nr_nodes; i++) {
		uint64_t here = balanced_stall(m, p, (uint8_t)i);

		if (m->nodes[i].has_memory && here < *stall) {
			*stall = here;
			best = (uint8_t)i;
		}
	}
	return best;
}

/* In us, as ns would not fit 64 bits with the longest horizon. */
static uint64_t balanced_over_horizon(const struct policy_now *now,
				      uint64_t stall_ns)
{
	return stall_ns * (now->params[BALANCED_HORIZON] * 1000) /
	       max_u64(2 * now->period_ns / 1000, 1);
}

static uint64_t balanced_cost(const struct policy_machine *m, uint8_t from,
			      uint8_t to)
{
	return policy_move_cost(m, from, to) +
	       PAGE_LINES * (uint64_t)policy_latency(m, to, to);
}

static struct budget_limit balanced_limit(const struct policy_now *now)
{
	return (struct budget_limit){ now->params[BALANCED_BUDGET],
				      now->params[BALANCED_BURST] };
}

static uint64_t *balanced_paid(struct balanced_state *s, uint8_t from,
			       uint8_t to)
{
	return &s->paid_ns[from % POLICY_MAX_NODES][to % POLICY_MAX_NODES];
}

/* Rule 4. Takes what it allows. */
static uint64_t balanced_pay(void *state, const struct policy_now *now,
			     uint8_t from, uint8_t to, uint64_t pages)
{
	const struct budget_limit l = balanced_limit(now);

	return budget_pay(balanced_paid(state, from, to), &l, now->time_ns,
			  policy_move_cost(now->machine, from, to), pages);
}

static void balanced_refund(void *state, const struct policy_now *now,
			    uint8_t from, uint8_t to)
{
	const struct budget_limit l = balanced_limit(now);

	budget_refund(balanced_paid(state, from, to), &l,
		      policy_move_cost(now->machine, from, to));
}

static uint8_t balanced_place(void *state, const struct policy_now *now,
			      uint64_t page, uint8_t node)
{
	(void)state;
	(void)page;
	return now->machine->nodes[node].has_memory ? node : 0;
}

/*
 * May the page have copies? It is proven that nobody writes it, and no write was
 * counted of late.
 */
static bool balanced_may_replicate(const struct policy_page *p)
{
	return p->flags & POLICY_PAGE_SHARED &&
	       p->flags & POLICY_PAGE_UNWRITTEN && !p->writes;
}

/* Is the node that accessed it the only one that uses it? */
static bool balanced_is_of_one_node(const struct policy_page *p)
{
	return p->nodes[0] == p->node && p->nodes[1] == POLICY_NO_NODE &&
	       p->previous == p->node;
}

/* A copy for the node that accessed it, which leaves the home as it is. */
static void balanced_replicate(struct balanced_state *s,
			       const struct policy_now *now,
			       const struct policy_page *p,
			       struct policy_decision *out)
{
	const struct policy_machine *m = now->machine;
	uint64_t far = balanced_latency(m, p->node, p->home);
	uint64_t near = balanced_latency(m, p->node, p->node);

	if (far <= near)
		return;
	out->to = p->node;
	out->gain_ns = balanced_over_horizon(now, policy_count_of(p, p->node) *
							  (far - near));
	out->cost_ns = balanced_cost(m, p->home, p->node);
	/* Of a page that several nodes read, two in a row are of one by luck. */
	if (p->previous != p->node && !(p->flags & POLICY_PAGE_COUNTED))
		out->reason = POLICY_NOT_AGREED;
	else if (out->gain_ns <= out->cost_ns)
		out->reason = POLICY_NO_GAIN;
	else if (m->nodes[p->node].free_pages < FREE_PAGES_LEAST)
		out->reason = POLICY_NODE_FULL;
	else if (!balanced_pay(s, now, p->home, p->node, 1))
		out->reason = POLICY_NO_BUDGET;
	else {
		out->reason = POLICY_READ_SHARED;
		out->action = POLICY_REPLICATE;
	}
}

/* Rules 1 to 4, in the order of what they cost. */
static enum policy_reason balanced_refuses(struct balanced_state *s,
					   const struct policy_now *now,
					   const struct policy_page *p,
					   const struct policy_decision *d)
{
	const struct policy_node *to = &now->machine->nodes[d->to];
	bool used_there = policy_count_of(p, d->to) > 0;
	uint8_t most = used_there ? d->to : p->nodes[0];

	if (p->node != most ||
	    (p->previous != most && !(p->flags & POLICY_PAGE_COUNTED)))
		return POLICY_NOT_AGREED;
	if (d->gain_ns <= d->cost_ns)
		return d->gain_ns > d->cost_ns >> p->moves ? POLICY_TOO_OFTEN
							   : POLICY_NO_GAIN;
	if (to->free_pages < FREE_PAGES_LEAST)
		return POLICY_NODE_FULL;
	if (to->busy_permille > BUSY_LIMIT || (!used_there && p->page % 2))
		return POLICY_NODE_BUSY;
	if (!balanced_pay(s, now, p->home, d->to, 1))
		return POLICY_NO_BUDGET;
	return POLICY_NOTHING;
}

static void balanced_page(void *state, const struct policy_now *now,
			  const struct policy_page *p,
			  struct policy_decision *out)
{
	const struct policy_machine *m = now->machine;
	struct policy_decision d = { 0 };
	uint64_t here, there;

	if (balanced_may_replicate(p) && !balanced_is_of_one_node(p)) {
		balanced_replicate(state, now, p, out);
		return;
	}
	if (p->flags & POLICY_PAGE_PINNED)
		return;
	d.to = balanced_best(m, p, &there);
	if (d.to == p->home)
		return;
	here = balanced_stall(m, p, p->home);
	d.gain_ns = balanced_over_horizon(now, here - there);
	d.cost_ns = balanced_cost(m, p->home, d.to) << p->moves;
	d.reason = (uint8_t)balanced_refuses(state, now, p, &d);
	if (d.reason == POLICY_NOTHING) {
		d.action = POLICY_MOVE;
		d.reason = policy_count_of(p, d.to) ? POLICY_ONE_NODE
						    : POLICY_SPREAD;
	}
	*out = d;
}

const struct policy policy_balanced = {
	.abi = POLICY_ABI,
	.state_bytes = sizeof(struct balanced_state),
	.name = "balanced",
	.help = "a page moves when that saves more than it costs",
	.params = balanced_params,
	.nr_params = ARRAY_SIZE(balanced_params),
	.period_param = BALANCED_PERIOD,
	.age = POLICY_HALVE,
	.place = balanced_place,
	.page = balanced_page,
	.pay = balanced_pay,
	.refund = balanced_refund,
};
