/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What systemd wants to hear of the monitor (Type=notify, WatchdogSec=). A
 * build without libsystemd says nothing.
 */
#ifndef DISCO_MONITOR_NOTIFY_H
#define DISCO_MONITOR_NOTIFY_H

#include "monitor/control/monitor.h"

void notify_ready(struct monitor *m);
void notify_leaving(struct monitor *m);

/* Time until the next sign of life is due; -1: none is wanted. */
int notify_timeout_ms(const struct monitor *m, uint64_t now);

/* After each turn of the loop: that is what a sign of life stands for. */
void notify_tick(struct monitor *m, uint64_t now);

#endif
