/* SPDX-License-Identifier: BSD-2-Clause */
/* For programs without a test framework: what does not hold ends them. */
#ifndef TESTS_MUST_H
#define TESTS_MUST_H

#include <stdlib.h>

#define must(x) ((x) ? (void)0 : abort())

#endif
