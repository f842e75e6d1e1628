/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decides which VM should change node: a pure function of the machine, of the
 * VMs' figures, and of the result of the previous check.
 *
 * The load of a node is the CPU demand of its VMs, divided by its number of
 * CPUs. A VM on a node without CPUs is a load of the node whose CPUs it runs on
 * (topology_cpus_near()). A wide VM is a load of each node by the vCPUs that it
 * has there, and never moves. A move from node A to node B is made only if
 *
 *  1. A has more load than B, by more than BALANCE_UNEVEN and by more than
 *     1/BALANCE_UNEVEN_PART of its load: where all nodes are far overloaded,
 *     small differences are noise;
 *  2. after the move, the fuller one of the two nodes is less full than A was,
 *     by at least half of the VM's load on A: a move that only exchanges the
 *     loads gains nothing;
 *  3. the VM is busy (BALANCE_BUSY), has rested for BALANCE_REST checks since
 *     its last move, and is not fixed, paused, or being moved;
 *  4. B has CPUs, memory, and room for the VM plus a reserve.
 *
 * The candidates are the moves that relieve the fullest node, or a node whose
 * load differs from it by at most BALANCE_UNEVEN. The best one gains most per
 * page pulled; among equals the emptiest target wins, then the nearest.
 *
 * Termination: with unchanged loads, each move makes the list of the nodes'
 * loads, sorted fullest first, lexicographically smaller (rule 2). So no
 * arrangement occurs twice, and there are finitely many.
 */
#ifndef DISCO_NUMA_BALANCE_H
#define DISCO_NUMA_BALANCE_H

#include "numa/topology.h"

#define BALANCE_CPU	    1000u /* load of one CPU, or of a node's CPUs */
#define BALANCE_UNEVEN	    250u
#define BALANCE_UNEVEN_PART 8u
#define BALANCE_BUSY	    100u  /* a VM with a smaller load is never moved */
#define BALANCE_REST	    5u	  /* checks */
#define BALANCE_FIXED_PAGES 1024u /* a move's cost besides the VM's pages */
#define BALANCE_RESERVE	    32u	  /* 1/32 of a node's memory stays free */

/* What a wide VM demands of the CPUs of one of its nodes. */
struct balance_part {
	nodeid_t node; /* one that is not known is ignored */
	uint32_t load;
};

struct balance_vm {
	uint64_t id;	 /* the caller's; unique, not 0 */
	nodeid_t node;	 /* its home; a VM on an unknown node is ignored */
	uint32_t load;	 /* over the last period; BALANCE_CPU is one CPU */
	uint64_t pages;	 /* that a move would pull */
	uint32_t rested; /* checks since its last move; UINT32_MAX: no move */
	bool fixed;	 /* the node was chosen by number, or is strict */
	bool paused, moving;
	/* Of a wide VM; its @node and @load are not used. Else NULL. */
	const struct balance_part *parts; /* not owned */
	unsigned nr_parts;
};

struct balance_move {
	uint64_t id; /* 0: none */
	nodeid_t to;
};

/**
 * balance_load() - load of a node
 * @t:    the machine
 * @vms:  @nr VMs
 * @node: a node's number
 *
 * Context: any thread; no side effects.
 * Return:  BALANCE_CPU when its CPUs have just enough to do, more when they are
 *          overloaded; 0 for a node without CPUs.
 */
uint64_t balance_load(const struct topology *t, const struct balance_vm *vms,
		      unsigned nr, nodeid_t node);

/**
 * balance_check() - decide whether to move a VM, and which one
 * @t:    the machine, with the memory that is free now
 * @vms:  @nr VMs, all that run
 * @last: in: what the previous check found; out: what this check found; its id
 *        is 0 if it found nothing, or if @out is to be done now
 * @out:  the move; untouched unless one is to be done
 *
 * Two checks in a row have to agree: a move that one check found is made if the
 * next check still finds it worthwhile, even if a better one exists by then.
 *
 * Context: any thread; no side effects. Cost: @nr times the number of nodes.
 * Return:  whether to do @out.
 */
MUST_CHECK bool balance_check(const struct topology *t,
			      const struct balance_vm *vms, unsigned nr,
			      struct balance_move *last,
			      struct balance_move *out);

#endif
