/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `disco monitor`: control in the background. One thread, one loop; what
 * could make it wait (files, kernels, a start) is done by a child
 * (starter.h), and no answer of a worker is waited for but in the loop.
 *
 * VMs outlive it: when it ends, they go on, and the next one takes them over.
 */
#ifndef DISCO_MONITOR_MONITOR_H
#define DISCO_MONITOR_MONITOR_H

#include "monitor/control/config/command.h"

/* `disco monitor` */
extern const struct command monitor_command;

#endif
