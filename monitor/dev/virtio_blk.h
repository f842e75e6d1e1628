/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio block device over a struct disk. Source: virtio 1.2, section 5.2.
 */
#ifndef DISCO_MONITOR_VIRTIO_BLK_H
#define DISCO_MONITOR_VIRTIO_BLK_H

#include "cowdisk/disk.h"
#include "monitor/dev/virtio_pci.h"

struct virtio_blk;

/**
 * virtio_blk_create() - a disk for a guest
 * @disk:   owned by the device from now on, also on error
 * @bytes:  size, a multiple of 512
 * @serial: at most DISK_SERIAL_MAX bytes
 *
 * Return: 0; -ENOMEM; -errno of virtio_init().
 */
MUST_CHECK int virtio_blk_create(struct dev_host *host, struct disk *disk,
				 uint64_t bytes, bool read_only,
				 const char *serial, struct virtio_blk **out);
/* disk_settle() of its disk; NULL is fine. */
MUST_CHECK int virtio_blk_settle(struct virtio_blk *b);
void virtio_blk_destroy(struct virtio_blk *b);
struct virtio_dev *virtio_blk_dev(struct virtio_blk *b);

/**
 * virtio_blk_drain() - wait until no request is under way
 * @ms: for how long, a request
 *
 * Context: I/O thread, so none is started meanwhile; then call
 * virtio_blk_go_on(). Return: 0; -ETIMEDOUT; -errno of poll().
 */
MUST_CHECK int virtio_blk_drain(struct virtio_blk *b, int ms);

/* Serve what waits for a request that virtio_blk_drain() has ended. */
void virtio_blk_go_on(struct virtio_blk *b);

/* Requests a disk may have under way for one device. */
#define VIRTIO_BLK_DEPTH 128

#endif
