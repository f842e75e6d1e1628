/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Linux does with hinting faults: a page goes to the node of its last
 * access, if the access before was that node's, too. With a node that makes a
 * share P of a page's accesses the page goes there with P x P, so that accesses
 * now and then move little.
 *
 * Source: Linux mm/mempolicy.c, should_numa_migrate_memory(): the two-stage
 * filter.
 */
#include "memory/placement/policies.h"

enum { AUTONUMA_PERIOD };

static const struct policy_param autonuma_params[] = {
	{ "period", "ms until counts begin anew", 1000, 1, 3600000 },
};

static void autonuma_page(void *state, const struct policy_now *now,
			  const struct policy_page *p,
			  struct policy_decision *out)
{
	(void)state;
	(void)now;
	if (p->node == p->home)
		return;
	out->to = p->node;
	out->reason = POLICY_NOT_AGREED;
	if (p->previous != p->node)
		return;
	out->reason = POLICY_ONE_NODE;
	out->action = POLICY_MOVE;
}

const struct policy policy_autonuma = {
	.abi = POLICY_ABI,
	.name = "autonuma",
	.help = "as Linux does: two accesses in a row decide",
	.params = autonuma_params,
	.nr_params = ARRAY_SIZE(autonuma_params),
	.period_param = AUTONUMA_PERIOD,
	.age = POLICY_RESET,
	.place = policy_place_first_touch,
	.page = autonuma_page,
};
