/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every unit test needs: cmocka with the headers it asks for, the
 * clock, waits that are as long as the machine needs, and skips that say why.
 *
 * A test waits for a condition, never for a time. What ends a wait is a limit
 * that only a hang reaches: HANG_MS, times DISCO_TIME_SCALE of the environment,
 * which says how many times slower this machine is than the one that the limits
 * were chosen for (a decimal number; 1 where it is absent or smaller).
 */
#ifndef TESTS_UNIT_SUPPORT_H
#define TESTS_UNIT_SUPPORT_H

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "disco/base.h"
#include "disco/clock.h"

/* End the test as skipped; tests/run shows the reason. */
#define SKIP(...)                                                              \
	do {                                                                   \
		print_message("# skip: " __VA_ARGS__);                         \
		print_message("\n");                                           \
		skip();                                                        \
	} while (0)

#define HANG_MS	   30000u
#define HANG_SCALE 1000.0 /* more is a mistake in the environment */

/* @ms of a machine of usual speed, on this one. */
static inline uint64_t wait_limit_ms(uint64_t ms)
{
	const char *text = getenv("DISCO_TIME_SCALE");
	double scale = text ? strtod(text, NULL) : 1;

	if (!(scale >= 1))
		scale = 1;
	if (scale > HANG_SCALE)
		scale = HANG_SCALE;
	return (uint64_t)((double)ms * scale);
}

/* When a wait that begins now has hung, by clock_now_ns(). */
static inline uint64_t wait_end_ns(void)
{
	return clock_now_ns() + wait_limit_ms(HANG_MS) * 1000000;
}

/* False when @fd hangs, or poll(2) fails; with sandboxes, too. */
static inline bool wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, (int)wait_limit_ms(HANG_MS)) == 1;
}

/*
 * Wait until @condition is true, looking once per millisecond; fail the test
 * where it hangs. The clock is read before @condition, so that a test that was
 * kept from running for long looks once more.
 */
#define WAIT_UNTIL(condition)                                                  \
	do {                                                                   \
		uint64_t wait_until_ns = wait_end_ns();                        \
		bool wait_is_over = false;                                     \
                                                                               \
		while (!(condition)) {                                         \
			if (wait_is_over)                                      \
				fail_msg("waited in vain for: %s",             \
					 #condition);                          \
			(void)usleep(1000);                                    \
			wait_is_over = clock_now_ns() > wait_until_ns;         \
		}                                                              \
	} while (0)

#endif
