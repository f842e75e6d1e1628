/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Placement: the home node of each new VM. A pure function of the topology and
 * the requests, so that a dry run shows what a run will do.
 */
#ifndef DISCO_NUMA_PLACE_H
#define DISCO_NUMA_PLACE_H

#include "numa/node_list.h"
#include "numa/topology.h"

struct place_request {
	const char *name; /* of the VM, for messages; not owned */
	uint64_t bytes;	  /* guest memory */
	unsigned nr_vcpus;
	nodeid_t node; /* NODE_AUTO or a node's number */
	bool strict;   /* all memory is on the node, or the VM does not start */
	/*
	 * Of a wide VM: two nodes or more, of which the first is its home, and
	 * no more than vCPUs; @node and @strict are not used. Else nr is 0.
	 */
	struct node_list wide;
};

/**
 * place_initial() - choose a home node for each VM
 * @t:     the machine
 * @reqs:  @nr requests, all started together
 * @nodes: out, @nr node numbers; untouched on error
 * @d:     out on error: the reason
 *
 * Explicit nodes are kept. Strict requests are charged first, then explicit
 * preferred ones, then node=auto, each group in order. node=auto considers the
 * nodes that have CPUs and room for all of the VM's memory. It takes the one
 * with the fewest vCPUs per CPU once the VM is there; among equals the one with
 * most free memory; then the one with the lowest number. When no node has room,
 * and the request is not strict, it takes the node with CPUs that has most free
 * memory, and the kernel takes the rest of the memory from other nodes.
 *
 * A VM counts as vCPUs of the node whose CPUs it runs on, which for a node
 * without CPUs is topology_cpus_near(). It counts as memory of its own node;
 * the part that does not fit there counts for the nearest nodes that have room.
 *
 * A wide VM counts as an explicit preferred one. Its vCPUs and its memory are
 * charged evenly to its nodes (node_list_spread()), each of which must have both
 * CPUs and memory.
 *
 * A memory-less node (topology.h) is no VM's home, because Linux binds nothing
 * to it.
 *
 * Context: any thread; no side effects.
 * Return:  0; -ENOMEM a strict request does not fit, or a node that was
 *          requested has no memory (ST_MEMORY), or the computation itself ran
 *          out of memory (ST_HOST); -ENOENT no such node (ST_CONFIG); -ENODEV
 *          node=auto, and no node has both CPUs and memory (ST_HOST), or a node
 *          of a wide VM has no CPUs (ST_CONFIG).
 */
MUST_CHECK int place_initial(const struct topology *t,
			     const struct place_request *reqs, unsigned nr,
			     nodeid_t *nodes, struct diag *d);

#endif
