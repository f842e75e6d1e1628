/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control queue of a virtio network device: what each command is answered.
 * The port receives what is sent to it in any case, so filters of the driver
 * are acknowledged and not applied, as the specification permits (5.1.6.5).
 */
#ifndef DISCO_MONITOR_NET_CONTROL_H
#define DISCO_MONITOR_NET_CONTROL_H

#include "monitor/dev/virtio/virtio_pci.h"

/**
 * net_control_serve() - answer all commands in the queue
 * @mac:     of the device, 6 bytes; it does not change
 * @scratch: of the caller
 *
 * Context: the device's lock is held. Source: virtio 1.2, 5.1.6.5.
 */
enum virtio_served net_control_serve(struct virtio_dev *v, unsigned queue,
				     const uint8_t *mac,
				     struct vq_chain *scratch);

#endif
