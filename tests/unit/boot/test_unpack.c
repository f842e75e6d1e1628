/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each compression of the kernel's build, packed here by its library the way
 * that build does it; then cut, changed and made to say something wrong.
 */
#include <errno.h>
#include <lz4hc.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "monitor/boot/unpack.h"
#include "tests/unit/support.h"

#define PLAIN_BYTES 20000u
#define LZ4_BLOCK   (8u << 20)
#define GUARD	    0xa5

struct packed {
	uint8_t *at;
	size_t bytes;
};

struct codec {
	const char *name;
	bool has_sum; /* of its contents: a changed bit is always seen */
	void (*pack)(const uint8_t *src, size_t bytes, struct packed *out);
};

static uint8_t *plain;

/* --- packing --- */

static void room_for(struct packed *out, size_t bytes)
{
	out->at = malloc(bytes);
	assert_non_null(out->at);
	out->bytes = 0;
}

static void add32(struct packed *out, size_t value)
{
	uint32_t v = (uint32_t)value;

	memcpy(out->at + out->bytes, &v, sizeof(v));
	out->bytes += sizeof(v);
}

static void pack_gzip(const uint8_t *src, size_t bytes, struct packed *out)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)src,
		       .avail_in = (uInt)bytes };

	room_for(out, bytes + 1024);
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, 0),
			 Z_OK);
	z.next_out = out->at;
	z.avail_out = (uInt)bytes + 1024;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->bytes = z.total_out;
	assert_int_equal(deflateEnd(&z), Z_OK);
}

static void run_lzma(lzma_stream *s, const uint8_t *src, size_t bytes,
		     struct packed *out)
{
	room_for(out, bytes + 1024);
	s->next_in = src;
	s->avail_in = bytes;
	s->next_out = out->at;
	s->avail_out = bytes + 1024;
	assert_int_equal(lzma_code(s, LZMA_FINISH), LZMA_STREAM_END);
	out->bytes = s->total_out;
	lzma_end(s);
	add32(out, bytes);
}

static void pack_xz(const uint8_t *src, size_t bytes, struct packed *out)
{
	lzma_stream s = LZMA_STREAM_INIT;

	assert_int_equal(lzma_easy_encoder(&s, 1, LZMA_CHECK_CRC32), LZMA_OK);
	run_lzma(&s, src, bytes, out);
}

static void pack_lzma(const uint8_t *src, size_t bytes, struct packed *out)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_options_lzma o;

	assert_false(lzma_lzma_preset(&o, 1));
	assert_int_equal(lzma_alone_encoder(&s, &o), LZMA_OK);
	run_lzma(&s, src, bytes, out);
}

static void pack_zstd(const uint8_t *src, size_t bytes, struct packed *out)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t n;

	room_for(out, ZSTD_compressBound(bytes) + 4);
	assert_non_null(c);
	n = ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	assert_false(ZSTD_isError(n));
	n = ZSTD_compress2(c, out->at, ZSTD_compressBound(bytes), src, bytes);
	assert_false(ZSTD_isError(n));
	assert_int_equal(ZSTD_freeCCtx(c), 0);
	out->bytes = n;
	add32(out, bytes);
}

static void pack_lz4(const uint8_t *src, size_t bytes, struct packed *out)
{
	size_t done = 0;

	room_for(out, bytes + bytes / 200 + 1024);
	add32(out, 0x184c2102);
	do {
		size_t n = min_u64(bytes - done, LZ4_BLOCK);
		int got = LZ4_compress_HC((const char *)src + done,
					  (char *)out->at + out->bytes + 4,
					  (int)n, LZ4_compressBound((int)n), 3);

		assert_true(got > 0);
		add32(out, (size_t)got);
		out->bytes += (size_t)got;
		done += n;
	} while (done < bytes);
	add32(out, bytes);
}

static const struct codec codecs[] = {
	{ "gzip", true, pack_gzip },  { "xz", true, pack_xz },
	{ "lzma", false, pack_lzma }, { "zstd", true, pack_zstd },
	{ "lz4", false, pack_lz4 },
};

/* --- unpacking --- */

