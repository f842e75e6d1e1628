/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policies that others are compared with: first-touch never moves a page,
 * interleave puts page i on node i mod n, migrate has a threshold.
 */
#include "memory/placement/policies.h"

uint8_t policy_place_first_touch(void *state, const struct policy_now *now,
				 uint64_t page, uint8_t node)
{
	(void)state;
	(void)now;
	(void)page;
	return node;
}

static void first_touch_page(void *state, const struct policy_now *now,
			     const struct policy_page *p,
			     struct policy_decision *out)
{
	(void)state;
	(void)now;
	(void)p;
	(void)out;
}

const struct policy policy_first_touch = {
	.abi = POLICY_ABI,
	.name = "first-touch",
	.help = "a page stays where it was touched first",
	.place = policy_place_first_touch,
	.page = first_touch_page,
};

/* The page's turn among the nodes with memory; @node if none has any. */
static uint8_t interleave_place(void *state, const struct policy_now *now,
				uint64_t page, uint8_t node)
{
	const struct policy_machine *m = now->machine;
	uint64_t nr = 0, turn;

	(void)state;
	for (uint32_t i = 0; i < m->nr_nodes; i++)
		nr += m->nodes[i].has_memory != 0;
	turn = nr ? page % nr : 0;
	for (uint32_t i = 0; nr && i < m->nr_nodes; i++)
		if (m->nodes[i].has_memory && turn-- == 0)
			return (uint8_t)i;
	return node;
}

/* For pages that were there before the policy: to their turn, once. */
static void interleave_page(void *state, const struct policy_now *now,
			    const struct policy_page *p,
			    struct policy_decision *out)
{
	uint8_t to = interleave_place(state, now, p->page, p->home);

	if (to != p->home)
		*out = (struct policy_decision){ .action = POLICY_MOVE,
						 .reason = POLICY_SPREAD,
						 .to = to };
}

const struct policy policy_interleave = {
	.abi = POLICY_ABI,
	.name = "interleave",
	.help = "pages go round the nodes by their number",
	.place = interleave_place,
	.page = interleave_page,
};

enum { MIGRATE_TRIGGER, MIGRATE_SHARING, MIGRATE_MOVES, MIGRATE_RESET };

static const struct policy_param migrate_params[] = {
	{ "trigger", "misses by one node that make a page hot", 128, 1, 4095 },
	{ "sharing", "misses by another node that make it shared", 32, 1,
	  4095 },
	{ "migrate", "moves of a page per period", 1, 1, 3 },
	{ "reset", "ms until counts begin anew", 100, 1, 3600000 },
};

/* Verghese's tree (disco.c) without its branch for shared pages. */
static void migrate_page(void *state, const struct policy_now *now,
			 const struct policy_page *p,
			 struct policy_decision *out)
{
	(void)state;
	if (p->node == p->home ||
	    policy_count_of(p, p->node) < now->params[MIGRATE_TRIGGER])
		return;
	for (unsigned i = 0; i < POLICY_TOP; i++)
		if (p->nodes[i] != p->node &&
		    p->counts[i] >= now->params[MIGRATE_SHARING]) {
			out->reason = POLICY_WRITE_SHARED;
			return;
		}
	if (p->moved >= now->params[MIGRATE_MOVES]) {
		out->reason = POLICY_TOO_OFTEN;
		return;
	}
	*out = (struct policy_decision){ .action = POLICY_MOVE,
					 .reason = POLICY_ONE_NODE,
					 .to = p->node };
}

const struct policy policy_migrate = {
	.abi = POLICY_ABI,
	.name = "migrate",
	.help = "a hot page goes to the one node that uses it",
	.params = migrate_params,
	.nr_params = ARRAY_SIZE(migrate_params),
	.period_param = MIGRATE_RESET,
	.age = POLICY_RESET,
	.place = policy_place_first_touch,
	.page = migrate_page,
};

enum { REPLICATE_TRIGGER, REPLICATE_WRITES, REPLICATE_RESET };

static const struct policy_param replicate_params[] = {
	{ "trigger", "misses by one node that make a page hot", 128, 1, 4095 },
	{ "writes", "misses that are writes, from which on it stays", 1, 1,
	  4095 },
	{ "reset", "ms until counts begin anew", 100, 1, 3600000 },
};

/* The branch of Verghese's tree that copies, alone. */
static void replicate_page(void *state, const struct policy_now *now,
			   const struct policy_page *p,
			   struct policy_decision *out)
{
	(void)state;
	if (p->node == p->home ||
	    policy_count_of(p, p->node) < now->params[REPLICATE_TRIGGER])
		return;
	if (p->writes >= now->params[REPLICATE_WRITES]) {
		out->reason = POLICY_WRITE_SHARED;
		return;
	}
	*out = (struct policy_decision){ .action = POLICY_REPLICATE,
					 .reason = POLICY_READ_SHARED,
					 .to = p->node };
}

const struct policy policy_replicate = {
	.abi = POLICY_ABI,
	.name = "replicate",
	.help = "a hot page that nobody writes gets a copy where it is read",
	.params = replicate_params,
	.nr_params = ARRAY_SIZE(replicate_params),
	.period_param = REPLICATE_RESET,
	.age = POLICY_RESET,
	.place = policy_place_first_touch,
	.page = replicate_page,
};
