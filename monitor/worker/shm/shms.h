/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shared segments of a VM in its worker: maps each and shows it to the guest
 * as a virtio-pmem device, which Linux names /dev/pmemN.
 *
 * A segment that is *guarded* may have replicas (memory/replica). It has a
 * worker_shm_link, and two threads: one waits for faults and does nothing else,
 * because the other one's mremap(2) needs that; the other one is the holder. The
 * guest can write nothing before the segment's home allows it.
 *
 * Context of all functions: the I/O thread, or the start of the worker.
 */
#ifndef DISCO_MONITOR_WORKER_SHMS_H
#define DISCO_MONITOR_WORKER_SHMS_H

#include "memory/replica/segment_map.h"
#include "monitor/dev/virtio/virtio_pmem.h"
#include "monitor/worker/vm/vm.h"

struct shm_holder;

struct shm {
	struct ram_window window; /* [I] */
	struct vm_region region;
	struct virtio_pmem *pmem;
	struct segment_map map;
	struct shm_holder *holder; /* [I] NULL: not guarded */
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
 * userfaultfd, of KVM, and of the device. On error nothing is undone, because
 * the process ends.
 */
MUST_CHECK int shms_create(struct shms *s, struct vm *vm);

/* Start the threads, after sandbox_drop(). Return: 0; -errno. */
MUST_CHECK int shms_start(struct shms *s);

/* WORKER_REQ_SHM_LINK. @fds: of the message's kind; owned by it. */
void shms_link(struct shms *s, const struct worker_req_shm_link *r,
	       const int *fds);

/* No disk request is under way. */
void shms_idle(struct shms *s);

/*
 * The guest is about to end, and may wait for a page: from now on it waits for
 * none, and reaches no segment.
 */
void shms_cut(struct shms *s);

#endif
