/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policy of Disco and of CC-NUMA machines before it. A page is hot when one
 * node's counter reaches the trigger within a period:
 *
 *	another node's counter has reached the sharing threshold?
 *	  yes: written less than the write threshold?  yes: replicate
 *						       no: leave
 *	  no: moved less than the migrate threshold?   yes: migrate
 *						       no: leave
 *
 * Source: Verghese, Devine, Gupta, Rosenblum: Operating System Support for
 * Improving Data Locality on CC-NUMA Compute Servers (ASPLOS'96); Disco
 * (SOSP'97) 4.2.
 */
#include "memory/placement/policies.h"

enum {
	DISCO_TRIGGER,
	DISCO_SHARING,
	DISCO_WRITE,
	DISCO_MIGRATE,
	DISCO_RESET,
};

static const struct policy_param disco_params[] = {
	{ "trigger", "misses by one node that make a page hot", 128, 1, 4095 },
	{ "sharing", "misses by another node that make it shared", 32, 1,
	  4095 },
	{ "write", "writes that keep a shared page from replication", 1, 1,
	  255 },
	{ "migrate", "moves of a page per period", 1, 1, 3 },
	{ "reset", "ms until counts begin anew", 100, 1, 3600000 },
};

static bool disco_is_shared(const struct policy_page *p, uint64_t threshold)
{
	for (unsigned i = 0; i < POLICY_TOP; i++)
		if (p->nodes[i] != POLICY_NO_NODE && p->nodes[i] != p->node &&
		    p->counts[i] >= threshold)
			return true;
	return false;
}

static void disco_page(void *state, const struct policy_now *now,
		       const struct policy_page *p, struct policy_decision *out)
{
	const uint64_t *params = now->params;

	(void)state;
	if (p->node == p->home ||
	    policy_count_of(p, p->node) < params[DISCO_TRIGGER])
		return;
	out->to = p->node;
	if (disco_is_shared(p, params[DISCO_SHARING])) {
		if (p->writes < params[DISCO_WRITE]) {
			out->action = POLICY_REPLICATE;
			out->reason = POLICY_READ_SHARED;
		} else {
			out->reason = POLICY_WRITE_SHARED;
		}
	} else if (p->moved < params[DISCO_MIGRATE]) {
		out->action = POLICY_MOVE;
		out->reason = POLICY_ONE_NODE;
	} else {
		out->reason = POLICY_TOO_OFTEN;
	}
}

const struct policy policy_disco = {
	.abi = POLICY_ABI,
	.name = "disco",
	.help = "as in the paper: migrate, replicate or leave a hot page",
	.params = disco_params,
	.nr_params = ARRAY_SIZE(disco_params),
	.period_param = DISCO_RESET,
	.age = POLICY_RESET,
	.place = policy_place_first_touch,
	.page = disco_page,
};
