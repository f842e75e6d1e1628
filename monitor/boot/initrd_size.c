/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/boot/initrd_size.h"

#include <fcntl.h>
#include <limits.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "disco/le.h"

#define PIECE		KIB(64)
#define LZ4_LEGACY	0x184c2102u
#define LZ4_BLOCK_MAX	(8u << 20)
#define LZMA_MEMORY_MAX MIB(512)

/* buffer-format.rst: 13 fields of 8 hexadecimal digits after the magic. */
#define CPIO_MAGIC_BYTES  6u
#define CPIO_HEADER_BYTES 110u
#define CPIO_FILE_BYTES	  54u /* where the field is */
#define CPIO_NAME_BYTES	  94u
#define CPIO_TRAILER	  "TRAILER!!!"

/* What Linux needs beside all that: tables of pages, drivers, the first tasks. */
#define ROOM_TO_RUN  MIB(64)
#define MEMORY_STEP  MIB(16)
#define FILE_ROUNDED 8u /* a part in so many is lost to whole pages */

/* An archive: where it ends, and what is in it. */
struct archive {
	const uint8_t *at;
	uint64_t bytes;	   /* to the end of the file */
	uint64_t used;	   /* of them, by this archive */
	uint64_t unpacked; /* bytes in it */
};

static bool initrd_hex(const uint8_t *p, uint32_t *out)
{
	char text[9] = { 0 }, *end;

	memcpy(text, p, 8);
	*out = (uint32_t)strtoul(text, &end, 16);
	return end == text + 8;
}

static void size_cpio(struct archive *a)
{
	while (a->bytes - a->used >= CPIO_HEADER_BYTES) {
		const uint8_t *h = a->at + a->used;
		uint64_t left = a->bytes - a->used, next;
		uint32_t file, name;

		if (memcmp(h, "07070", CPIO_MAGIC_BYTES - 1) != 0 ||
		    !initrd_hex(h + CPIO_FILE_BYTES, &file) ||
		    !initrd_hex(h + CPIO_NAME_BYTES, &name))
			break;
		next = align_up(CPIO_HEADER_BYTES + (uint64_t)name, 4) +
		       align_up(file, 4);
		if (next > left)
			break;
		a->used += next;
		if (name == sizeof(CPIO_TRAILER) &&
		    memcmp(h + CPIO_HEADER_BYTES, CPIO_TRAILER, name) == 0)
			break;
	}
	a->unpacked = a->used;
}

static void size_gzip(struct archive *a)
{
	uint8_t out[PIECE];
	z_stream z = { .next_in = (Bytef *)(uintptr_t)a->at,
		       .avail_in = (uInt)min_u64(a->bytes, UINT_MAX) };
	int ret = Z_OK;

	if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
		return;
	while (ret == Z_OK) {
		z.next_out = out;
		z.avail_out = sizeof(out);
		ret = inflate(&z, Z_NO_FLUSH);
	}
	a->used = z.total_in;
	a->unpacked = z.total_out;
	(void)inflateEnd(&z);
}

/* xz and lzma. */
static void size_lzma(struct archive *a)
{
	uint8_t out[PIECE];
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_ret ret = lzma_auto_decoder(&s, LZMA_MEMORY_MAX, 0);

	s.next_in = a->at;
	s.avail_in = a->bytes;
	while (ret == LZMA_OK) {
		s.next_out = out;
		s.avail_out = sizeof(out);
		ret = lzma_code(&s, LZMA_FINISH);
	}
	a->used = s.total_in;
	a->unpacked = s.total_out;
	lzma_end(&s);
}

static void size_zstd(struct archive *a)
{
	uint8_t out[PIECE];
	ZSTD_inBuffer in = { .src = a->at, .size = a->bytes };
	ZSTD_DStream *s = ZSTD_createDStream();
	size_t ret = 1;

	while (s && ret != 0) {
		ZSTD_outBuffer o = { .dst = out, .size = sizeof(out) };
		size_t before = in.pos;

		ret = ZSTD_decompressStream(s, &o, &in);
		if (ZSTD_isError(ret) || (in.pos == before && o.pos == 0))
			break;
		a->unpacked += o.pos;
	}
	a->used = in.pos;
	(void)ZSTD_freeDStream(s);
}

/* Legacy frame: magic, then blocks of {packed size, data} up to 8 MiB each. */
static void size_lz4(struct archive *a)
{
	char *out = malloc(LZ4_BLOCK_MAX);

	a->used = 4;
	while (out && a->bytes - a->used >= 4) {
		uint32_t n = le32_load(a->at + a->used);
		int got;

		if (n == LZ4_LEGACY) {
			a->used += 4;
			continue;
		}
		if (n == 0 || n > INT_MAX || n > a->bytes - a->used - 4)
			break;
		got = LZ4_decompress_safe((const char *)a->at + a->used + 4,
					  out, (int)n, (int)LZ4_BLOCK_MAX);
		if (got < 0)
			break;
		a->used += 4 + n;
		a->unpacked += (uint64_t)got;
	}
	free(out);
}

static void size_archive(struct archive *a)
{
	static const struct {
		uint8_t magic[6];
		unsigned len;
		void (*size)(struct archive *a);
	} kinds[] = {
		{ "07070", 5, size_cpio },
		{ { 0x1f, 0x8b }, 2, size_gzip },
		{ { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, size_lzma },
		{ { 0x5d, 0, 0 }, 3, size_lzma },
		{ { 0x28, 0xb5, 0x2f, 0xfd }, 4, size_zstd },
		{ { 0x02, 0x21, 0x4c, 0x18 }, 4, size_lz4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (a->bytes >= kinds[i].len &&
		    memcmp(a->at, kinds[i].magic, kinds[i].len) == 0) {
			kinds[i].size(a);
			break;
		}
	/* Nothing was understood of it: it stays as it is, to the end. */
	if (a->used == 0 || a->unpacked == 0) {
		a->used = a->bytes;
		a->unpacked = a->bytes;
	}
}

uint64_t initrd_unpacked_bytes(const uint8_t *at, uint64_t bytes)
{
	uint64_t sum = 0, off = 0;

	while (off < bytes) {
		struct archive a = { .at = at + off, .bytes = bytes - off };

		if (at[off] == 0) {
			off++;
			continue;
		}
		size_archive(&a);
		sum += a.unpacked > a.used ? a.unpacked : a.used;
		off += a.used;
	}
	return sum;
}

uint64_t initrd_memory(const char *path, uint64_t boot_end)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	void *at = MAP_FAILED;
	uint64_t unpacked;
	struct stat st;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd,
			  0);
	(void)close(fd);
	if (at == MAP_FAILED)
		return 0;
	unpacked = initrd_unpacked_bytes(at, (uint64_t)st.st_size);
	(void)munmap(at, (size_t)st.st_size);
	unpacked += unpacked / FILE_ROUNDED;
	return align_up(boot_end + 2 * unpacked + ROOM_TO_RUN, MEMORY_STEP);
}
