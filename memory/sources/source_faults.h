/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses from sampled faults: workers unmap pages of their guests' RAM, a few
 * at a time and each as often as any other (memory/sampling), and log who
 * accesses such a page next, and how long that took (disco/fault_log.h).
 *
 * Or, with .writes, writes: the same log has pages that a vCPU has written, as KVM's
 * dirty log says (memory/sampling/dirty_log.h). What such a record says is at the
 * end of this comment.
 *
 * WHAT A RECORD SAYS
 *  who	the node of the CPUs that the accessing thread may run on: of the
 *	vCPU's, or of KVM's own thread that took the fault for it (an
 *	asynchronous page fault), which is bound to the vCPU's CPU of that time.
 *  kind	unknown for the latter, as it always asks for a writable page.
 *  weight	how many accesses of FAULTS_INTERVAL_NS the fault stands for. A page
 *	that was accessed d after it had been unmapped is taken for one that is
 *	accessed every d: faults_weight(). In a round each page is looked at
 *	once, so weights are per page, and no page stands for others.
 *
 * BIAS. The first access after a random moment is of a node with the chance that
 * the node has of ending a pause: of accesses that come independently, its share
 * of them. A node that makes its accesses in bursts is seen less often than it
 * makes accesses, and the more often the more evenly it makes them.
 * tests/unit/placement/test_source_faults.c has both as a model, and what the
 * bounds of a weight take away. Accesses are not misses: what a cache holds is
 * seen as well.
 *
 * OF WRITES. The page was written by a vCPU, once or more within latency_ns: that is
 * all. Which vCPU is not known, so the node is that of all vCPUs of the VM, if they
 * are on one, and else unknown: such a record moves nothing, and keeps its page from
 * being copied (engine.h). The weight is of one write: what is proven. Pages that
 * are read alone are not seen, so this source says where a page is used only as far
 * as it is written.
 */
#ifndef DISCO_MEMORY_PLACEMENT_SOURCE_FAULTS_H
#define DISCO_MEMORY_PLACEMENT_SOURCE_FAULTS_H

#include "disco/fault_log.h"
#include "memory/placement/access.h"

#define FAULTS_INTERVAL_NS 100000000ull /* a period of most policies */
/* As much as makes a page hot (Verghese's trigger), and as a lab's records. */
#define FAULTS_WEIGHT_MAX 128u
#define FAULTS_BATCH	  64u /* records whose homes are asked for at once */

/* One VM's log, and where its reader is. */
struct faults_log {
	const struct fault_log *log; /* hostile; NULL: there is none */
	uint64_t *next;		     /* see fault_log_take() */
	uint64_t pages;		     /* of the VM */
};

struct faults_source_config {
	/* VMs of 0 .. nr_vms - 1; the numbers are those of the records. */
	unsigned (*nr_vms)(void *arg);
	void (*log_of)(void *arg, unsigned vm, struct faults_log *out);
	/* Index of the node of a CPU of the host; ACCESS_NO_NODE. */
	uint8_t (*node_of)(void *arg, unsigned cpu);
	/*
	 * Indexes of the nodes of pages now, at most FAULTS_BATCH, all of the
	 * VM; ACCESS_NO_NODE: not known, as the page is not mapped, or moving.
	 */
	void (*homes_of)(void *arg, unsigned vm, const uint64_t *pages,
			 unsigned nr, uint8_t *out);
	uint64_t (*now_ns)(void *arg);
	/*
	 * The logs are of writes; and the index of the node that all vCPUs of a
	 * VM are on, or ACCESS_NO_NODE. NULL: they are of faults.
	 */
	uint8_t (*writes_of)(void *arg, unsigned vm);
	void *arg;
};

/* Release it with access_destroy(). Return: 0; -ENOMEM. */
MUST_CHECK int faults_source_create(struct access_source **out,
				    const struct faults_source_config *c);

/* 1 .. FAULTS_WEIGHT_MAX; see above. */
uint32_t faults_weight(uint64_t latency_ns);

#endif
