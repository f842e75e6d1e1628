/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio entropy device, fed by getrandom(2). Source: virtio 1.2, 5.4.
 */
#ifndef DISCO_MONITOR_VIRTIO_RNG_H
#define DISCO_MONITOR_VIRTIO_RNG_H

#include "monitor/dev/virtio/virtio_pci.h"

struct virtio_rng {
	struct virtio_dev v;
};

/*
 * Return: 0; -errno of virtio_init(). After an error, too, the caller calls
 * virtio_rng_destroy().
 */
MUST_CHECK int virtio_rng_init(struct virtio_rng *r, struct dev_host *host);
void virtio_rng_destroy(struct virtio_rng *r);

#endif
