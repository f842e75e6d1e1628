/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio console, one port (hvc0). Source: virtio 1.2, section 5.3.
 */
#ifndef DISCO_MONITOR_VIRTIO_CONSOLE_H
#define DISCO_MONITOR_VIRTIO_CONSOLE_H

#include "monitor/dev/platform/console.h"
#include "monitor/dev/virtio/virtio_pci.h"

struct virtio_console {
	struct virtio_dev v;
	struct console_port port;
	struct console *console; /* [I] */
	size_t sent; /* bytes sent of the chain at the head of the queue */
};

/*
 * Return: 0; -errno of virtio_init(). After an error, too, the caller calls
 * virtio_console_destroy().
 */
MUST_CHECK int virtio_console_init(struct virtio_console *vc,
				   struct dev_host *host, struct console *c);
void virtio_console_destroy(struct virtio_console *vc);

#endif
