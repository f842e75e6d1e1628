/* SPDX-License-Identifier: BSD-2-Clause */
/* How large an initrd is when it is unpacked, whatever it is packed with. */
#include <lz4.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "monitor/boot/initrd_size.h"
#include "tests/unit/boot/temp_dir.h"
#include "tests/unit/support.h"

#define FILE_BYTES 3000000u
#define ROOM	   (2 * FILE_BYTES)

static uint8_t cpio[ROOM], packed[ROOM], whole[2 * ROOM];

static size_t cpio_member(uint8_t *at, const char *name, uint32_t bytes)
{
	size_t head = align_up(110 + strlen(name) + 1, 4);

	memset(at, 0, head);
	(void)snprintf((char *)at, 111,
		       "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x"
		       "%08x",
		       1, 0100644, 0, 0, 1, 0, bytes, 0, 0, 0, 0,
		       (unsigned)strlen(name) + 1, 0);
	memcpy(at + 110, name, strlen(name) + 1);
	for (uint32_t i = 0; i < bytes; i++)
		at[head + i] = (uint8_t)(i * i >> 7);
	return head + align_up(bytes, 4);
}

/* An archive with one file, in @cpio. */
static size_t archive(uint32_t bytes)
{
	size_t n = cpio_member(cpio, "file", bytes);

	return n + cpio_member(cpio + n, "TRAILER!!!", 0);
}

static size_t pack_gzip(size_t bytes)
{
	z_stream z = { .next_in = cpio,
		       .avail_in = (uInt)bytes,
		       .next_out = packed,
		       .avail_out = sizeof(packed) };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8,
				      Z_DEFAULT_STRATEGY),
			 Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(deflateEnd(&z), Z_OK);
	return z.total_out;
}

static size_t pack_xz(size_t bytes)
{
	size_t n = 0;

	assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL,
						 cpio, bytes, packed, &n,
						 sizeof(packed)),
			 LZMA_OK);
	return n;
}

static size_t pack_zstd(size_t bytes)
{
	size_t n = ZSTD_compress(packed, sizeof(packed), cpio, bytes, 3);

	assert_false(ZSTD_isError(n));
	return n;
}

static size_t pack_lz4(size_t bytes)
{
	uint32_t head[2] = { 0x184c2102 };
	int n = LZ4_compress_default((const char *)cpio, (char *)packed + 8,
				     (int)bytes, (int)sizeof(packed) - 8);

	assert_true(n > 0);
	head[1] = (uint32_t)n;
	memcpy(packed, head, sizeof(head));
	return (size_t)n + sizeof(head);
}

static size_t pack_not(size_t bytes)
{
	memcpy(packed, cpio, bytes);
	return bytes;
}

static size_t (*const packers[])(size_t bytes) = { pack_not, pack_gzip, pack_xz,
						   pack_zstd, pack_lz4 };

static void every_packer(void **state)
{
	size_t bytes = archive(FILE_BYTES);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		size_t n = packers[i](bytes);

		assert_int_equal(initrd_unpacked_bytes(packed, n), bytes);
	}
}

/* Microcode first, as Debian has it, then zeroes, then the other archive. */
static void one_after_the_other(void **state)
{
	size_t first = archive(5000), second;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		size_t n;

		first = archive(5000);
		memset(whole, 0, sizeof(whole));
		memcpy(whole, cpio, first);
		second = archive(FILE_BYTES);
		n = packers[i](second);
		memcpy(whole + 8192, packed, n);
		assert_int_equal(initrd_unpacked_bytes(whole, 8192 + n),
				 first + second);
	}
}

/* Cut or changed anywhere: an end, and no less than what is there. */
static void broken_ones(void **state)
{
	size_t bytes = archive(20000);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		size_t n = packers[i](bytes);

		for (size_t cut = 1; cut < n; cut += 1 + n / 300) {
			uint8_t *exact = malloc(cut);

			assert_non_null(exact);
			memcpy(exact, packed, cut);
			(void)initrd_unpacked_bytes(exact, cut);
			exact[cut / 2] ^= 0x55;
			assert_true(initrd_unpacked_bytes(exact, cut) <=
				    2 * bytes + cut);
			free(exact);
		}
	}
	memset(packed, 'x', 1000);
	assert_int_equal(initrd_unpacked_bytes(packed, 1000), 1000);
	memset(packed, 0, 1000);
	assert_int_equal(initrd_unpacked_bytes(packed, 1000), 0);
}

/* Linux gives the tmpfs half of what is free beside kernel and initrd. */
static void enough_memory(void **state)
{
	size_t bytes = archive(FILE_BYTES), n = pack_gzip(bytes);
	FILE *f = fopen("initrd", "w");
	uint64_t memory;

	(void)state;
	assert_non_null(f);
	assert_int_equal(fwrite(packed, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	memory = initrd_memory("initrd", MIB(100));
	assert_int_equal(memory % MIB(16), 0);
	assert_in_range(memory, MIB(100) + 2 * bytes + MIB(64),
			MIB(100) + 3 * bytes + MIB(80));
	assert_int_equal(initrd_memory("nowhere", MIB(100)), 0);
	assert_int_equal(initrd_memory(".", MIB(100)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_packer),
		cmocka_unit_test(one_after_the_other),
		cmocka_unit_test(broken_ones),
		cmocka_unit_test(enough_memory),
	};

	return cmocka_run_group_tests_name("initrd_size", tests, enter_dir,
					   remove_dir);
}
