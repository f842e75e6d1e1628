/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The copy-on-write file.
 *
 * Layout. Numbers are little-endian; everything not named is zero.
 *
 *   offset        bytes  what
 *   0             8      magic "DISCOCOW"
 *   8             4      version, 1
 *   12            4      block size, 4096
 *   16            8      size of the base in bytes, a multiple of 512
 *   24            8      mtime of the base, ns since 1970 (signed); 0: device
 *   32            8      content id of the base, see cow_base_content()
 *   40            4      flags: bit 0 COMMITTING
 *   44            460    zero
 *   504           8      FNV-1a (64 bit) of bytes 0 .. 503
 *   512           3584   zero, not looked at
 *   4096          M      presence bitmap, bit b % 8 of byte b / 8 for block b;
 *                        M is ceil(blocks / 8) rounded up to 4096; bits past
 *                        the last block are 0
 *   D             ...    block b at D + 4096 b, a hole unless it is present;
 *                        D is 4096 + M rounded up to 1 MiB
 *
 * The file is exactly D + 4096 * blocks bytes long, and sparse. No path of
 * the base is kept: who opens the file names the base, so a file from
 * elsewhere cannot make us read what it likes.
 *
 * Invariants
 *
 *   I1  The base is never written, but by `disco image commit`, which sets
 *       COMMITTING first (and syncs) and clears it last.
 *   I2  A block whose bit is set is read from the data area; any other one
 *       from the base.
 *   I3  A bit goes from 0 to 1 on disk only after a sync that started when
 *       the whole block was in the file has succeeded.
 *   I4  A bit never goes from 1 to 0, but when a commit empties the bitmap,
 *       after the base that holds the blocks was synced.
 *   I5  A flush is acknowledged only after every bit of a write that was
 *       acknowledged before the flush came is set and synced.
 *   I6  By I3 and I4 every mixture of an old and a new bitmap is a true one:
 *       after a crash there is nothing to replay, and no order among bitmap
 *       pages to keep.
 *   I7  What the data area holds of a block whose bit is 0 means nothing (a
 *       write that was not flushed may have left something); so a write of a
 *       part of such a block always writes the whole block, filled up from
 *       the base, and a zeroed one is punched or written.
 *   I8  One process has the file open for writing: it holds an exclusive OFD
 *       lock on it.
 *   I9  After a sync has failed nobody knows what is on disk, and a later one
 *       that succeeds says nothing about it; so no bit is set any more, and
 *       writes and flushes fail until the file is opened anew.
 *   I10 A base whose size, mtime or content id is another one is refused
 *       (unless COMMITTING: only a commit, which goes on, opens it).
 *
 * Life of a block (function that makes the step):
 *
 *      ABSENT --write done (cow.c: segment_done)--> DIRTY
 *      DIRTY --flush begins (cow_flush.c: begin)--> SNAPSHOT
 *      SNAPSHOT --sync, bitmap write, sync (cow_flush.c)--> DURABLE
 *      SNAPSHOT --bitmap write failed (cow_flush.c: end)--> DIRTY
 *
 * ABSENT is 0 in memory and on disk, DIRTY and SNAPSHOT 1 in memory only.
 * A process that dies takes its DIRTY and SNAPSHOT blocks back to ABSENT: a
 * guest's writes without a flush, as on any disk.
 *
 * Discarded blocks become present and a hole: they read as zeroes. Parts of
 * blocks at the ends of a discard are left as they were.
 */
#include "cowdisk/disk/cow_format.h"

#include <errno.h>
#include <string.h>

#include "disco/le.h"

#define SECTOR_BYTES 512u
#define SUM_AT	     504u
#define F_COMMITTING 1u

enum field {
	AT_MAGIC = 0,
	AT_VERSION = 8,
	AT_BLOCK = 12,
	AT_BYTES = 16,
	AT_MTIME = 24,
	AT_CONTENT = 32,
	AT_FLAGS = 40,
};

static const char magic[8] = { 'D', 'I', 'S', 'C', 'O', 'C', 'O', 'W' };

#define FNV_START 0xcbf29ce484222325ull

static uint64_t cow_format_fnv(uint64_t h, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h;
}

int cow_layout_of(uint64_t disk_bytes, struct cow_layout *out)
{
	uint64_t blocks;

	if (disk_bytes == 0 || disk_bytes > COW_MAX_BYTES ||
	    disk_bytes % SECTOR_BYTES)
		return -EINVAL;
	blocks = align_up(disk_bytes, COW_BLOCK_BYTES) / COW_BLOCK_BYTES;
	out->disk_bytes = disk_bytes;
	out->nr_blocks = blocks;
	out->map_bytes = align_up((blocks + 7) / 8, COW_MAP_PAGE);
	out->data_offset =
		align_up(COW_HEADER_BYTES + out->map_bytes, COW_DATA_ALIGN);
	out->file_bytes = out->data_offset + blocks * COW_BLOCK_BYTES;
	return 0;
}

