/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carrefour: traffic first, locality second. Once per period the VM's sums say
 * which means are used in the next one:
 *
 *	migrate		less than so many % of misses are local
 *	interleave	the loads of the nodes' memories differ: their standard
 *			deviation is more than so many % of their mean
 *	replicate	at least so many % of misses are reads
 *
 * Of a page with enough misses: one node uses it -> migrate; several, and no
 * write was seen -> replicate; else interleave: to the page's turn, a number of
 * its own, so that it goes there once.
 *
 * Source: Dashti et al.: Traffic Management: A Holistic Approach to Memory
 * Placement on NUMA Systems (ASPLOS'13).
 */
#include "memory/placement/policies.h"

enum {
	CARREFOUR_SAMPLES,
	CARREFOUR_LOCAL,
	CARREFOUR_IMBALANCE,
	CARREFOUR_READS,
	CARREFOUR_PERIOD,
};

static const struct policy_param carrefour_params[] = {
	{ "samples", "misses that a page needs", 2, 1, 4095 },
	{ "local", "migrate below so many % of local misses", 80, 0, 101 },
	{ "imbalance", "interleave beyond so many % of deviation", 35, 0,
	  1000 },
	{ "reads", "replicate from so many % of reads on", 95, 0, 101 },
	{ "period", "ms that decide on the next so many", 1000, 1, 3600000 },
};

/* Of the last period; nothing in the first one. */
struct carrefour_state {
	bool migrate, interleave, replicate;
};

/* Deviation^2 > (limit * mean)^2, without a square root. */
static bool carrefour_is_uneven(const struct policy_machine *m,
				const struct policy_sums *sums,
				uint64_t percent)
{
	double mean = 0, variance = 0, limit, d;

	for (uint32_t i = 0; i < m->nr_nodes; i++)
		mean += (double)sums->at[i];
	mean /= m->nr_nodes;
	for (uint32_t i = 0; i < m->nr_nodes; i++) {
		d = (double)sums->at[i] - mean;
		variance += d * d;
	}
	variance /= m->nr_nodes;
	limit = mean * (double)percent / 100;
	return variance > limit * limit;
}

static void carrefour_period(void *state, const struct policy_now *now,
			     const struct policy_sums *sums)
{
	struct carrefour_state *s = state;
	const uint64_t *params = now->params;

	s->migrate = sums->local * 100 <
		     params[CARREFOUR_LOCAL] * (sums->local + sums->remote);
	s->interleave = carrefour_is_uneven(now->machine, sums,
					    params[CARREFOUR_IMBALANCE]);
	s->replicate = sums->reads * 100 >=
			       params[CARREFOUR_READS] *
				       (sums->reads + sums->writes) &&
		       sums->reads;
}

static void carrefour_page(void *state, const struct policy_now *now,
			   const struct policy_page *p,
			   struct policy_decision *out)
{
	const struct carrefour_state *s = state;
	struct policy_decision d = { .to = p->node };

	if (p->counts[0] + p->counts[1] < now->params[CARREFOUR_SAMPLES])
		return;
	if (p->nodes[1] == POLICY_NO_NODE || !p->counts[1]) {
		d.action = s->migrate ? POLICY_MOVE : POLICY_STAY;
		d.reason = POLICY_ONE_NODE;
	} else if (!p->writes) {
		d.action = s->replicate ? POLICY_REPLICATE : POLICY_STAY;
		d.reason = POLICY_READ_SHARED;
	} else {
		d.action = s->interleave ? POLICY_MOVE : POLICY_STAY;
		d.reason = POLICY_SPREAD;
		d.to = policy_interleave.place(NULL, now, p->page, p->home);
	}
	if (d.to != p->home)
		*out = d;
}

const struct policy policy_carrefour = {
	.abi = POLICY_ABI,
	.state_bytes = sizeof(struct carrefour_state),
	.name = "carrefour",
	.help = "even loads first: migrate, replicate or interleave",
	.params = carrefour_params,
	.nr_params = ARRAY_SIZE(carrefour_params),
	.period_param = CARREFOUR_PERIOD,
	.age = POLICY_RESET,
	.place = policy_place_first_touch,
	.page = carrefour_page,
	.period = carrefour_period,
};
