/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/boot/unpack.h"

#include <errno.h>
#include <limits.h>
#include <lz4.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "disco/le.h"

#define SIZE_BYTES	4u
#define LZ4_LEGACY	0x184c2102u
#define LZ4_BLOCK_MAX	(8u << 20)
#define LZMA_MEMORY_MAX MIB(512)

struct unpack_buffers {
	const uint8_t *src;
	size_t bytes;
	uint8_t *dst;
	size_t room;
	size_t used;
};

static int unpack_gzip(struct unpack_buffers *b)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)b->src,
		       .avail_in = (uInt)b->bytes,
		       .next_out = b->dst,
		       .avail_out = (uInt)min_u64(b->room, UINT_MAX) };
	int ret;

	if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
		return -ENOMEM;
	ret = inflate(&z, Z_FINISH);
	b->used = z.total_out;
	(void)inflateEnd(&z);
	return ret == Z_STREAM_END ? 0 : -EBADMSG;
}

/* xz and lzma. */
static int unpack_lzma(struct unpack_buffers *b)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret ret = lzma_auto_decoder(&s, LZMA_MEMORY_MAX, 0);

	if (ret != LZMA_OK)
		return -ENOMEM;
	s.next_in = b->src;
	s.avail_in = b->bytes;
	s.next_out = b->dst;
	s.avail_out = b->room;
	ret = lzma_code(&s, LZMA_FINISH);
	b->used = s.total_out;
	lzma_end(&s);
	return ret == LZMA_STREAM_END ? 0 : -EBADMSG;
}

static int unpack_zstd(struct unpack_buffers *b)
{
	size_t n = ZSTD_decompress(b->dst, b->room, b->src, b->bytes);

	if (ZSTD_isError(n))
		return -EBADMSG;
	b->used = n;
	return 0;
}

/* Legacy frame: magic, then blocks of {packed size, data} up to 8 MiB each. */
static int unpack_lz4(struct unpack_buffers *b)
{
	size_t at = 0;

	while (b->bytes - at >= SIZE_BYTES) {
		uint32_t n = le32_load(b->src + at);
		size_t room = min_u64(b->room - b->used, LZ4_BLOCK_MAX);
		int got;

		at += SIZE_BYTES;
		if (n == LZ4_LEGACY)
			continue;
		if (n > INT_MAX || n > b->bytes - at)
			return -EBADMSG;
		got = LZ4_decompress_safe((const char *)b->src + at,
					  (char *)b->dst + b->used, (int)n,
					  (int)room);
		if (got < 0)
			return -EBADMSG;
		b->used += (size_t)got;
		at += n;
	}
	return 0;
}

int unpack_payload(const uint8_t *src, size_t bytes, uint8_t *dst, size_t room,
		   size_t *used)
{
	static const struct {
		uint8_t magic[6];
		unsigned len;
		bool size_follows;
		int (*unpack)(struct unpack_buffers *b);
	} kinds[] = {
		{ { 0x1f, 0x8b }, 2, false, unpack_gzip },
		{ { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, true, unpack_lzma },
		{ { 0x5d, 0, 0 }, 3, true, unpack_lzma },
		{ { 0x28, 0xb5, 0x2f, 0xfd }, 4, true, unpack_zstd },
		{ { 0x02, 0x21, 0x4c, 0x18 }, 4, true, unpack_lz4 },
	};
	struct unpack_buffers b = { src, bytes, dst, room, 0 };
	int err;

	if (bytes < 16 || bytes > INT_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (memcmp(src, kinds[i].magic, kinds[i].len) != 0)
			continue;
		if (kinds[i].size_follows)
			b.bytes -= SIZE_BYTES;
		err = kinds[i].unpack(&b);
		if (err)
			return err;
		if (b.used != le32_load(src + bytes - SIZE_BYTES))
			return -EBADMSG;
		*used = b.used;
		return 0;
	}
	return -ENOTSUP;
}
