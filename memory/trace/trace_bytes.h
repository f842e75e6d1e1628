/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers in the bytes of a trace. */
#ifndef DISCO_MEMORY_TRACE_BYTES_H
#define DISCO_MEMORY_TRACE_BYTES_H

#include <string.h>

#include "disco/base.h"

#define VARINT_MAX 10u /* bytes of one */

/* Both advance *@p. The caller has checked that there is room. */
static inline void trace_put(uint8_t **p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		*(*p)++ = (uint8_t)(v >> 8 * i);
}

static inline uint64_t trace_get(const uint8_t **p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t) * (*p)++ << 8 * i;
	return v;
}

static inline void trace_put_varint(uint8_t **p, uint64_t v)
{
	while (v >= 0x80) {
		*(*p)++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*(*p)++ = (uint8_t)v;
}

/* Return: whether there was one before @end. */
static inline bool trace_get_varint(const uint8_t **p, const uint8_t *end,
				    uint64_t *out)
{
	const uint8_t *at = *p;
	uint64_t v = 0;

	/* Most of them are small: of one byte, or of two. */
	if (end - at >= 2) {
		if (at[0] < 0x80) {
			*out = at[0];
			*p = at + 1;
			return true;
		}
		if (at[1] < 0x80) {
			*out = (at[0] & 0x7fu) | (uint64_t)at[1] << 7;
			*p = at + 2;
			return true;
		}
	}
	for (unsigned shift = 0; shift < 64 && at < end; shift += 7) {
		uint8_t byte = *at++;

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*out = v;
			*p = at;
			return true;
		}
	}
	return false;
}

static inline uint64_t trace_zigzag(uint64_t d)
{
	return d << 1 ^ (d >> 63 ? UINT64_MAX : 0);
}

static inline uint64_t trace_unzigzag(uint64_t z)
{
	return z >> 1 ^ (z & 1 ? UINT64_MAX : 0);
}

#endif
