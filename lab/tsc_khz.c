/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tsc_khz - prints the rate of this machine's time-stamp counter. The lab's
 * counter is this one (cpus_get_elapsed_ticks() of QEMU's TCG), and a kernel that
 * measures it while the machine is busy gets it wrong: one whose emulator had no
 * CPU for most of that time had a clock that ran nine times too fast.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define TRIES	   1000
#define APART_NS   20000000
#define NS_PER_SEC 1000000000ull

struct moment {
	uint64_t ns, tsc;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

/* Both clocks at once: the quickest of many tries was not interrupted. */
static struct moment moment_now(void)
{
	uint64_t least = UINT64_MAX;
	struct moment m = { 0 };

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = __rdtsc(), ns = now_ns(), after = __rdtsc();

		if (after - before >= least)
			continue;
		least = after - before;
		m = (struct moment){ ns, before + least / 2 };
	}
	return m;
}

int main(void)
{
	struct moment a = moment_now(), b;

	(void)nanosleep(&(struct timespec){ .tv_nsec = APART_NS }, NULL);
	b = moment_now();
	printf("%.0f\n", (double)(b.tsc - a.tsc) * 1e6 / (double)(b.ns - a.ns));
	return 0;
}
