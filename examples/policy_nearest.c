/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A policy as a plug-in: a page that was missed often enough goes to the node
 * that misses it most, but only along one hop: where that node is far, to one on
 * the way to it. Pages of nodes that want them in turn end in the middle.
 *
 *	cc -O2 -shared -fPIC -nostdlib -I include -o nearest.so policy_nearest.c
 */
#include "disco/policy.h"

static const struct policy_param params[] = {
	{ "often", "misses per 100 ms that make a page move", 200, 1, 4095 },
};

static uint8_t place(void *state, const struct policy_now *now, uint64_t page,
		     uint8_t node)
{
	(void)state, (void)now, (void)page;
	return node; /* where it is touched first */
}

static void page(void *state, const struct policy_now *now,
		 const struct policy_page *p, struct policy_decision *out)
{
	const struct policy_machine *m = now->machine;
	uint32_t far = policy_latency(m, p->nodes[0], p->home);
	uint32_t least = UINT32_MAX;

	(void)state;
	if (p->counts[0] < now->params[0])
		return; /* *out is "stay" */
	for (uint8_t i = 0; i < m->nr_nodes; i++) {
		uint32_t step = policy_latency(m, p->home, i);
		uint32_t left = policy_latency(m, p->nodes[0], i);

		if (left >= far || step >= least || !m->nodes[i].has_memory)
			continue;
		least = step; /* the shortest step that brings it nearer */
		*out = (struct policy_decision){ .action = POLICY_MOVE,
						 .reason = POLICY_OTHER,
						 .to = i };
	}
}

__attribute__((visibility("default"))) extern const struct policy disco_policy;
const struct policy disco_policy = {
	.abi = POLICY_ABI,
	.name = "nearest",
	.help = "one hop towards the node that misses a page most",
	.params = params,
	.nr_params = 1,
	.period_param = 1, /* none of them: periods of 100 ms */
	.age = POLICY_RESET,
	.place = place,
	.page = page,
};
