/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bench of the virtqueue negative table: a small virtio device on a fake
 * host, a driver for it, and the two endings a bad chain may have. Each case
 * has NEGATIVE_MS milliseconds of processor time, see wait_limit_ms().
 *
 * The device has two queues. It takes every chain and hands it back at once,
 * or keeps it as a backend would (@keep).
 */
#ifndef TESTS_UNIT_MONITOR_NEGATIVE_H
#define TESTS_UNIT_MONITOR_NEGATIVE_H

#include "tests/unit/virtio/guest_driver.h"
#include "tests/unit/support.h"

#define NEGATIVE_MS   100u
#define NEGATIVE_SIZE 16u
#define NEGATIVE_RAM  MIB(4)

struct echo_dev {
	struct virtio_dev v;
	bool keep;
	struct ring *refill; /* offer descriptor 0 whenever found empty */
	unsigned taken;	     /* chains handed out so far */
	uint16_t kept[VQ_MAX_SIZE];
	unsigned nr_kept;
	struct vq_chain last;
};

struct bench {
	struct fake_host h;
	struct echo_dev dev;
	struct driver d;
	struct ring *r; /* queue 0 */
	uint64_t started_ns;
	bool before_ok; /* broken before DRIVER_OK: no interrupt (2.1.2) */
};

/*
 * cmocka setup and teardown; *state is the struct bench. The first makes a
 * device that runs, the second one that still has to be started; the third
 * has RAM on both sides of the hole below 4 GiB.
 */
int bench_setup(void **state);
int bench_setup_idle(void **state);
int bench_setup_hole(void **state);
int bench_teardown(void **state);

/* Hand a kept chain back. */
void echo_complete(struct echo_dev *e);

/* Offer @head and kick. */
void bench_offer(struct bench *b, uint16_t head);

/*
 * The device says NEEDS_RESET by status and interrupt, hands out nothing, and
 * works again after a reset; all in time.
 */
void expect_needs_reset(struct bench *b);
/* The chain was served: @out and @in bytes. */
void expect_served(struct bench *b, uint64_t out, uint64_t in);
/* Nothing happened and the device works. */
void expect_dropped(struct bench *b);
void expect_in_time(const struct bench *b);

#endif
