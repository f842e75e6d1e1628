/* SPDX-License-Identifier: BSD-2-Clause */
/* CPU time of this process since exec, in ns. */
#ifndef DISCO_MONITOR_CPU_TIME_H
#define DISCO_MONITOR_CPU_TIME_H

#include "disco/base.h"

/*
 * Subtract from now on the time that was used before exec (WORKER_ENV_CPU_NS).
 * Context: before other threads are created.
 */
void cpu_time_init(void);

/* Return: CPU time in ns; 0: the kernel does not report it. Any thread. */
uint64_t cpu_time_ns(void);

#endif
