/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disks of a VM: opened from the worker's descriptors, attached to the
 * guest as virtio-blk or as memory (virtio-pmem), and brought to rest.
 *
 * Threads: the I/O thread, but for the creation.
 */
#ifndef DISCO_MONITOR_WORKER_DISKS_H
#define DISCO_MONITOR_WORKER_DISKS_H

#include "monitor/dev/virtio/virtio_blk.h"
#include "monitor/dev/virtio/virtio_pmem.h"
#include "monitor/worker/vm/vm.h"

#define DISKS_REST_MS 2000 /* a request that takes longer is stuck */

struct cache;

struct disks {
	struct vm *vm; /* [I] */
	unsigned nr;   /* [I] */
	int next_fd;   /* start only: first descriptor of the next one */
	/* A disk is one or the other. */
	struct virtio_blk *blks[VM_MAX_DISKS];
	struct virtio_pmem *pmems[VM_MAX_DISKS];
	struct dax *daxes[VM_MAX_DISKS]; /* theirs */
	struct vm_region regions[VM_MAX_DISKS];
};

/* No disk yet. @vm: outlives it. */
void disks_init(struct disks *d, struct vm *vm);

/**
 * disks_create() - all disks of the VM's specification, on its PCI bus
 * @d:     disks_init() was called
 * @cache: where pages of their bases may come from, outlives them; NULL: none
 *
 * Context: start of the worker, after paging_create().
 * Return: 0; -errno of opening, of KVM, of eventfd(); -ENOSPC PCI slots. What
 * was made stays: the process ends.
 */
MUST_CHECK int disks_create(struct disks *d, struct cache *cache);

/*
 * Is no request of a disk under way? One that is may write to guest memory at
 * any time.
 */
bool disks_idle(const struct disks *d);

/**
 * disks_quiesce() - nobody writes guest memory any more
 *
 * vCPUs are parked, and no request of a disk is under way. What these wait for
 * in a pmem disk the pager serves by itself (vm_hurry()): the I/O thread waits
 * for them. Then call disks_resume_vcpus() and disks_go_on(), whatever this
 * returned. No request is started meanwhile, as the I/O thread starts them.
 *
 * Return: 0; -ETIMEDOUT a disk has one for DISKS_REST_MS; -errno of poll().
 */
MUST_CHECK int disks_quiesce(struct disks *d);
void disks_resume_vcpus(struct disks *d);
void disks_go_on(struct disks *d);

/**
 * disks_settle() - flush what has to outlive the worker
 *
 * Context: after the last vCPU. Return: 0; -errno of the first disk that could
 * not be flushed.
 */
MUST_CHECK int disks_settle(struct disks *d);

#endif
