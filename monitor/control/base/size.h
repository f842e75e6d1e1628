/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sizes as people write them. Suffixes are binary (IEC): 256M, 256MiB and
 * 268435456 are the same size.
 */
#ifndef DISCO_MONITOR_SIZE_H
#define DISCO_MONITOR_SIZE_H

#include "disco/base.h"

#define SIZE_SYNTAX "a number of bytes, or one with K, M, G or T (as in 256M)"

/**
 * size_parse() - parse a size
 * @text:  decimal digits, then nothing or K, M, G, T (any case), optionally
 *         followed by "iB"; no blanks, sign or fraction
 * @bytes: out
 *
 * Context: any thread. Return: 0; -EINVAL empty, signed, fractional, unknown
 * suffix or trailing junk; -ERANGE 2^64 bytes or more. @bytes is untouched
 * on error.
 */
MUST_CHECK int size_parse(const char *text, uint64_t *bytes);

/* 20 digits, a blank, a unit of three letters and the end are 25. */
#define SIZE_TEXT_MAX 32

/* Format as "256 MiB" or "4100 B", in the largest exact unit. Returns @buf. */
const char *size_text(uint64_t bytes, char buf[SIZE_TEXT_MAX]);

#endif
