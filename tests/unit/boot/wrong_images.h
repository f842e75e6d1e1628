/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of the parsers of kernels have in common: a good file, and
 * that file with one thing wrong at a time. The test defines image_format.
 *
 * Each function fails the test, by cmocka, where the parser does otherwise.
 */
#ifndef TESTS_UNIT_BOOT_WRONG_IMAGES_H
#define TESTS_UNIT_BOOT_WRONG_IMAGES_H

#include <stddef.h>
#include <stdint.h>

#include "tests/unit/boot/images.h"
#include "tests/unit/support.h"

/* What a parser is, and a file that it accepts. */
struct image_format {
	size_t file_bytes;
	void (*build)(uint8_t *file); /* the good file, so many bytes */
	size_t result_bytes;
	int (*parse)(const uint8_t *file, size_t bytes, void *result,
		     const char **why);
};

extern const struct image_format image_format;

/* A field of the good file, what is put there and what has to be said. */
struct wrong {
	const char *name;
	size_t at, width;
	uint64_t value;
	int err;
	const char *why;
};

/* Refused with @err and @why, and the result is as it was before. */
void refused(const char *name, const uint8_t *file, size_t bytes, int err,
	     const char *why);

/* @result: of result_bytes. */
void accepted(const uint8_t *file, size_t bytes, void *result);

/* Each of @nr is refused. */
void check_all(const struct wrong *w, size_t nr);

#endif
