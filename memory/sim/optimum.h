/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The offline optimum of a trace: the least that stalls, moves, copies and
 * collapses can cost together, for somebody who knows the whole trace, with the
 * costs of sim.h. No policy can do better there.
 *
 * DEFINITION. At any time a page has copies on a set S of nodes, not empty. The
 * cost of a schedule of sets is
 *
 *	an access of weight w by node a	  w x min over s in S of latency(a, s);
 *					  a write needs a set of one
 *	{h} becomes {n}			  move(h, n)
 *	S becomes S + n			  min over s in S of move(s, n)
 *	S becomes S - n			  collapse
 *
 * and the optimum is the sum over pages of the cheapest schedule of each, which
 * begins with {home} where the trace knows the first home, and with any {n} for
 * nothing where it does not. Found by dynamic programming over the sets; between
 * accesses of one node and kind no change can pay, so sets change between runs of
 * those alone.
 *
 * Without replicas, and on machines of more than OPTIMUM_SET_NODES nodes, sets
 * have one node each: then the optimum is that of moves, and policies that
 * replicate may do better.
 *
 * Cost: a few hundred steps for each run of accesses, and 8 bytes x sets for
 * each page that is touched.
 */
#ifndef DISCO_MEMORY_SIM_OPTIMUM_H
#define DISCO_MEMORY_SIM_OPTIMUM_H

#include "memory/sim/sim.h"

#define OPTIMUM_SET_NODES 6u

struct optimum;

/* @info and @m outlive it. Return: 0; -EINVAL; -ENOMEM. */
MUST_CHECK int optimum_create(struct optimum **out,
			      const struct trace_info *info,
			      const struct sim_machine *m, bool replicas);

/* NULL is accepted. */
void optimum_destroy(struct optimum *o);

/* As sim_feed(). */
MUST_CHECK int optimum_feed(struct optimum *o,
			    const struct access_record *records, uint32_t nr);

/* Its cost so far. */
uint64_t optimum_cost_ns(struct optimum *o);

/* Whether sets of several nodes were considered. */
bool optimum_has_replicas(const struct optimum *o);

#endif
