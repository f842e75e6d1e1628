/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot images of a run: one for each (kernel, initrd, unpack, node), either
 * new or one that running guests have.
 */
#ifndef DISCO_MONITOR_BOOT_SET_H
#define DISCO_MONITOR_BOOT_SET_H

#include "disco/config.h"
#include "disco/diag.h"
#include "monitor/control/launch/boot_copies.h"

struct boot_set_entry {
	const struct vm_config *vm; /* the first VM that uses it; not owned */
	nodeid_t node;
	bool found; /* belongs to running guests; not closed here */
	struct boot_key key;
	struct boot_image image;
};

struct boot_set {
	struct boot_set_entry *entries; /* owned, @max of them */
	unsigned nr, max;
	char *cache_dir; /* owned; NULL: nothing is cached */
	const struct boot_copies *running;
};

/**
 * boot_set_create() - create an empty set
 * @max:     number of VMs that will call boot_set_get()
 * @running: images of running guests; NULL: none; outlives @set
 *
 * If the cache directory cannot be made, kernels are unpacked at every start.
 *
 * Return: 0; -ENOMEM (ST_HOST).
 */
MUST_CHECK int boot_set_create(struct boot_set *set, unsigned max,
			       const struct boot_copies *running,
			       struct diag *d);

/* NULL, all-zero and half-built are accepted. */
void boot_set_destroy(struct boot_set *set);

/**
 * boot_set_get() - get the image for a VM on a node
 * @vm:   must outlive @set
 * @out:  owned by @set; untouched on error
 *
 * Context: blocks on files if the image is the first of its kind.
 * Return:  0; errors of boot_image_create(), with @d filled by it; -ENOMEM
 *          (ST_MEMORY) the VM's memory cannot hold the image; -E2BIG (ST_CONFIG)
 *          its command line is longer than the kernel takes.
 */
MUST_CHECK int boot_set_get(struct boot_set *set, const struct vm_config *vm,
			    nodeid_t node, const struct boot_set_entry **out,
			    struct diag *d);

#endif
