/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/boot/wrong_images.h"

#include <stdlib.h>
#include <string.h>

/* In a buffer of exactly that size: reading past it is seen. */
static int parse_exact(const uint8_t *file, size_t bytes, void *result,
		       const char **why)
{
	uint8_t *exact = malloc(bytes ? bytes : 1);
	int err;

	assert_non_null(exact);
	memcpy(exact, file, bytes);
	*why = "";
	err = image_format.parse(bytes ? exact : exact + 1, bytes, result, why);
	free(exact);
	return err;
}

void refused(const char *name, const uint8_t *file, size_t bytes, int err,
	     const char *why)
{
	size_t size = image_format.result_bytes;
	uint8_t *result = malloc(size), *before = malloc(size);
	const char *said;
	int got;

	assert_non_null(result);
	assert_non_null(before);
	memset(result, 0xa5, size);
	memcpy(before, result, size);
	got = parse_exact(file, bytes, result, &said);
	if (got != err || strcmp(said, why) != 0)
		fail_msg("%s: got %d '%s', want %d '%s'", name, got, said, err,
			 why);
	assert_memory_equal(result, before, size);
	free(before);
	free(result);
}

void accepted(const uint8_t *file, size_t bytes, void *result)
{
	const char *why;

	if (parse_exact(file, bytes, result, &why))
		fail_msg("refused: %s", why);
}

void check_all(const struct wrong *w, size_t nr)
{
	size_t bytes = image_format.file_bytes;
	uint8_t *file = malloc(bytes);

	assert_non_null(file);
	for (size_t i = 0; i < nr; i++) {
		image_format.build(file);
		put(file, w[i].at, w[i].value, w[i].width);
		refused(w[i].name, file, bytes, w[i].err, w[i].why);
	}
	free(file);
}
