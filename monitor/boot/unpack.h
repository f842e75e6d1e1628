/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unpacking the payload of a bzImage: gzip, xz, lzma, zstd, lz4 (legacy
 * frames, as the kernel's build writes them). All but gzip are followed by
 * the unpacked size, 4 bytes, little-endian; gzip ends with it by itself.
 */
#ifndef DISCO_MONITOR_UNPACK_PAYLOAD_H
#define DISCO_MONITOR_UNPACK_PAYLOAD_H

#include "disco/base.h"

/**
 * unpack_payload() - decompress
 * @src:   @bytes of it
 * @dst:   room for @room bytes
 * @used:  out, bytes written
 *
 * Context: control process. Return: 0; -ENOTSUP unknown compression;
 * -EBADMSG corrupt, does not fit, or not of the size it says; -ENOMEM.
 */
MUST_CHECK int unpack_payload(const uint8_t *src, size_t bytes, uint8_t *dst,
			      size_t room, size_t *used);

#endif
