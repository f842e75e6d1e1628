/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's NUMA nodes as this process may use them.
 *
 * hwloc finds them, so HWLOC_SYNTHETIC ("numa:4 pu:2") and HWLOC_XMLFILE
 * describe another machine to everything above: dry runs and tests need no
 * NUMA hardware. The XML counts when both are there; an empty one counts as
 * none. One that cannot be read is an error: hwloc by itself would go on with
 * this machine.
 *
 * A CPU belongs to exactly one node here. Where hwloc calls several nodes
 * local to a CPU (high-bandwidth memory, memory expanders, a node without
 * CPUs that hwloc hangs on its neighbour) the CPU goes to the node with the
 * fewest local CPUs, and among equals to the lowest number; the other nodes
 * are CPU-less. So:
 *  - CPU-less node: nr_cpus 0. Never chosen for node=auto; may be asked for,
 *    then threads run on topology_cpus_near().
 *  - memory-less node: total_bytes 0. Never chosen for node=auto, and refused
 *    when asked for: Linux binds no memory to it.
 */
#ifndef DISCO_NUMA_TOPOLOGY_H
#define DISCO_NUMA_TOPOLOGY_H

#include "disco/base.h"
#include "disco/diag.h"

#define DISTANCE_LOCAL	10u /* ACPI SLIT: itself */
#define DISTANCE_REMOTE 20u /* when the firmware does not say */

struct topology_node {
	nodeid_t id;	      /* the operating system's number */
	uint64_t total_bytes; /* 0: memory-less */
	/*
	 * What a new guest can get without swapping: free pages, clean-able
	 * page cache and reclaimable slab; total_bytes on a described machine.
	 */
	uint64_t free_bytes;
	unsigned nr_cpus; /* entries of cpus; 0: CPU-less, for us */
	uint16_t *cpus;	  /* OS numbers, ascending; owned */
};

struct topology {
	struct topology_node nodes[MAX_NODES]; /* ascending by id */
	unsigned nr_nodes;
	bool this_machine; /* false: described by HWLOC_SYNTHETIC or XML */
	/* By index into nodes; as in the ACPI SLIT, 10 is local. */
	uint32_t distance[MAX_NODES][MAX_NODES];
};

/**
 * topology_create() - find nodes, their CPUs, memory and distances
 * @out: filled on success; release with topology_destroy()
 * @d:   why not, on error (ST_HOST)
 *
 * CPUs are those of the cgroup and of the scheduling affinity of the calling
 * process; nodes are those the cgroup allows.
 *
 * Context: control process; reads /sys; about 10 ms.
 * Return:  0; -ENODEV hwloc cannot describe the machine, or not read what
 *          describes another one; -E2BIG more than MAX_NODES nodes; -ENOMEM.
 * Source:  hwloc(7); Linux Documentation/admin-guide/mm/numaperf.rst.
 */
MUST_CHECK int topology_create(struct topology *out, struct diag *d);

/**
 * topology_refresh_free() - look again at how much memory is free
 *
 * Changes free_bytes alone. Nothing to do for a described machine.
 *
 * Context: who owns @t; reads a file of /sys a node.
 */
void topology_refresh_free(struct topology *t);

/* NULL and all-zero are fine. */
void topology_destroy(struct topology *t);

/* The node numbered @id, or NULL. Any thread; owned by @t. */
const struct topology_node *topology_find(const struct topology *t,
					  nodeid_t id);

/**
 * topology_distance() - ACPI distance between two nodes
 *
 * Context: any thread. Return: 10 local; larger is farther; 0 when one of
 * them is no node of @t.
 */
uint32_t topology_distance(const struct topology *t, nodeid_t a, nodeid_t b);

/**
 * topology_cpus_near() - node whose CPUs should serve memory of a node
 * @id: a node's number
 *
 * Context: any thread. Return: node @id itself when it has CPUs, else the
 * nearest that has (lowest number among equals); NULL when @id is no node or
 * no node has CPUs. Owned by @t.
 */
const struct topology_node *topology_cpus_near(const struct topology *t,
					       nodeid_t id);

#endif
