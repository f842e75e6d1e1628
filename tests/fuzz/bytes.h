/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer's input taken apart: numbers from the front, 0 when it is used up.
 */
#ifndef TESTS_FUZZ_BYTES_H
#define TESTS_FUZZ_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_FILE_MAX 16384u

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

/*
 * A file that @make makes of the input (at most FUZZ_FILE_MAX bytes), checked
 * in a buffer that ends where it ends: reading past it is seen.
 */
static inline int fuzz_file(const uint8_t *data, size_t size,
			    size_t (*make)(struct bytes *b, uint8_t *file),
			    void (*check)(const uint8_t *file, size_t bytes))
{
	static uint8_t file[FUZZ_FILE_MAX];
	struct bytes b = { data, size };
	size_t bytes = make(&b, file);
	uint8_t *exact = malloc(bytes + 1);

	if (!exact)
		abort();
	memcpy(exact + 1, file, bytes);
	check(exact + 1, bytes);
	free(exact);
	return 0;
}

#endif
