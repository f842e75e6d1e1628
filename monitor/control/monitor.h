/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `disco monitor`: control in the background, with one thread and one loop. A
 * child process does what could block it (files, kernels, a start: starter.h),
 * and answers of workers arrive in the loop.
 *
 * VMs outlive the monitor: when it ends, they go on, and the next monitor takes
 * them over.
 */
#ifndef DISCO_MONITOR_MONITOR_H
#define DISCO_MONITOR_MONITOR_H

#include "monitor/control/config/command.h"

/* `disco monitor` */
extern const struct command monitor_command;

#endif
