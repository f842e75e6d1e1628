/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio pmem device: says where a region of guest memory is that shows a disk
 * (cowdisk/dax/dax.h), and makes what the guest wrote to it durable when asked.
 * Source: virtio 1.2, section 5.19.
 */
#ifndef DISCO_MONITOR_VIRTIO_PMEM_H
#define DISCO_MONITOR_VIRTIO_PMEM_H

#include "cowdisk/dax/dax.h"
#include "monitor/dev/virtio/virtio_pci.h"

struct virtio_pmem;

/**
 * virtio_pmem_create() - a disk in memory for a guest
 * @dax: placed in guest memory; owned by the device from now on, also on error
 *
 * Return: 0; -ENOMEM; -errno of virtio_init().
 */
MUST_CHECK int virtio_pmem_create(struct dev_host *host, struct dax *dax,
				  struct virtio_pmem **out);
/* dax_settle() of its disk; NULL is fine. */
MUST_CHECK int virtio_pmem_settle(struct virtio_pmem *p);
void virtio_pmem_destroy(struct virtio_pmem *p);
struct virtio_dev *virtio_pmem_dev(struct virtio_pmem *p);

#endif
