/* SPDX-License-Identifier: BSD-2-Clause */
/* Base64 with padding, without line ends. Source: RFC 4648, section 4. */
#ifndef DISCO_MONITOR_BASE64_H
#define DISCO_MONITOR_BASE64_H

#include "disco/base.h"

/* Return: a terminated text, malloc'ed; NULL: out of memory. */
char *base64_encode(const void *bytes, size_t n);

/**
 * base64_decode() - decode what others sent
 * @out: room for 3 bytes per 4 characters of @text; untouched on error, but for
 *       its contents
 * @n:   out, number of bytes; untouched on error
 *
 * Return: 0; -EINVAL not base64: a foreign character, or a wrong length.
 */
MUST_CHECK int base64_decode(const char *text, void *out, size_t *n);

#endif
