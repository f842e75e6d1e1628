/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The clock that all programs measure time by. It never goes back, and it is
 * the same in every process of the machine.
 */
#ifndef DISCO_CLOCK_H
#define DISCO_CLOCK_H

#include <stdint.h>
#include <time.h>

/**
 * clock_now_ns() - CLOCK_MONOTONIC, in nanoseconds
 *
 * Context: any thread or signal handler; also under seccomp: without a vDSO it
 * calls clock_gettime(2), which all filters allow.
 * Return:  the time since an unspecified point in the past.
 */
static inline uint64_t clock_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* CPU time of the calling thread so far, in nanoseconds. Context: as above. */
static inline uint64_t clock_thread_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
