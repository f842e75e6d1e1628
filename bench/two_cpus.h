/* SPDX-License-Identifier: BSD-2-Clause */
/* For benchmarks of two processes that each have a CPU of their own. */
#ifndef BENCH_TWO_CPUS_H
#define BENCH_TWO_CPUS_H

#include <sched.h>

#include "bench/measure.h"

static int cpus[2];

/* The first two that this process may use; ends the program @name if it has one. */
static inline void find_cpus(const char *name)
{
	cpu_set_t set;
	int nr = 0;

	must(sched_getaffinity(0, sizeof(set), &set), "sched_getaffinity");
	for (int i = 0; i < CPU_SETSIZE && nr < 2; i++)
		if (CPU_ISSET(i, &set))
			cpus[nr++] = i;
	if (nr < 2) {
		fprintf(stderr, "%s: needs two CPUs\n", name);
		exit(1);
	}
}

static inline void pin(int side)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpus[side], &set);
	must(sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

#endif
