/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio console. Port 0 is hvc0; the other ports, and how the guest learns of
 * them, are in console_ports.h. A driver that does not know of several ports
 * has hvc0 alone. Source: virtio 1.2, section 5.3.
 */
#ifndef DISCO_MONITOR_VIRTIO_CONSOLE_H
#define DISCO_MONITOR_VIRTIO_CONSOLE_H

#include "monitor/dev/platform/console.h"
#include "monitor/dev/virtio/console_ports.h"
#include "monitor/dev/virtio/virtio_pci.h"

struct virtio_console {
	struct virtio_dev v;
	struct console_port port;
	struct console *console; /* [I] */
	size_t sent; /* bytes sent of the chain at the head of the queue */
	struct console_ports ports;
};

/*
 * Return: 0; -errno of virtio_init(). After an error, too, the caller calls
 * virtio_console_destroy().
 */
MUST_CHECK int virtio_console_init(struct virtio_console *vc,
				   struct dev_host *host, struct console *c);
void virtio_console_destroy(struct virtio_console *vc);

#endif
