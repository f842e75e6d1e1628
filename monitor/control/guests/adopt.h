/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes over the guests of an earlier monitor. */
#ifndef DISCO_MONITOR_ADOPT_H
#define DISCO_MONITOR_ADOPT_H

struct monitor;

/**
 * adopt_all() - take over every guest of the state directory that still runs
 *
 * Guests that no longer run are reported once and remembered as ended, and
 * their records are removed. A guest whose worker has another protocol is
 * reported and left alone. Does not wait for workers: a worker that hangs is a
 * guest without statistics. What fails causes one line on standard error.
 *
 * Context: the monitor's thread, before the loop's first turn.
 */
void adopt_all(struct monitor *m);

#endif
