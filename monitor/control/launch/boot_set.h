/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot images of a run: one for each (kernel, initrd, unpack, node), new or
 * one that running guests have.
 */
#ifndef DISCO_MONITOR_BOOT_SET_H
#define DISCO_MONITOR_BOOT_SET_H

#include "disco/config.h"
#include "disco/diag.h"
#include "monitor/control/launch/boot_copies.h"

struct boot_set_entry {
	const struct vm_config *vm; /* the first that asked; not owned */
	nodeid_t node;
	bool found; /* not ours to close */
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
 * boot_set_create() - an empty set
 * @max:     how many VMs will ask
 * @running: images that are there already; NULL: none; outlives @set
 *
 * A cache directory that cannot be made costs time at every start, no more.
 *
 * Return: 0; -ENOMEM (ST_HOST).
 */
MUST_CHECK int boot_set_create(struct boot_set *set, unsigned max,
			       const struct boot_copies *running,
			       struct diag *d);

/* NULL, all-zero and half-built are fine. */
void boot_set_destroy(struct boot_set *set);

/**
 * boot_set_get() - the image for a VM on a node
 * @vm:   must outlive @set
 * @out:  owned by @set; untouched on error
 *
 * Context: blocks on files when it is the first of its kind.
 * Return:  0; what boot_image_create() returns, with @d filled by it;
 *          -ENOMEM (ST_MEMORY) when the VM's memory cannot hold the image.
 */
MUST_CHECK int boot_set_get(struct boot_set *set, const struct vm_config *vm,
			    nodeid_t node, const struct boot_set_entry **out,
			    struct diag *d);

#endif
