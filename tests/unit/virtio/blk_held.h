/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device over a backend that holds every request until the test
 * completes it, or refuses it. There is one at a time.
 */
#ifndef TESTS_UNIT_MONITOR_BLK_HELD_H
#define TESTS_UNIT_MONITOR_BLK_HELD_H

#include "monitor/dev/virtio/virtio_blk.h"
#include "tests/unit/virtio/guest_driver.h"
#include "tests/unit/support.h"

#define HELD_SECTORS 64u
#define HELD_SIZE    256u /* descriptors of a queue */

/* virtio 1.2, 5.2.6 */
#define T_IN	0u
#define T_OUT	1u
#define T_FLUSH 4u
#define S_OK	0
#define S_IOERR 1

struct disk {
	int event_fd;
	int refuse;    /* what disk_submit() says */
	bool can_zero; /* what disk_can_zero() says */
	struct disk_req *held[VIRTIO_BLK_DEPTH];
	struct {
		struct disk_req *r;
		int err;
	} done[VIRTIO_BLK_DEPTH];
	unsigned nr_held, nr_done, submitted;
	bool closed;
};

struct blk_held {
	struct disk disk;
	struct fake_host h;
	struct virtio_blk *blk;
	struct driver d;
};

extern struct blk_held held;

/* A device with a driver that has started all its queues. */
void held_create(bool read_only, bool can_zero, unsigned queues);
/* Start, or start again. */
void held_start(unsigned queues);
/* As a test's teardown. */
int held_destroy(void **state);

/*
 * Request @i, of two descriptors of @queue; data, when there is some, shares a
 * piece with the status or the header. @i is below 128; data and status are in
 * one place for requests of one number.
 */
void held_offer(unsigned queue, unsigned i, uint32_t type, uint64_t sector);
/* Its status byte; 0xff: not yet. */
uint8_t held_status(unsigned i);
/* Requests of @queue that came back. */
unsigned held_used(unsigned queue);

/* Complete the newest @n requests held with @err. */
void held_complete(unsigned n, int err);
/* Complete the newest request at @sector. */
void held_complete_sector(uint64_t sector);
/* Requests held that are at @sector. */
unsigned held_at(uint64_t sector);

#endif
