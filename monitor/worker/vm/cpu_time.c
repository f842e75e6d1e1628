/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/vm/cpu_time.h"

#include <stdlib.h>
#include <time.h>

#include "disco/worker_spec.h"

static uint64_t cpu_ns_at_exec; /* [I after cpu_time_init()] */

void cpu_time_init(void)
{
	const char *base = getenv(WORKER_ENV_CPU_NS);

	cpu_ns_at_exec = base ? strtoull(base, NULL, 10) : 0;
}

uint64_t cpu_time_ns(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec -
	       cpu_ns_at_exec;
}
