/* SPDX-License-Identifier: BSD-2-Clause */
/* Figures of another process of this machine, from /proc. */
#ifndef DISCO_MONITOR_PROCESS_H
#define DISCO_MONITOR_PROCESS_H

#include <sys/types.h>

#include "disco/base.h"

/* When @pid was started, in clock ticks since boot; 0: no such process. */
uint64_t process_start(pid_t pid);

/* CPU time of @pid, user and system, in ns; 0: no such process. */
uint64_t process_cpu_ns(pid_t pid);

/**
 * process_demand_ns() - CPU time that a process has asked for
 *
 * This is the time that its threads ran, plus the time that they were runnable
 * and waited for a CPU: each of four busy processes on one CPU gets a quarter,
 * and asks for all of it. Threads that ended are not counted, so the value may
 * decrease.
 *
 * Context: reads one file per thread. Return: ns; process_cpu_ns() if the
 * kernel has no such file (CONFIG_SCHED_INFO off); 0: no such process.
 * Source: /proc/PID/task/TID/schedstat, Documentation/scheduler/sched-stats.
 */
uint64_t process_demand_ns(pid_t pid);

/**
 * process_each_thread() - the same by thread
 * @each: called for each thread with the CPU that it ran on last, and its
 *        demand; 0 without CONFIG_SCHED_INFO
 *
 * Context: reads two files per thread.
 */
void process_each_thread(pid_t pid,
			 void (*each)(void *arg, unsigned cpu, uint64_t ns),
			 void *arg);

/* Processes that the kernel has killed for memory since boot; 0: not known. */
uint64_t process_oom_kills(void);

/* Pages of @pid that are in memory, shared ones included; 0: unknown. */
uint64_t process_resident_pages(pid_t pid);

#endif
