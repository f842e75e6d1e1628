/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control queue of a virtio network device: what each command is answered.
 * The port receives what is sent to it in any case, so filters of the driver
 * are acknowledged and not applied, as the specification permits (5.1.6.5).
 */
#ifndef DISCO_MONITOR_NET_CONTROL_H
#define DISCO_MONITOR_NET_CONTROL_H

#include "monitor/dev/virtio/virtio_pci.h"

struct net_control {
	const uint8_t *mac; /* of the device, 6 bytes; it does not change */
	unsigned max_pairs; /* that the driver may use; at least 1 */
	unsigned *pairs;    /* in use; set by VQ_PAIRS_SET: 1 .. max_pairs */
};

/**
 * net_control_serve() - answer all commands in the queue
 * @scratch: of the caller
 *
 * A command has taken effect when its answer is seen. A number of pairs outside
 * of 1 .. max_pairs is answered with VIRTIO_NET_ERR and changes nothing.
 *
 * Context: the device's lock is held. Source: virtio 1.2, 5.1.6.5.
 */
enum virtio_served net_control_serve(struct virtio_dev *v, unsigned queue,
				     const struct net_control *n,
				     struct vq_chain *scratch);

#endif
