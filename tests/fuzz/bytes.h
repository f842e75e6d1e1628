/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer's input taken apart: numbers from the front, 0 when it is used up.
 */
#ifndef TESTS_FUZZ_BYTES_H
#define TESTS_FUZZ_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *p;
	size_t n;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A little-endian number of @len (1..8) bytes. */
static inline uint64_t take(struct bytes *b, size_t len)
{
	uint64_t v = 0;
	size_t n = len < b->n ? len : b->n;

	memcpy(&v, b->p, n);
	b->p += n;
	b->n -= n;
	return v;
}

/* At most @max bytes into @dst; returns how many there were. */
static inline size_t take_into(struct bytes *b, void *dst, size_t max)
{
	size_t n = max < b->n ? max : b->n;

	memcpy(dst, b->p, n);
	b->p += n;
	b->n -= n;
	return n;
}

#endif
