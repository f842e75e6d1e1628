/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which VM should change node, now and then: a pure function of the machine,
 * of the VMs' figures, and of what the check before found.
 *
 * The load of a node is what its VMs ask of CPUs, divided by its CPUs. A VM on
 * a node without CPUs is a load of the node whose CPUs it runs on
 * (topology_cpus_near()). A move from node A to B is worth it when
 *
 *  1. A has more load than B, by more than BALANCE_UNEVEN and by more than
 *     1/BALANCE_UNEVEN_PART of its load: where all nodes have far too much to
 *     do, small differences are noise;
 *  2. the fuller one of the two is then less full than A was, by at least half
 *     of what the VM weighs on A: to swap the unevenness is no gain;
 *  3. the VM is busy (BALANCE_BUSY), has rested for BALANCE_REST checks since
 *     it was moved, and is not fixed, paused, or being moved;
 *  4. B has CPUs, memory, and room for the VM and a reserve.
 *
 * Of the moves that relieve the fullest node (nodes that are as full, up to
 * BALANCE_UNEVEN, count as well) the one that gains most a page is the best;
 * among equals the emptiest, then the nearest target.
 *
 * It comes to rest: with loads that do not change, each move makes the sorted
 * list of the nodes' loads, fullest first, lexicographically smaller (rule 2),
 * so no arrangement comes twice, and there are finitely many.
 */
#ifndef DISCO_NUMA_BALANCE_H
#define DISCO_NUMA_BALANCE_H

#include "numa/topology.h"

#define BALANCE_CPU	    1000u /* load of one CPU, or of all CPUs of a node */
#define BALANCE_UNEVEN	    250u
#define BALANCE_UNEVEN_PART 8u
#define BALANCE_BUSY	    100u /* less is not worth any move */
#define BALANCE_REST	    5u	 /* checks */
#define BALANCE_FIXED_PAGES                                                    \
	1024u /* what a move costs besides the VM's pages: text, tables */
#define BALANCE_RESERVE 32u /* 1/32 of a node's memory stays free */

struct balance_vm {
	uint64_t id;	 /* the caller's; unique, not 0 */
	nodeid_t node;	 /* its home; a node that is not there: ignored */
	uint32_t load;	 /* BALANCE_CPU: a CPU, over the last period */
	uint64_t pages;	 /* that a move would pull */
	uint32_t rested; /* checks since it was moved; UINT32_MAX: never was */
	bool fixed;	 /* the node was asked for, or is strict */
	bool paused, moving;
};

struct balance_move {
	uint64_t id; /* 0: none */
	nodeid_t to;
};

/**
 * balance_load() - load of a node
 * @vms: @nr of them
 *
 * Return: BALANCE_CPU when its CPUs have just enough to do; may be more; 0
 * for a node without CPUs.
 */
uint64_t balance_load(const struct topology *t, const struct balance_vm *vms,
		      unsigned nr, nodeid_t node);

/**
 * balance_check() - is there a move to make?
 * @t:    the machine, with what memory is free now
 * @vms:  @nr VMs, all that run
 * @last: in: what the check before found; out: what this one found, with an
 *        id of 0 when that was nothing or is to be done now
 * @out:  the move; untouched unless one is to be done
 *
 * Two checks in a row have to agree: the move that one found is made when it
 * is still worth it at the next one, though a better one may have turned up.
 *
 * Context: any thread; no side effects. Cost: @nr times the number of nodes.
 * Return:  whether to do @out.
 */
MUST_CHECK bool balance_check(const struct topology *t,
			      const struct balance_vm *vms, unsigned nr,
			      struct balance_move *last,
			      struct balance_move *out);

#endif
