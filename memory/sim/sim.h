/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simulator: a trace, played with another policy. Engine and policies are the
 * objects that run live; what the simulator has of its own is the memory, that
 * is where each page and its copies are, and what things cost:
 *
 *	an access	its weight x the latency from its node to the nearest copy
 *	a move		move_ns of the pair of nodes
 *	a copy		the same
 *	a write to a	collapse_ns for each copy that ends; the page stays at
 *	copied page	its home
 *
 * The modelled time of a run is what its CPUs computed (as the trace says), its
 * stalls, and what moves, copies and collapses cost: CPU time, not elapsed time.
 * Times of records are the recorded ones, whatever the policy saves.
 *
 * A page begins where the trace first saw it. Where the trace does not say, the
 * policy places it (struct policy's place()).
 *
 * Not modelled: memories that are full or busy, and the misses of caches that a
 * moved page has lost.
 *
 * Context of all functions: one thread per simulation.
 */
#ifndef DISCO_MEMORY_SIM_SIM_H
#define DISCO_MEMORY_SIM_SIM_H

#include "memory/placement/policies.h"
#include "memory/trace/trace.h"

#define SIM_BUCKETS 128u

/* What things cost. */
struct sim_machine {
	uint32_t nr_nodes;
	uint32_t collapse_ns; /* per copy */
	/* [nr_nodes * nr_nodes], as struct policy_machine has them */
	uint32_t latency_ns[POLICY_MAX_NODES * POLICY_MAX_NODES];
	uint32_t move_ns[POLICY_MAX_NODES * POLICY_MAX_NODES];
};

struct sim_config {
	const struct trace_info *info;	   /* outlives the simulation */
	const struct sim_machine *machine; /* the same */
	/* No policy: each page is where the trace says, access by access. */
	struct policy_choice choice;
	/*
	 * Pages may be copied. One counts as proven unwritten when nobody has
	 * written it for proof_ns, twice that after each collapse.
	 */
	bool replicas;
	uint64_t proof_ns;
	/*
	 * An agent acts every turn_ns, on at most turn_pages; 0: at once, and
	 * on all.
	 */
	uint64_t turn_ns;
	uint32_t turn_pages;
};

/* A part of the time: all of them are equally long. */
struct sim_bucket {
	uint64_t local, remote; /* misses, by weight */
	uint64_t stall_ns;
	uint32_t moves, copies, collapses;
	uint64_t replica_pages; /* the most at a time */
};

struct sim_result {
	uint64_t accesses, skipped; /* skipped: of no known node */
	uint64_t local, remote;	    /* misses, by weight */
	uint64_t stall_ns;
	uint64_t uma_ns; /* stall if all of them were local */
	uint64_t moves, copies, collapses, collapsed; /* collapsed: copies */
	uint64_t bounced; /* as struct placement_figures has it */
	uint64_t spent_ns;
	uint64_t pages; /* touched */
	uint64_t replica_pages, replica_pages_max;
	double replica_page_ns; /* sum of pages x time */
	uint64_t first_ns, last_ns;
	uint64_t bucket_ns, nr_buckets;
	struct sim_bucket buckets[SIM_BUCKETS];
};

struct sim;

/* @out: released with sim_destroy(). Return: 0; -EINVAL; -ENOMEM. */
MUST_CHECK int sim_create(struct sim **out, const struct sim_config *c);

/* NULL is accepted. */
void sim_destroy(struct sim *s);

/* Records in order of time, checked as trace_next() does. Return: 0; -ENOMEM. */
MUST_CHECK int sim_feed(struct sim *s, const struct access_record *records,
			uint32_t nr);

/* As of the last record. Owned by @s. */
const struct sim_result *sim_result(struct sim *s);

/* Where a page is now: bit i is node i; the home has one, too. 0: untouched. */
uint64_t sim_copies(const struct sim *s, uint32_t vm, uint64_t page);

#endif
