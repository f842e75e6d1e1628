/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every unit test needs: cmocka with the headers it asks for, the
 * clock, and skips that say why.
 */
#ifndef TESTS_UNIT_SUPPORT_H
#define TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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

#endif
