/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notifies systemd of the monitor's state (Type=notify, WatchdogSec=). A build
 * without libsystemd sends nothing.
 *
 * Context of all functions: the monitor's thread.
 */
#ifndef DISCO_MONITOR_NOTIFY_H
#define DISCO_MONITOR_NOTIFY_H

#include "monitor/control/base/loop.h"

/* All-zero before notify_ready(). */
struct notify {
	struct loop *loop;
	struct loop_timer watchdog; /* the next sign of life */
	uint64_t every_ns;	    /* between two of them; 0: none */
};

/**
 * notify_ready() - report that the monitor accepts calls; signs of life follow
 * @loop: outlives @n; its timers send the signs of life, so they stop if the
 *        loop hangs
 */
void notify_ready(struct notify *n, struct loop *loop);

/* Report that the monitor ends. */
void notify_leaving(struct notify *n);

#endif
