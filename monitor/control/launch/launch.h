/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a configuration to running workers: everything that can be refused is
 * looked at before the first worker is started. Used by `disco run` in its
 * own process and by the monitor in a child (starter.h).
 */
#ifndef DISCO_MONITOR_LAUNCH_H
#define DISCO_MONITOR_LAUNCH_H

#include "disco/config.h"
#include "disco/diag.h"
#include "monitor/control/launch/boot_set.h"
#include "monitor/control/workers/spawn.h"
#include "monitor/control/base/state_dir.h"
#include "monitor/control/workers/worker_code.h"
#include "numa/topology.h"

struct launch_vm; /* one VM's part of what is prepared */

struct launch {
	const struct run_config *cfg; /* not owned */
	struct topology topology;
	nodeid_t *nodes;	 /* cfg->nr_vms, as placed */
	struct launch_vm *ready; /* cfg->nr_vms */
	struct boot_set boots;
	struct worker_code own_code;
	struct worker_code *code;	   /* own_code, or the caller's */
	const struct boot_copies *running; /* not owned; NULL: none */
	int kvm;
};

/* More descriptors than the usual 1024, as many as this process may have. */
void launch_allow_descriptors(void);

/**
 * launch_prepare() - placement, disks, kernels, KVM, worker program
 * @l:    filled, success or not; release with launch_destroy()
 * @cfg:  checked; outlives @l
 * @code: copies of the worker program that are at hand; NULL: makes its own
 * @running: boot images that are at hand; NULL: none
 * @d:    why not, on error; no worker was started
 *
 * Context: no other threads; blocks on files, unpacks kernels.
 * Return:  0; -errno of the step that failed.
 */
MUST_CHECK int launch_prepare(struct launch *l, const struct run_config *cfg,
			      struct worker_code *code,
			      const struct boot_copies *running,
			      struct diag *d);

/**
 * launch_spawn() - start one worker of those that were prepared
 * @i:        0 .. cfg->nr_vms - 1
 * @listener: socket on which a later control process finds the worker; -1:
 *            none; the worker gets a copy
 *
 * Return: 0; -errno of worker_spawn().
 */
MUST_CHECK int launch_spawn(struct launch *l, unsigned i, int listener,
			    struct worker *out, struct diag *d);

/**
 * launch_cached() - disks of a VM whose images are only read
 * @i:   0 .. cfg->nr_vms - 1, prepared
 * @out: VM_MAX_DISKS entries
 *
 * Return: how many there are: those that were asked to be cached.
 */
unsigned launch_cached(const struct launch *l, unsigned i,
		       struct vm_cached *out);

/* What a VM boots from, once prepared. */
const struct boot_set_entry *launch_boot(const struct launch *l, unsigned i);

/*
 * Close what the workers have copies of: locks, kernels and code live as long
 * as they do.
 */
void launch_release(struct launch *l);

/* Workers that were started stay. NULL, all-zero and half-built are fine. */
void launch_destroy(struct launch *l);

#endif
