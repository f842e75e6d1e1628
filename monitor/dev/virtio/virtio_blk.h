/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio block device over a struct disk. Source: virtio 1.2, section 5.2.
 *
 * Queues: up to DISK_MAX_QUEUES, all of them served by the I/O thread in
 * turns, a bounded batch a turn. Of VIRTIO_BLK_DEPTH requests one half is
 * divided among the queues, so that none has to wait for another's; the other
 * half is for whoever comes first, and in turns once there is none left.
 *
 * Limits: two token buckets (rate.h), of requests and of bytes read and
 * written. A request that has to wait stays in its queue, its guest's memory is
 * the buffer; a timer goes on. Who waits stands in line: queues go ahead one
 * request a turn, also the ones that ask later, so that a flush waits for one
 * request of each other queue at most, and more queues get no more.
 */
#ifndef DISCO_MONITOR_VIRTIO_BLK_H
#define DISCO_MONITOR_VIRTIO_BLK_H

#include "cowdisk/disk/disk.h"
#include "monitor/dev/virtio/virtio_pci.h"

struct virtio_blk;

/**
 * virtio_blk_create() - a disk for a guest
 * @disk:   owned by the device from now on, also on error
 * @bytes:  size, a multiple of 512
 * @serial: at most DISK_SERIAL_MAX bytes
 * @queues: 1 .. DISK_MAX_QUEUES
 *
 * Return: 0; -ENOMEM; -errno of virtio_init().
 */
MUST_CHECK int virtio_blk_create(struct dev_host *host, struct disk *disk,
				 uint64_t bytes, bool read_only,
				 const char *serial, unsigned queues,
				 struct virtio_blk **out);

/**
 * virtio_blk_limit() - a limit for what the guest may ask for
 * @iops: requests of any kind a second, at most RATE_MAX; 0: no limit
 * @bps:  bytes read and written a second, the same
 *
 * Once, before the first request. Without limits it does nothing,
 * and costs nothing later. Return: 0; -errno of timerfd or of the watch.
 */
MUST_CHECK int virtio_blk_limit(struct virtio_blk *b, uint64_t iops,
				uint64_t bps);

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

/* Is no request under way? Context: I/O thread, so it stays so for its turn. */
bool virtio_blk_idle(struct virtio_blk *b);

/* Serve what waits for a request that virtio_blk_drain() has ended. */
void virtio_blk_go_on(struct virtio_blk *b);

/* Requests a disk may have under way for one device. */
#define VIRTIO_BLK_DEPTH 128

#endif
