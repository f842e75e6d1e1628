/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a configuration to running workers: everything that can be refused is
 * checked before the first worker is started. Used by `disco run` in its own
 * process, and by the monitor in a child (guests/starter.h).
 */
#ifndef DISCO_MONITOR_LAUNCH_H
#define DISCO_MONITOR_LAUNCH_H

#include "disco/config.h"
#include "disco/diag.h"
#include "monitor/control/launch/boot_set.h"
#include "monitor/control/nets/nets.h"
#include "monitor/control/segments/segments.h"
#include "monitor/control/workers/spawn.h"
#include "monitor/control/base/state_dir.h"
#include "monitor/control/workers/worker_code.h"
#include "numa/topology.h"

struct launch_vm; /* what is prepared for one VM */

struct launch {
	const struct run_config *cfg; /* not owned */
	struct topology topology;
	nodeid_t *nodes;	 /* cfg->nr_vms, as placed */
	struct launch_vm *ready; /* cfg->nr_vms */
	struct boot_set boots;
	struct worker_code own_code;
	struct worker_code *code;	   /* own_code, or the caller's */
	const struct boot_copies *running; /* not owned; NULL: none */
	const struct topology *ledger;	   /* the same */
	bool bind; /* this host lets us bind memory to nodes */
	int kvm;
};

/**
 * launch_prepare() - prepare placement, disks, kernels, KVM, worker program
 * @l:    filled, also on error; release with launch_destroy()
 * @cfg:  checked; outlives @l
 * @code: existing copies of the worker program; NULL: makes its own
 * @running: boot images of running guests; NULL: none
 * @ledger: nodes, of which promised_bytes count; NULL: nothing is promised
 * @d:    out on error: the reason; no worker was started
 *
 * Context: no other threads; blocks on files, unpacks kernels.
 * Return:  0; -errno of the step that failed.
 */
MUST_CHECK int launch_prepare(struct launch *l, const struct run_config *cfg,
			      struct worker_code *code,
			      const struct boot_copies *running,
			      const struct topology *ledger, struct diag *d);

/*
 * Workers that are started from now on can be asked to sample accesses.
 * @how: enum worker_sample
 */
void launch_sampled(struct launch *l, uint32_t how);

/**
 * launch_spawn() - start one of the prepared workers
 * @i:        0 .. cfg->nr_vms - 1
 * @listener: socket by which a later control process reaches the worker, which
 *            gets a duplicate; -1: none
 * @ports:    the VM's ports, of nets_reserve(): cfg->vms[i].nr_nets
 * @uses:     its segments, of segments_reserve(): cfg->vms[i].nr_shms
 * @out:      release with worker_destroy()
 *
 * Return: 0; -errno of worker_spawn().
 */
MUST_CHECK int launch_spawn(struct launch *l, unsigned i, int listener,
			    struct net_port *const *ports,
			    struct segment_use *const *uses, struct worker *out,
			    struct diag *d);

/**
 * launch_cached() - list the disks of a VM whose images are only read
 * @i:   0 .. cfg->nr_vms - 1, prepared
 * @out: VM_MAX_DISKS entries
 *
 * Disks with cache=off are left out. Return: number of entries.
 */
unsigned launch_cached(const struct launch *l, unsigned i,
		       struct vm_cached *out);

/* Where each vCPU of a placed VM is: as many nodes as it has vCPUs. */
void launch_vcpu_nodes(const struct launch *l, unsigned i,
		       nodeid_t out[VM_MAX_VCPUS]);

/* Number of the first network's descriptor in the worker of a prepared VM. */
int launch_net_fd(const struct launch *l, unsigned i);

/* The same of its first segment. */
int launch_shm_fd(const struct launch *l, unsigned i);

/* The boot image of a prepared VM. */
const struct boot_set_entry *launch_boot(const struct launch *l, unsigned i);

/* Where its kernel is from: a path, or "DISK:PATH" of one on its first disk. */
const char *launch_kernel(const struct launch *l, unsigned i);

/*
 * Close the descriptors of which workers have duplicates: locks, kernels and
 * code live as long as the workers do.
 */
void launch_release(struct launch *l);

/* Workers go on. NULL, all-zero and half-built are accepted. */
void launch_destroy(struct launch *l);

#endif