/* From and into buffers of exactly these sizes; nothing past @room. */
static int unpack(const uint8_t *src, size_t bytes, uint8_t **dst, size_t room,
		  size_t *used)
{
	uint8_t *exact = malloc(bytes ? bytes : 1);
	int err;

	*dst = malloc(room + 1);
	assert_non_null(exact);
	assert_non_null(*dst);
	memcpy(exact, src, bytes);
	(*dst)[room] = GUARD;
	err = unpack_payload(bytes ? exact : exact + 1, bytes, *dst, room,
			     used);
	assert_int_equal((*dst)[room], GUARD);
	free(exact);
	return err;
}

static void refused(const char *name, const uint8_t *src, size_t bytes,
		    size_t room, int want)
{
	size_t used = 4711;
	uint8_t *dst;
	int err = unpack(src, bytes, &dst, room, &used);

	if (err != want)
		fail_msg("%s: got %d, want %d", name, err, want);
	assert_int_equal(used, 4711);
	free(dst);
}

static void accepted(const char *name, const struct packed *p, size_t room,
		     const uint8_t *want, size_t bytes)
{
	size_t used = 0;
	uint8_t *dst;

	if (unpack(p->at, p->bytes, &dst, room, &used) || used != bytes ||
	    memcmp(dst, want, bytes) != 0)
		fail_msg("%s: does not come back", name);
	free(dst);
}

/* --- tests --- */

static void round_trip(void **state)
{
	struct packed p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		codecs[i].pack(plain, PLAIN_BYTES, &p);
		assert_true(p.bytes < PLAIN_BYTES);
		accepted(codecs[i].name, &p, PLAIN_BYTES, plain, PLAIN_BYTES);
		accepted(codecs[i].name, &p, PLAIN_BYTES + 100, plain,
			 PLAIN_BYTES);
		free(p.at);
	}
}

/* 16 MiB and a bit: three blocks of lz4. */
static void several_blocks(void **state)
{
	size_t bytes = 2 * LZ4_BLOCK + 1000;
	uint8_t *big = malloc(bytes);
	struct packed p;

	(void)state;
	assert_non_null(big);
	for (size_t i = 0; i < bytes; i++)
		big[i] = plain[i % PLAIN_BYTES] ^ (uint8_t)(i / PLAIN_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		codecs[i].pack(big, bytes, &p);
		accepted(codecs[i].name, &p, bytes, big, bytes);
		refused(codecs[i].name, p.at, p.bytes, bytes - 1, -EBADMSG);
		free(p.at);
	}
	free(big);
}

static void truncated(void **state)
{
	struct packed p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		codecs[i].pack(plain, PLAIN_BYTES, &p);
		for (size_t n = 0; n < p.bytes; n += n < 64 ? 1 : 13)
			refused(codecs[i].name, p.at, n, PLAIN_BYTES, -EBADMSG);
		for (size_t n = 1; n <= 12; n++)
			refused(codecs[i].name, p.at, p.bytes - n, PLAIN_BYTES,
				-EBADMSG);
		free(p.at);
	}
}

/* Cut in the stream, with the size still behind it. */
static void truncated_before_the_size(void **state)
{
	struct packed p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		codecs[i].pack(plain, PLAIN_BYTES, &p);
		p.bytes = p.bytes / 2 - sizeof(uint32_t);
		add32(&p, PLAIN_BYTES);
		refused(codecs[i].name, p.at, p.bytes, PLAIN_BYTES, -EBADMSG);
		free(p.at);
	}
}

/*
 * A bit changed past the magic. Formats with a check sum see it, but for the
 * few header bits that mean nothing; the others may give other bytes, never
 * another number of them.
 */
static void changed(void **state)
{
	size_t used, wrong = 0;
	struct packed p;
	uint8_t *dst;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		codecs[i].pack(plain, PLAIN_BYTES, &p);
		for (size_t at = 6; at < p.bytes; at += 7) {
			p.at[at] ^= (uint8_t)(1u << at % 8);
			used = 0;
			if (unpack(p.at, p.bytes, &dst, PLAIN_BYTES, &used))
				assert_int_equal(used, 0);
			else if (used != PLAIN_BYTES ||
				 (codecs[i].has_sum &&
				  memcmp(dst, plain, used) != 0))
				wrong++;
			free(dst);
			p.at[at] ^= (uint8_t)(1u << at % 8);
		}
		if (wrong)
			fail_msg("%s: %zu changes not seen", codecs[i].name,
				 wrong);
		accepted(codecs[i].name, &p, PLAIN_BYTES, plain, PLAIN_BYTES);
		free(p.at);
	}
}