void cow_header_encode(const struct cow_header *h,
		       uint8_t page[COW_HEADER_BYTES])
{
	memset(page, 0, COW_HEADER_BYTES);
	memcpy(page + AT_MAGIC, magic, sizeof(magic));
	le32_store(page + AT_VERSION, COW_VERSION);
	le32_store(page + AT_BLOCK, COW_BLOCK_BYTES);
	le64_store(page + AT_BYTES, h->base.bytes);
	le64_store(page + AT_MTIME, (uint64_t)h->base.mtime_ns);
	le64_store(page + AT_CONTENT, h->base.content);
	le32_store(page + AT_FLAGS, h->committing ? F_COMMITTING : 0);
	le64_store(page + SUM_AT, cow_format_fnv(FNV_START, page, SUM_AT));
}

static int cow_format_refuse(int err, const char *text, const char **why)
{
	*why = text;
	return -err;
}

int cow_header_decode(const uint8_t *page, uint64_t file_bytes,
		      struct cow_header *out, const char **why)
{
	struct cow_layout l;
	uint32_t flags;

	if (file_bytes < COW_HEADER_BYTES ||
	    memcmp(page + AT_MAGIC, magic, sizeof(magic)) != 0)
		return cow_format_refuse(EBADMSG, "not a copy-on-write file",
					 why);
	if (le64_load(page + SUM_AT) != cow_format_fnv(FNV_START, page, SUM_AT))
		return cow_format_refuse(
			EBADMSG, "its header is damaged (checksum)", why);
	if (le32_load(page + AT_VERSION) != COW_VERSION)
		return cow_format_refuse(
			ENOTSUP, "written by a newer disco (version)", why);
	if (le32_load(page + AT_BLOCK) != COW_BLOCK_BYTES)
		return cow_format_refuse(ENOTSUP, "its block size is not 4096",
					 why);
	flags = le32_load(page + AT_FLAGS);
	if (flags & ~F_COMMITTING)
		return cow_format_refuse(
			ENOTSUP, "written by a newer disco (flags)", why);
	if (cow_layout_of(le64_load(page + AT_BYTES), &l))
		return cow_format_refuse(
			EBADMSG, "its header is damaged (disk size)", why);
	if (file_bytes < l.file_bytes)
		return cow_format_refuse(EBADMSG,
					 "truncated: shorter than its header "
					 "says",
					 why);
	if (file_bytes > l.file_bytes)
		return cow_format_refuse(EBADMSG, "longer than its header says",
					 why);
	out->base.bytes = l.disk_bytes;
	out->base.mtime_ns = (int64_t)le64_load(page + AT_MTIME);
	out->base.content = le64_load(page + AT_CONTENT);
	out->committing = flags & F_COMMITTING;
	return 0;
}

int cow_header_read(struct io *io, uint64_t file_bytes, struct cow_header *out,
		    const char **why)
{
	uint8_t page[COW_HEADER_BYTES];
	int err;

	*why = "cannot be read";
	if (file_bytes < sizeof(page))
		return cow_format_refuse(EBADMSG, "not a copy-on-write file",
					 why);
	err = io_read_now(io, IO_COW, 0, page, sizeof(page));
	return err ? err : cow_header_decode(page, file_bytes, out, why);
}

int cow_header_write(struct io *io, const struct cow_header *h)
{
	uint8_t page[COW_HEADER_BYTES];
	int err;

	cow_header_encode(h, page);
	err = io_write_now(io, IO_COW, 0, page, sizeof(page));
	return err ? err : io_sync_now(io, IO_COW);
}

int cow_format(struct io *io, const struct cow_base *base)
{
	const struct cow_header h = { .base = *base };
	struct cow_layout l;
	int err = cow_layout_of(base->bytes, &l);

	/* The bitmap is a hole: no block is present. */
	return err ? err : cow_header_write(io, &h);
}

#define ENDS_BYTES 65536u
#define SAMPLES	   32u

static int cow_format_sample(struct io *io, uint64_t at, size_t n, uint64_t *h)
{
	uint8_t buf[COW_BLOCK_BYTES];

	while (n) {
		size_t part = min_u64(n, sizeof(buf));
		int err = io_read_now(io, IO_BASE, at, buf, part);

		if (err)
			return err;
		*h = cow_format_fnv(*h, buf, part);
		at += part;
		n -= part;
	}
	return 0;
}

int cow_base_content(struct io *io, uint64_t bytes, uint64_t *out)
{
	uint64_t ends = min_u64(bytes, ENDS_BYTES), h = FNV_START;
	uint8_t size[8];
	int err;

	le64_store(size, bytes);
	h = cow_format_fnv(h, size, sizeof(size));
	err = cow_format_sample(io, 0, ends, &h);
	if (!err)
		err = cow_format_sample(io, bytes - ends, ends, &h);
	for (unsigned i = 1; i <= SAMPLES && !err; i++) {
		uint64_t at = bytes / (SAMPLES + 1) * i;

		at = align_down(at, COW_BLOCK_BYTES);
		err = cow_format_sample(
			io, at, min_u64(COW_BLOCK_BYTES, bytes - at), &h);
	}
	if (!err)
		*out = h;
	return err;
}

int cow_base_check(const struct cow_header *h, const struct cow_base *now,
		   const char **why)
{
	if (h->base.bytes != now->bytes)
		return cow_format_refuse(ESTALE, "its base had another size",
					 why);
	if (h->base.content != now->content)
		return cow_format_refuse(ESTALE,
					 "its base has changed (content)", why);
	if (h->base.mtime_ns != now->mtime_ns)
		return cow_format_refuse(
			ESTALE, "its base was touched or copied (mtime)", why);
	return 0;
}
