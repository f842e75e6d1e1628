/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses from DAMON's regions, which control reads (memory/sampling/damon.h) and
 * sends to the agent of the VM's home (heat.h).
 *
 * WHAT A RECORD SAYS
 *  what	a page of a region whose looked-at pages were accessed.
 *  who	nobody says. An accessed bit is set for whichever CPU. Where all vCPUs
 *	of a VM run on one node, the access is of that node; else the node is
 *	unknown (ACCESS_NO_NODE), and the record decides nothing.
 *  kind	unknown.
 *  weight	the accesses of SOURCE_BITS_NS that are proven: looks that found one.
 *	There may be any number more. So a policy whose trigger is a count of
 *	misses may never move such a page, which is right: a bit is no miss.
 *
 * BIAS. Accesses by devices and by the host count as well. A page of a region is
 * what most of its pages are, until DAMON has divided the region.
 */
#ifndef DISCO_MEMORY_PLACEMENT_SOURCE_DAMON_H
#define DISCO_MEMORY_PLACEMENT_SOURCE_DAMON_H

#include "memory/placement/access.h"
#include "memory/sources/heat.h"

#define SOURCE_BITS_NS	  100000000ull /* a period of most policies */
#define SOURCE_BITS_BATCH 64u	       /* pages whose homes are asked at once */

struct damon_source_config {
	/* VMs of 0 .. nr_vms - 1; the numbers are those of the records. */
	unsigned (*nr_vms)(void *arg);
	/* What is known of a VM; NULL: nothing yet. */
	struct heat_map *(*heat_of)(void *arg, unsigned vm);
	/* Index of the node that all its vCPUs are on; ACCESS_NO_NODE. */
	uint8_t (*node_of_vm)(void *arg, unsigned vm);
	/* As of struct faults_source_config. */
	void (*homes_of)(void *arg, unsigned vm, const uint64_t *pages,
			 unsigned nr, uint8_t *out);
	uint64_t (*now_ns)(void *arg);
	void *arg;
};

/* Release it with access_destroy(). Return: 0; -ENOMEM. */
MUST_CHECK int damon_source_create(struct access_source **out,
				   const struct damon_source_config *c);

/* 1 .. 128. @accesses: proven in @period_ns, not 0. */
uint32_t source_bits_weight(uint32_t accesses, uint64_t period_ns);

#endif
