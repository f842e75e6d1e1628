/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking over the guests of a monitor that is gone. */
#ifndef DISCO_MONITOR_ADOPT_H
#define DISCO_MONITOR_ADOPT_H

struct monitor;

/**
 * adopt_all() - take over every guest of the state directory that still runs
 *
 * Those that do not are told about once, remembered as ended, and their
 * records removed. Waits for no worker: one that hangs is a guest without
 * statistics.
 */
void adopt_all(struct monitor *m);

#endif
