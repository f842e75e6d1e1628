/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU time of this process since it was executed, in ns.
 */
#ifndef DISCO_MONITOR_CPU_TIME_H
#define DISCO_MONITOR_CPU_TIME_H

#include "disco/base.h"

/*
 * What was used before the program was executed (WORKER_ENV_CPU_NS) does not
 * count from now on. Context: before other threads are created.
 */
void cpu_time_init(void);

/* 0 if the kernel does not say. Context: any thread. */
uint64_t cpu_time_ns(void);

#endif