static void wrong_size_behind(void **state)
{
	struct packed p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		codecs[i].pack(plain, PLAIN_BYTES, &p);
		for (int step = -1; step <= 1; step += 2) {
			p.bytes -= sizeof(uint32_t);
			add32(&p, (size_t)((int)PLAIN_BYTES + step));
			refused(codecs[i].name, p.at, p.bytes, PLAIN_BYTES + 1,
				-EBADMSG);
		}
		free(p.at);
	}
}

static void does_not_fit(void **state)
{
	static const size_t rooms[] = { 0, 1, PLAIN_BYTES / 2,
					PLAIN_BYTES - 1 };
	struct packed p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		codecs[i].pack(plain, PLAIN_BYTES, &p);
		for (size_t k = 0; k < ARRAY_SIZE(rooms); k++)
			refused(codecs[i].name, p.at, p.bytes, rooms[k],
				-EBADMSG);
		free(p.at);
	}
}

/* 16 MiB of zeroes in some KiB, and room for 1 MiB. */
static void bomb(void **state)
{
	uint8_t *zeroes = calloc(1, MIB(16));
	struct packed p;

	(void)state;
	assert_non_null(zeroes);
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		codecs[i].pack(zeroes, MIB(16), &p);
		assert_true(p.bytes < MIB(1));
		refused(codecs[i].name, p.at, p.bytes, MIB(1), -EBADMSG);
		free(p.at);
	}
	free(zeroes);
}

static void unknown(void **state)
{
	static const char *const others[] = {
		"BZh91AY&SY......",
		"\x89LZO\0\r\n\x1a\n.......",
		"\x7f"
		"ELF............",
		"PK\3\4............",
		"\xfd"
		"7zXY...........",
		"\x28\xb5\x2f\xfc............",
		"\x04\x22\x4d\x18............",
	};
	uint8_t zeroes[16] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		refused(others[i], (const uint8_t *)others[i], 16, PLAIN_BYTES,
			-ENOTSUP);
	refused("zeroes", zeroes, sizeof(zeroes), PLAIN_BYTES, -ENOTSUP);
}

static void too_short_for_any(void **state)
{
	static const uint8_t gzip[16] = { 0x1f, 0x8b, 8 };

	(void)state;
	for (size_t n = 0; n <= sizeof(gzip); n++)
		refused("short", gzip, n, PLAIN_BYTES, -EBADMSG);
}

/* Blocks of lz4 whose sizes say too much, or whose data is missing. */
static void lz4_blocks(void **state)
{
	static const uint32_t sizes[] = { 0,	      1,	  13,
					  UINT32_MAX, 0x80000000, 0x7fffffff };
	uint8_t src[24] = { 0x02, 0x21, 0x4c, 0x18 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		memcpy(src + 4, &sizes[i], sizeof(sizes[i]));
		src[20] = 1; /* the size: not 0 */
		refused("block", src, sizeof(src), PLAIN_BYTES, -EBADMSG);
	}
}

static int make_plain(void **state)
{
	uint32_t v = 1;

	(void)state;
	plain = malloc(PLAIN_BYTES);
	if (!plain)
		return -1;
	for (size_t i = 0; i < PLAIN_BYTES; i++) {
		v = v * 1664525 + 1013904223;
		plain[i] = i % 64 < 48 ? (uint8_t)(i / 64) : (uint8_t)(v >> 24);
	}
	return 0;
}

static int free_plain(void **state)
{
	(void)state;
	free(plain);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(several_blocks),
		cmocka_unit_test(truncated),
		cmocka_unit_test(truncated_before_the_size),
		cmocka_unit_test(changed),
		cmocka_unit_test(wrong_size_behind),
		cmocka_unit_test(does_not_fit),
		cmocka_unit_test(bomb),
		cmocka_unit_test(unknown),
		cmocka_unit_test(too_short_for_any),
		cmocka_unit_test(lz4_blocks),
	};

	return cmocka_run_group_tests_name("unpack", tests, make_plain,
					   free_plain);
}
