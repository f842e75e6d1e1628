/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio balloon with free page reporting: a guest says which pages it does
 * not need, and they go back to the host.
 *
 *	inflate		page numbers, taken out of the guest's use as asked by
 *			virtio_balloon_set_target(), or until it runs short
 *			(DEFLATE_ON_OOM)
 *	deflate		page numbers that it uses again: nothing to do, they
 *			come back when they are touched
 *	reporting	buffers that are themselves what is free just now; the
 *			guest uses none of them until it has its buffer back
 *
 * A guest can name whatever it likes: it loses what it names, if that is its
 * RAM, and nothing happens if it is not. Bounded work a request: what is more
 * than that is not given back, which is no error.
 *
 * No page poison feature: a driver whose free pages have to keep a pattern
 * does without reporting (5.5.6.4).
 * Source: virtio 1.2, 5.5.
 */
#ifndef DISCO_MONITOR_VIRTIO_BALLOON_H
#define DISCO_MONITOR_VIRTIO_BALLOON_H

#include "monitor/dev/virtio/virtio_pci.h"

#define BALLOON_F_DEFLATE_ON_OOM (1ull << 2)
#define BALLOON_F_REPORTING	 (1ull << 5)

#define BALLOON_MAX_PFNS  1024u	 /* of one request */
#define BALLOON_MAX_PAGES 32768u /* reported by one request: 128 MiB */

struct virtio_balloon {
	struct virtio_dev v;
};

/* Return: 0; -errno of virtio_init(). Destroy also after an error. */
MUST_CHECK int virtio_balloon_init(struct virtio_balloon *b,
				   struct dev_host *host);
void virtio_balloon_destroy(struct virtio_balloon *b);

/**
 * virtio_balloon_set_target() - how much the guest should do without
 * @pages: 4 KiB pages in the balloon; what the guest cannot spare it keeps
 *
 * Context: any thread, the device's lock not held.
 */
void virtio_balloon_set_target(struct virtio_balloon *b, uint32_t pages);

#endif
