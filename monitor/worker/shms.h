/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shared segments of a VM in its worker: maps each and shows it to the guest
 * as a virtio-pmem device, which Linux names /dev/pmemN.
 *
 * Context of all functions: the I/O thread, or the start of the worker.
 */
#ifndef DISCO_MONITOR_WORKER_SHMS_H
#define DISCO_MONITOR_WORKER_SHMS_H

#include "monitor/dev/virtio/virtio_pmem.h"
#include "monitor/worker/vm/vm.h"

struct shm {
	struct ram_window window; /* [I] */
	struct vm_region region;
	struct virtio_pmem *pmem;
};

struct shms {
	unsigned nr; /* [I] */
	struct shm list[VM_MAX_SHMS];
};

/**
 * shms_create() - put all segments of the VM's specification on its PCI bus
 * @s:  zeroed
 * @vm: outlives @s
 *
 * After the disks, whose regions come first. Return: 0; -errno of mmap(), of
 * KVM, and of the device. On error nothing is undone, because the process ends.
 */
MUST_CHECK int shms_create(struct shms *s, struct vm *vm);

#endif
