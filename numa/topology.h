/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's NUMA nodes, as far as this process may use them.
 *
 * hwloc finds them, so HWLOC_SYNTHETIC ("numa:4 pu:2") and HWLOC_XMLFILE can
 * describe another machine to all callers: dry runs and tests need no NUMA
 * hardware. If both are set, the XML file is used; an empty value counts as
 * unset. A description that cannot be read is an error, whereas hwloc by itself
 * would continue with this machine.
 *
 * Here a CPU belongs to exactly one node. hwloc may call several nodes local to
 * a CPU (high-bandwidth memory, memory expanders, a node without CPUs that
 * hwloc attaches to its neighbour). Then the CPU belongs to the node with the
 * fewest local CPUs, and among equals to the one with the lowest number; the
 * other nodes are CPU-less. This gives two special kinds of nodes:
 *  - CPU-less node: nr_cpus 0. It is never chosen for node=auto, but may be
 *    requested; threads then run on topology_cpus_near().
 *  - memory-less node: total_bytes 0. It is never chosen for node=auto, and
 *    refused when requested, because Linux binds no memory to it.
 */
#ifndef DISCO_NUMA_TOPOLOGY_H
#define DISCO_NUMA_TOPOLOGY_H

#include "disco/base.h"
#include "disco/diag.h"

#define DISTANCE_LOCAL	10u /* ACPI SLIT: distance of a node to itself */
#define DISTANCE_REMOTE 20u /* if the firmware reports no distances */

struct topology_node {
	nodeid_t id;	      /* the operating system's number */
	uint64_t total_bytes; /* 0: memory-less */
	/*
	 * What a new guest can get without swapping: free pages, clean page
	 * cache and reclaimable slab; total_bytes on a described machine.
	 */
	uint64_t free_bytes;
	unsigned nr_cpus; /* entries of cpus; 0: CPU-less, as defined above */
	uint16_t *cpus;	  /* OS numbers, ascending; owned */
	/*
	 * Memory of strict VMs that run on the node; set by whoever knows them
	 * (the monitor), else 0. Part of it may still be free.
	 */
	uint64_t promised_bytes;
};

struct topology {
	struct topology_node nodes[MAX_NODES]; /* ascending by id */
	unsigned nr_nodes;
	bool this_machine; /* false: described by HWLOC_SYNTHETIC or XML */
	/* Indexed as nodes; values as in the ACPI SLIT, 10 is local. */
	uint32_t distance[MAX_NODES][MAX_NODES];
};

/*
 * What a further guest can be promised: free memory, as far as it was not
 * promised before.
 */
static inline uint64_t topology_room(const struct topology_node *n)
{
	uint64_t left = n->total_bytes > n->promised_bytes
				? n->total_bytes - n->promised_bytes
				: 0;

	return min_u64(n->free_bytes, left);
}

/**
 * node_free_bytes() - read how much memory of a node is free
 * @total_bytes: the result if that cannot be read, and its limit
 *
 * As struct topology_node's free_bytes. Context: any thread; reads one file of
 * /sys.
 */
uint64_t node_free_bytes(nodeid_t id, uint64_t total_bytes);

/**
 * topology_create() - find nodes, their CPUs, memory and distances
 * @out: filled on success; release with topology_destroy()
 * @d:   out on error: the reason (ST_HOST)
 *
 * CPUs are those that both the cgroup and the scheduling affinity of the
 * calling process allow; nodes are those that the cgroup allows.
 *
 * Context: control process; reads /sys; takes about 10 ms.
 * Return:  0; -ENODEV hwloc cannot describe the machine, or cannot read the
 *          description of another one; -E2BIG more than MAX_NODES nodes;
 *          -ENOMEM.
 * Source:  hwloc(7); Linux Documentation/admin-guide/mm/numaperf.rst.
 */
MUST_CHECK int topology_create(struct topology *out, struct diag *d);

/**
 * topology_refresh_free() - read again how much memory is free
 *
 * Changes free_bytes only. Does nothing for a described machine.
 *
 * Context: the owner of @t; reads one file of /sys per node.
 */
void topology_refresh_free(struct topology *t);

/* NULL and all-zero are accepted. */
void topology_destroy(struct topology *t);

/* The node numbered @id, owned by @t; NULL: no such node. Any thread. */
const struct topology_node *topology_find(const struct topology *t,
					  nodeid_t id);

/**
 * topology_distance() - ACPI distance between two nodes
 *
 * Context: any thread. Return: 10 for the same node; larger is farther; 0 if
 * one of them is no node of @t.
 */
uint32_t topology_distance(const struct topology *t, nodeid_t a, nodeid_t b);

/**
 * topology_cpus_near() - node whose CPUs should use the memory of a node
 * @id: a node's number
 *
 * Context: any thread. Return: node @id itself if it has CPUs, else the nearest
 * node that has (among equals the one with the lowest number); NULL if @id is
 * no node, or if no node has CPUs. Owned by @t.
 */
const struct topology_node *topology_cpus_near(const struct topology *t,
					       nodeid_t id);

#endif
