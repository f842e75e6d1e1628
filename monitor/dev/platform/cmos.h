/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest without kvm-clock looks for to learn the time: the clock of the
 * CMOS (MC146818), which has the host's time of day in UTC; and an interval
 * timer (i8254), which is not there.
 *
 * The clock can be read, and not be set: writes to its registers are ignored.
 * Reading the seconds takes the time; the other registers show that time until
 * the seconds are read again, so what is read between two such reads belongs
 * together. There is no update in progress, no alarm and no interrupt.
 *
 * Linux tries the timer for as long as its counter reads as all ones
 * (quick_pit_calibrate(), some 100,000 reads): so its ports read as 0.
 *
 * Source: Motorola MC146818A datasheet; Linux drivers/rtc/rtc-mc146818-lib.c.
 */
#ifndef DISCO_MONITOR_CMOS_H
#define DISCO_MONITOR_CMOS_H

#include <pthread.h>

#include "monitor/dev/platform/bus.h"

struct cmos {
	pthread_mutex_t lock;
	/* [L:lock] */
	uint8_t index;	  /* of the register that the data port shows */
	uint64_t taken_s; /* the time that is shown */
	/* [I] Seconds since 1970, UTC. Context: with the lock. */
	uint64_t (*now_s)(void);
};

/* @now_s: NULL: the host's clock. */
void cmos_init(struct cmos *c, uint64_t (*now_s)(void));
void cmos_destroy(struct cmos *c);

/*
 * Put clock and timer on @pio, where a PC has them. Context: before a vCPU runs.
 * Return: as io_bus_add().
 */
MUST_CHECK int cmos_add(struct cmos *c, struct io_bus *pio);

#endif
