/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio pmem device: reports the place of a region of guest memory that shows
 * a disk (cowdisk/dax/dax.h) or a shared segment, and makes the guest's writes to it durable when
 * the guest flushes. Source: virtio 1.2, section 5.19.
 */
#ifndef DISCO_MONITOR_VIRTIO_PMEM_H
#define DISCO_MONITOR_VIRTIO_PMEM_H

#include "cowdisk/dax/dax.h"
#include "monitor/dev/virtio/virtio_pci.h"

struct virtio_pmem;

/**
 * virtio_pmem_create() - create a pmem device for a guest
 * @dax: placed in guest memory; owned by the device from now on, also on error
 * @out: release with virtio_pmem_destroy()
 *
 * Return: 0; -ENOMEM; -errno of virtio_init().
 */
MUST_CHECK int virtio_pmem_create(struct dev_host *host, struct dax *dax,
				  struct virtio_pmem **out);
/*
 * The same for memory that is no disk: there is nothing to make durable, so a
 * flush is done at once. @w: placed; outlives the device.
 */
MUST_CHECK int virtio_pmem_create_plain(struct dev_host *host,
					const struct ram_window *w,
					struct virtio_pmem **out);
/* dax_settle() for its disk. NULL is accepted. */
MUST_CHECK int virtio_pmem_settle(struct virtio_pmem *p);
void virtio_pmem_destroy(struct virtio_pmem *p);
struct virtio_dev *virtio_pmem_dev(struct virtio_pmem *p);

#endif
