/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unpacks the payload of a bzImage: gzip, xz, lzma, zstd, lz4 (legacy frames,
 * as the kernel's build writes them). In all formats the last 4 bytes are the
 * unpacked size, little-endian: gzip ends with it by itself, and the kernel's
 * build appends it to the others.
 */
#ifndef DISCO_MONITOR_UNPACK_PAYLOAD_H
#define DISCO_MONITOR_UNPACK_PAYLOAD_H

#include "disco/base.h"

/**
 * unpack_payload() - decompress a payload
 * @src:   @bytes of compressed data
 * @dst:   buffer of @room bytes
 * @used:  out, number of bytes written
 *
 * Context: control process. Return: 0; -ENOTSUP unknown compression; -EBADMSG
 * corrupt, larger than @room, or not of the recorded size; -ENOMEM.
 */
MUST_CHECK int unpack_payload(const uint8_t *src, size_t bytes, uint8_t *dst,
			      size_t room, size_t *used);

#endif
