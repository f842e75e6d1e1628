/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a VM starts: the home node of each new VM. A pure function of the
 * topology and the requests, so dry runs show what a run will do.
 */
#ifndef DISCO_NUMA_PLACE_H
#define DISCO_NUMA_PLACE_H

#include "numa/topology.h"

struct place_request {
	const char *name; /* of the VM, for messages; not owned */
	uint64_t bytes;	  /* guest memory */
	unsigned nr_vcpus;
	nodeid_t node; /* NODE_AUTO or a node's number */
	bool strict;   /* all memory on the node or none */
};

/**
 * place_initial() - choose a home node for each VM
 * @t:     the machine
 * @reqs:  @nr requests, all started together
 * @nodes: out, @nr node numbers; untouched on error
 * @d:     why not, on error
 *
 * Explicit nodes are kept; strict requests are charged first, then explicit
 * preferred ones, then node=auto, each group in order. node=auto takes, of
 * the nodes with CPUs and room for all of the VM's memory, the one with the
 * fewest vCPUs a CPU once the VM is there; then the one with most free
 * memory; then the lowest number. When no node has room (and the request is
 * not strict) the one with CPUs and most free memory is taken and the kernel
 * spills.
 *
 * A VM counts as vCPUs of the node whose CPUs it runs on, which for a node
 * without CPUs is topology_cpus_near(); as memory of its node, and as far as
 * it does not fit there of the nearest nodes that have room.
 *
 * A memory-less node (topology.h) is nobody's home: Linux binds nothing to it.
 *
 * Context: any thread; no side effects.
 * Return:  0; -ENOMEM a strict request does not fit, or a node that was asked
 *          for has no memory (ST_MEMORY), or no memory for the work itself
 *          (ST_HOST); -ENOENT no such node (ST_CONFIG); -ENODEV node=auto and
 *          no node has both CPUs and memory (ST_HOST).
 */
MUST_CHECK int place_initial(const struct topology *t,
			     const struct place_request *reqs, unsigned nr,
			     nodeid_t *nodes, struct diag *d);

#endif
