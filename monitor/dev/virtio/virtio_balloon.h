/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio balloon with free page reporting: a guest names the pages that it does
 * not need, and they are returned to the host.
 *
 *	inflate		page numbers that the guest takes out of use, as
 *			requested by virtio_balloon_set_target(), or until the
 *			guest runs short of memory (DEFLATE_ON_OOM)
 *	deflate		page numbers that the guest uses again: nothing to do,
 *			since pages come back when they are touched
 *	reporting	buffers that are themselves the free pages; the guest
 *			uses none of them until its buffer is returned
 *
 * A guest can name any page: if it is its RAM, the guest loses the contents; if
 * not, nothing happens. The work per request is bounded; pages beyond the bound
 * are not returned, which is no error.
 *
 * The page poison feature is not offered: a driver whose free pages must keep a
 * pattern does not use reporting (5.5.6.4).
 * Source: virtio 1.2, 5.5.
 */
#ifndef DISCO_MONITOR_VIRTIO_BALLOON_H
#define DISCO_MONITOR_VIRTIO_BALLOON_H

#include "monitor/dev/virtio/virtio_pci.h"

#define BALLOON_F_DEFLATE_ON_OOM (1ull << 2)
#define BALLOON_F_REPORTING	 (1ull << 5)

#define BALLOON_MAX_PFNS  1024u	 /* handled per request */
#define BALLOON_MAX_PAGES 32768u /* reported pages per request: 128 MiB */

struct virtio_balloon {
	struct virtio_dev v;
};

/* Return: 0; -errno of virtio_init(). Destroy also after an error. */
MUST_CHECK int virtio_balloon_init(struct virtio_balloon *b,
				   struct dev_host *host);
void virtio_balloon_destroy(struct virtio_balloon *b);

/**
 * virtio_balloon_set_target() - request the guest to give up some memory
 * @pages: 4 KiB pages in the balloon; the guest keeps what it cannot spare
 *
 * Context: any thread, the device's lock not held.
 */
void virtio_balloon_set_target(struct virtio_balloon *b, uint32_t pages);

#endif
