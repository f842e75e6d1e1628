/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio block device over a struct disk. Source: virtio 1.2, section 5.2.
 *
 * Queues: there are up to DISK_MAX_QUEUES. The I/O thread serves them in turns,
 * with a bounded batch per turn. One half of the VIRTIO_BLK_DEPTH requests is
 * divided among the queues, so that no queue has to wait for another one; the
 * other half is for whichever queue comes first, and is given out in turns when
 * it is used up.
 *
 * Limits: there are two token buckets (rate.h), one for requests, and one for
 * bytes read and written. A request that has to wait stays in its queue, so the
 * guest's memory is the buffer; a timer resumes the queue. Waiting queues stand
 * in line and advance by one request per turn, also those that joined later. So
 * a flush waits for at most one request of each other queue, and a guest does
 * not get more by using more queues.
 */
#ifndef DISCO_MONITOR_VIRTIO_BLK_H
#define DISCO_MONITOR_VIRTIO_BLK_H

#include "cowdisk/disk/disk.h"
#include "monitor/dev/virtio/virtio_pci.h"

struct virtio_blk;

/**
 * virtio_blk_create() - create a disk device for a guest
 * @disk:   owned by the device from now on, also on error
 * @bytes:  size, a multiple of 512
 * @serial: at most DISK_SERIAL_MAX bytes
 * @queues: 1 .. DISK_MAX_QUEUES
 * @out:    release with virtio_blk_destroy()
 *
 * Return: 0; -ENOMEM; -errno of virtio_init().
 */
MUST_CHECK int virtio_blk_create(struct dev_host *host, struct disk *disk,
				 uint64_t bytes, bool read_only,
				 const char *serial, unsigned queues,
				 struct virtio_blk **out);

/**
 * virtio_blk_limit() - limit the requests of the guest
 * @iops: requests of any kind per second, at most RATE_MAX; 0: no limit
 * @bps:  bytes read and written per second, at most RATE_MAX; 0: no limit
 *
 * Called at most once, before the first request. With both 0 it does nothing,
 * and costs nothing later. Return: 0; -errno of timerfd or of the watch.
 */
MUST_CHECK int virtio_blk_limit(struct virtio_blk *b, uint64_t iops,
				uint64_t bps);

/* disk_settle() for its disk. NULL is accepted. */
MUST_CHECK int virtio_blk_settle(struct virtio_blk *b);
void virtio_blk_destroy(struct virtio_blk *b);
struct virtio_dev *virtio_blk_dev(struct virtio_blk *b);

/**
 * virtio_blk_drain() - wait until no request is under way
 * @ms: longest wait per request
 *
 * Context: I/O thread, so no request starts meanwhile; virtio_blk_go_on() must
 * follow. Return: 0; -ETIMEDOUT; -errno of poll().
 */
MUST_CHECK int virtio_blk_drain(struct virtio_blk *b, int ms);

/*
 * Is no request under way? Context: I/O thread; the answer holds for its
 * current turn.
 */
bool virtio_blk_idle(struct virtio_blk *b);

/* Serve the queues that waited for requests ended by virtio_blk_drain(). */
void virtio_blk_go_on(struct virtio_blk *b);

/* Maximum number of requests under way on the disk of one device. */
#define VIRTIO_BLK_DEPTH 128

#endif
