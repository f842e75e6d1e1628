/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A policy that bounds runs of hinted pages by itself: so many pages in all, of
 * which what was decided on single pages is taken off. It allows one page more than
 * it is asked for, where it can.
 */
#include "disco/policy.h"

struct bounded_state {
	uint64_t spent; /* pages */
};

static const struct policy_param params[] = {
	{ "pages", "that may move", 100, 0, 1000000 },
};

static uint8_t bounded_place(void *state, const struct policy_now *now,
			     uint64_t page, uint8_t node)
{
	(void)state, (void)now, (void)page;
	return node;
}

static uint64_t bounded_pay(void *state, const struct policy_now *now,
			    uint8_t from, uint8_t to, uint64_t pages)
{
	struct bounded_state *s = state;
	uint64_t left = now->params[0] - s->spent;

	(void)from, (void)to;
	if (pages >= left)
		pages = left;
	s->spent += pages;
	return pages < left ? pages + 1 : pages;
}

static void bounded_refund(void *state, const struct policy_now *now,
			   uint8_t from, uint8_t to)
{
	struct bounded_state *s = state;

	(void)now, (void)from, (void)to;
	s->spent--;
}

static void bounded_page(void *state, const struct policy_now *now,
			 const struct policy_page *p,
			 struct policy_decision *out)
{
	if (p->node == p->home || !bounded_pay(state, now, p->home, p->node, 1))
		return;
	out->action = POLICY_MOVE;
	out->reason = POLICY_OTHER;
	out->to = p->node;
}

__attribute__((visibility("default"))) extern const struct policy disco_policy;
const struct policy disco_policy = {
	.abi = POLICY_ABI,
	.state_bytes = sizeof(struct bounded_state),
	.name = "bounded",
	.help = "so many moves, and no more",
	.params = params,
	.nr_params = 1,
	.period_param = 1,
	.age = POLICY_RESET,
	.place = bounded_place,
	.page = bounded_page,
	.pay = bounded_pay,
	.refund = bounded_refund,
};
