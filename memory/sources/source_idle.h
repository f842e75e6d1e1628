/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses from idle page tracking (memory/sampling/page_idle.h), in the agent,
 * which has the bitmap's descriptor from control: pages are marked idle, a few at a
 * time and each as often as any other (memory/sampling/sampler.h), and IDLE_WAIT_NS
 * later it is looked whether they were accessed. One that was is looked at once
 * more, as policies want two accesses that agree.
 *
 * WHAT A RECORD SAYS: as one of source_damon.h, of one page and not of a region.
 * Its weight is of one access per look: what is proven.
 *
 * A page that is in another frame when it is looked at has moved meanwhile, and is
 * left out, as is one that the kernel keeps no mark of.
 *
 * COST. Two system calls per mark, two per look, each with a walk over the page
 * tables that have the page. The budget is pages per second and VM, and a share of
 * a CPU for each VM, of this thread's time.
 */
#ifndef DISCO_MEMORY_PLACEMENT_SOURCE_IDLE_H
#define DISCO_MEMORY_PLACEMENT_SOURCE_IDLE_H

#include "memory/placement/access.h"
#include "memory/sampling/sampler.h"

#define IDLE_WAIT_NS 20000000ull
#define IDLE_LOOKS   256u /* of a VM at the same time */
#define IDLE_BATCH   64u  /* pages whose homes are asked for at once */

struct idle_look {
	uint64_t page, frame, marked_ns;
	bool again; /* the second look */
};

/* Looks at one VM. All-zero: not begun. They are a ring, oldest first. */
struct idle_vm {
	struct sampler sampler;
	struct idle_look looks[IDLE_LOOKS];
	unsigned first, nr;
};

struct idle_source_config {
	unsigned (*nr_vms)(void *arg);
	/* Of a VM: never NULL; and how many pages it has. */
	struct idle_vm *(*looks_of)(void *arg, unsigned vm, uint64_t *pages);
	/* Frames of @nr pages now, at most IDLE_BATCH; 0: not mapped. */
	void (*frames_of)(void *arg, unsigned vm, const uint64_t *pages,
			  unsigned nr, uint64_t *out);
	/* These as of struct damon_source_config. */
	uint8_t (*node_of_vm)(void *arg, unsigned vm);
	void (*homes_of)(void *arg, unsigned vm, const uint64_t *pages,
			 unsigned nr, uint8_t *out);
	uint64_t (*now_ns)(void *arg);
	void *arg;
	int fd;		      /* of page_idle_open(); not owned */
	uint32_t rate, share; /* as of sampler_set() */
};

/*
 * Release it with access_destroy(). Where the bitmap answers oddly, access_read()
 * returns -errno. Return: 0; -ENOMEM.
 */
MUST_CHECK int idle_source_create(struct access_source **out,
				  const struct idle_source_config *c);

#endif
