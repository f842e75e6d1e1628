/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Payloads: the input itself, or a good one of each compression with changes
 * and cuts, into a buffer of a size the input chooses, 64 KiB at most.
 * Checked: never more than fits, exactly the size the payload says, the same
 * twice; an error is one of those promised and leaves the result alone.
 */
#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "monitor/boot/unpack.h"
#include "tests/fuzz/bytes.h"
#include "tests/must.h"

#define FILE_MAX    16384u
#define PLAIN_BYTES 3000u
#define NR_CODECS   5u

struct packed {
	uint8_t at[FILE_MAX];
	size_t bytes;
};

/* --- good ones --- */

static void add32(struct packed *p, uint32_t v)
{
	memcpy(p->at + p->bytes, &v, sizeof(v));
	p->bytes += sizeof(v);
}

static void pack_gzip(uint8_t *plain, struct packed *p)
{
	z_stream z = { .next_in = plain,
		       .avail_in = PLAIN_BYTES,
		       .next_out = p->at,
		       .avail_out = FILE_MAX };

	must(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, 0) == Z_OK);
	must(deflate(&z, Z_FINISH) == Z_STREAM_END);
	p->bytes = z.total_out;
	must(deflateEnd(&z) == Z_OK);
}

static void pack_xz(uint8_t *plain, struct packed *p)
{
	must(lzma_easy_buffer_encode(0, LZMA_CHECK_NONE, NULL, plain,
				     PLAIN_BYTES, p->at, &p->bytes,
				     FILE_MAX) == LZMA_OK);
	add32(p, PLAIN_BYTES);
}

static void pack_lzma(uint8_t *plain, struct packed *p)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_options_lzma o;

	must(!lzma_lzma_preset(&o, 0));
	o.dict_size = 1 << 16;
	must(lzma_alone_encoder(&s, &o) == LZMA_OK);
	s.next_in = plain;
	s.avail_in = PLAIN_BYTES;
	s.next_out = p->at;
	s.avail_out = FILE_MAX;
	must(lzma_code(&s, LZMA_FINISH) == LZMA_STREAM_END);
	p->bytes = s.total_out;
	lzma_end(&s);
	add32(p, PLAIN_BYTES);
}

static void pack_zstd(uint8_t *plain, struct packed *p)
{
	p->bytes = ZSTD_compress(p->at, FILE_MAX, plain, PLAIN_BYTES, 1);
	must(!ZSTD_isError(p->bytes));
	add32(p, PLAIN_BYTES);
}

static void pack_lz4(uint8_t *plain, struct packed *p)
{
	int n;

	add32(p, 0x184c2102);
	n = LZ4_compress_default((char *)plain, (char *)p->at + 8,
				 (int)PLAIN_BYTES, FILE_MAX - 16);
	must(n > 0);
	add32(p, (uint32_t)n);
	p->bytes += (size_t)n;
	add32(p, PLAIN_BYTES);
}

static const struct packed *good(unsigned codec)
{
	static void (*const pack[NR_CODECS])(uint8_t *, struct packed *) = {
		pack_gzip, pack_xz, pack_lzma, pack_zstd, pack_lz4,
	};
	static struct packed made[NR_CODECS];
	uint8_t plain[PLAIN_BYTES];

	if (made[codec].bytes == 0) {
		for (size_t i = 0; i < PLAIN_BYTES; i++)
			plain[i] = (uint8_t)(i % 7 * (i / 50));
		pack[codec](plain, &made[codec]);
	}
	return &made[codec];
}

/* --- checks --- */

static size_t make_file(struct bytes *b, uint8_t *file)
{
	unsigned codec = (unsigned)take(b, 1) % (NR_CODECS + 1);
	const struct packed *p;
	size_t bytes;

	if (codec == NR_CODECS)
		return take_into(b, file, FILE_MAX);
	p = good(codec);
	bytes = p->bytes;
	memcpy(file, p->at, bytes);
	while (b->n) {
		size_t at = take(b, 2);

		if (at >= 0xf000)
			bytes = at % (p->bytes + 1);
		else
			file[at % p->bytes] = (uint8_t)take(b, 1);
	}
	return bytes;
}

/* Into a buffer of exactly @room bytes. */
static int unpack(const uint8_t *src, size_t bytes, size_t room, uint8_t **dst,
		  size_t *used)
{
	int err;

	*dst = malloc(room ? room : 1);
	*used = SIZE_MAX;
	must(*dst);
	err = unpack_payload(src, bytes, *dst, room, used);
	if (err) {
		must(err == -EBADMSG || err == -ENOTSUP || err == -ENOMEM);
		must(err != -ENOTSUP || bytes >= 16);
		must(*used == SIZE_MAX);
	}
	return err;
}

static void check(const uint8_t *src, size_t bytes, size_t room)
{
	uint8_t *dst, *again;
	size_t used, used_again;
	uint32_t says;
	int err = unpack(src, bytes, room, &dst, &used);

	if (!err) {
		memcpy(&says, src + bytes - sizeof(says), sizeof(says));
		must(used <= room && used == says);
		must(unpack(src, bytes, room, &again, &used_again) == 0);
		must(used_again == used && memcmp(dst, again, used) == 0);
		free(again);
		/* A byte less does not hold it. */
		if (used > 0) {
			must(unpack(src, bytes, used - 1, &again,
				    &used_again) == -EBADMSG);
			free(again);
		}
	}
	free(dst);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[FILE_MAX];
	struct bytes b = { data, size };
	size_t room = take(&b, 2), bytes = make_file(&b, file);
	uint8_t *exact = malloc(bytes + 1);

	must(exact);
	memcpy(exact + 1, file, bytes);
	check(exact + 1, bytes, room);
	free(exact);
	return 0;
}
