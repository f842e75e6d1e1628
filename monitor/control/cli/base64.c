/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/cli/base64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
			     "uvwxyz0123456789+/";

char *base64_encode(const void *bytes, size_t n)
{
	const uint8_t *in = bytes;
	char *text = malloc((n + 2) / 3 * 4 + 1), *at = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t v = (uint32_t)in[i] << 16;

		if (left > 1)
			v |= (uint32_t)in[i + 1] << 8;
		if (left > 2)
			v |= in[i + 2];
		*at++ = digits[v >> 18];
		*at++ = digits[v >> 12 & 63];
		*at++ = left > 1 ? digits[v >> 6 & 63] : '=';
		*at++ = left > 2 ? digits[v & 63] : '=';
	}
	*at = '\0';
	return text;
}

int base64_decode(const char *text, void *out, size_t *n)
{
	size_t len = strlen(text), pad = 0, done = 0;
	uint8_t *to = out;

	if (len % 4)
		return -EINVAL;
	while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i < len; i += 4) {
		uint32_t v = 0;

		for (unsigned k = 0; k < 4; k++) {
			const char *digit =
				i + k < len - pad ? strchr(digits, text[i + k])
						  : digits;

			if (!digit)
				return -EINVAL;
			v = v << 6 | (uint32_t)(digit - digits);
		}
		for (unsigned k = 0; k < 3 && done < len / 4 * 3 - pad; k++)
			to[done++] = (uint8_t)(v >> (16 - 8 * k));
	}
	*n = done;
	return 0;
}
