/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM with its devices: what the guest sees as a machine.
 */
#ifndef DISCO_MONITOR_MACHINE_H
#define DISCO_MONITOR_MACHINE_H

#include "monitor/dev/platform/cmos.h"
#include "monitor/dev/platform/console.h"
#include "monitor/dev/platform/power.h"
#include "monitor/dev/platform/serial.h"
#include "monitor/dev/virtio/virtio_balloon.h"
#include "monitor/dev/virtio/virtio_console.h"
#include "monitor/dev/virtio/virtio_rng.h"
#include "monitor/worker/buffers.h"
#include "monitor/worker/disks.h"
#include "monitor/worker/hinting.h"
#include "monitor/worker/merge.h"
#include "monitor/worker/net/refs.h"
#include "monitor/worker/net/wnets.h"
#include "monitor/worker/paging.h"
#include "monitor/worker/shm/shms.h"
#include "monitor/worker/vm/vm.h"

struct machine {
	struct vm vm;
	struct console console;
	struct serial serial;
	struct virtio_console hvc;
	struct virtio_rng rng;
	struct pvpanic pvpanic;
	struct reset_ports resets;
	struct cmos cmos; /* with views: there is no kvm-clock */
	struct virtio_balloon balloon;
	struct disks disks;
	struct buffers buffers;
	struct merge merge;
	struct paging paging;
	struct refs refs;
	struct wnets nets;
	struct hinting hinting;
	struct shms shms;
};

/**
 * machine_create() - create everything that is needed for the first instruction
 * @m:    zeroed
 * @spec: checked; outlives the machine
 * @what: out on error: the part that failed
 *
 * There is no destroy function: the worker ends by exiting, and the kernel then
 * releases what a guest could still be using (disk requests in flight).
 * Return: 0; -errno.
 */
MUST_CHECK int machine_create(struct machine *m, const struct worker_spec *spec,
			      const char **what);

#endif
