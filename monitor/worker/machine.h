/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM with its devices: what the guest sees as a machine.
 */
#ifndef DISCO_MONITOR_MACHINE_H
#define DISCO_MONITOR_MACHINE_H

#include "monitor/dev/platform/console.h"
#include "monitor/dev/platform/power.h"
#include "monitor/dev/platform/serial.h"
#include "monitor/dev/virtio/virtio_balloon.h"
#include "monitor/dev/virtio/virtio_blk.h"
#include "monitor/dev/virtio/virtio_console.h"
#include "monitor/dev/virtio/virtio_pmem.h"
#include "monitor/dev/virtio/virtio_rng.h"
#include "monitor/worker/buffers.h"
#include "monitor/worker/merge.h"
#include "monitor/worker/vm/vm.h"

#define MACHINE_REST_MS 2000 /* a request that takes longer is stuck */

struct machine {
	struct vm vm;
	struct console console;
	struct serial serial;
	struct virtio_console hvc;
	struct virtio_rng rng;
	struct pvpanic pvpanic;
	struct virtio_balloon balloon;
	/* A disk is one or the other. */
	struct virtio_blk *disks[VM_MAX_DISKS];
	struct virtio_pmem *pmems[VM_MAX_DISKS];
	struct dax *daxes[VM_MAX_DISKS]; /* theirs */
	struct vm_region regions[VM_MAX_DISKS];
	struct buffers buffers;
	struct merge merge;
	struct io_watch faults; /* vm.pager's */
};

/**
 * machine_create() - everything but the first instruction
 * @m:    zeroed
 * @spec: checked; outlives the machine
 * @what: out on error: the part that failed
 *
 * Return: 0 or -errno. The worker ends by exiting: the kernel gives back what
 * a guest could still be using (disks in flight), so there is no destroy.
 */
MUST_CHECK int machine_create(struct machine *m, const struct worker_spec *spec,
			      const char **what);

/*
 * Is no request of a disk under way? One that is may write to guest memory at
 * any time. Context: I/O thread.
 */
bool machine_disks_rest(const struct machine *m);

/**
 * machine_rest() - nobody writes guest memory any more
 *
 * vCPUs are parked, and no request of a disk is under way. What these wait for
 * in a pmem disk the pager serves by itself (vm_hurry()): the I/O thread waits
 * for them. Then call machine_resume() and machine_go_on(), whatever this
 * returned.
 *
 * Context: I/O thread, so no request is started meanwhile.
 * Return: 0; -ETIMEDOUT a disk has one for MACHINE_REST_MS; -errno of poll().
 */
MUST_CHECK int machine_rest(struct machine *m);
void machine_resume(struct machine *m); /* the vCPUs */
void machine_go_on(struct machine *m);	/* the disks */

/**
 * machine_settle() - flush what has to outlive the worker
 *
 * Context: the I/O thread, after the last vCPU. Return: 0; -errno of the first
 * disk that could not be flushed.
 */
MUST_CHECK int machine_settle(struct machine *m);

#endif
