/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disks of a VM: opened from the worker's descriptors, attached to the
 * guest as virtio-blk or as memory (virtio-pmem), and stopped for changes of
 * guest memory.
 *
 * Context of all functions: the I/O thread, except for the creation.
 */
#ifndef DISCO_MONITOR_WORKER_DISKS_H
#define DISCO_MONITOR_WORKER_DISKS_H

#include "monitor/dev/virtio/virtio_blk.h"
#include "monitor/dev/virtio/virtio_pmem.h"
#include "monitor/worker/vm/vm.h"

#define DISKS_REST_MS 2000 /* a disk request that takes longer is stuck */

struct cache;

struct disks {
	struct vm *vm; /* [I] */
	unsigned nr;   /* [I] */
	int next_fd;   /* at the start: first descriptor of the next disk */
	/* Per disk, either of the two. */
	struct virtio_blk *blks[VM_MAX_DISKS];
	struct virtio_pmem *pmems[VM_MAX_DISKS];
	struct dax *daxes[VM_MAX_DISKS]; /* owned by pmems */
	struct vm_region regions[VM_MAX_DISKS];
};

/* Initialise without disks. @vm outlives the disks. */
void disks_init(struct disks *d, struct vm *vm);

/**
 * disks_create() - put all disks of the VM's specification on its PCI bus
 * @d:     initialised by disks_init()
 * @cache: buffer cache of their bases, outlives the disks; NULL: none
 *
 * Context: start of the worker, after paging_create().
 * Return: 0; -ENOSPC no free PCI slot; -errno of opening a disk, of KVM or of
 * eventfd(). On error nothing is undone, because the process ends.
 */
MUST_CHECK int disks_create(struct disks *d, struct cache *cache);

/*
 * Return: true if no disk request is under way. A request may write to guest
 * memory at any time.
 */
bool disks_idle(const struct disks *d);

/**
 * disks_quiesce() - wait until nobody writes guest memory
 *
 * Parks the vCPUs and waits for disk requests. Because the I/O thread waits, the
 * pager itself serves faults in pmem disks meanwhile (vm_hurry()), and no new
 * request starts. The caller calls disks_resume_vcpus() and disks_go_on()
 * afterwards, also on error.
 *
 * Return: 0; -ETIMEDOUT a request took DISKS_REST_MS; -errno of poll().
 */
MUST_CHECK int disks_quiesce(struct disks *d);
void disks_resume_vcpus(struct disks *d); /* the vCPUs run again */
void disks_go_on(struct disks *d);	  /* the disks accept requests again */

/**
 * disks_settle() - flush all disks whose data must outlive the worker
 *
 * Context: the I/O thread, after the last vCPU. Return: 0; -errno of the first
 * disk whose flush failed.
 */
MUST_CHECK int disks_settle(struct disks *d);

#endif
