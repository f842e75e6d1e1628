/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What systemd wants to hear of the monitor (Type=notify, WatchdogSec=). A
 * build without libsystemd says nothing.
 */
#ifndef DISCO_MONITOR_NOTIFY_H
#define DISCO_MONITOR_NOTIFY_H

#include "monitor/control/base/loop.h"

/* All-zero is one that was not begun. */
struct notify {
	struct loop *loop;
	struct loop_timer watchdog; /* the next sign of life */
	uint64_t every_ns;	    /* 0: none is wanted */
};

/**
 * notify_ready() - the monitor takes calls; signs of life follow
 * @loop: its timers are the signs of life: they stand for a loop that turns
 */
void notify_ready(struct notify *n, struct loop *loop);

/* The monitor ends. */
void notify_leaving(struct notify *n);

#endif
