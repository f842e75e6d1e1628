/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The copy-on-write file: what its bytes mean. See cow_format.c for the
 * layout and the invariants.
 */
#ifndef DISCO_COWDISK_COW_FORMAT_H
#define DISCO_COWDISK_COW_FORMAT_H

#include "cowdisk/base/io.h"

#define COW_VERSION	 1u
#define COW_BLOCK_BYTES	 4096u
#define COW_HEADER_BYTES 4096u
#define COW_MAP_PAGE	 4096u /* bytes of bitmap written together */
#define COW_PAGE_BLOCKS	 (COW_MAP_PAGE * 8u) /* 128 MiB of disk */
#define COW_DATA_ALIGN	 MIB(1)
#define COW_MAX_BYTES	 GIB(16384)

/* What a COW file belongs to. */
struct cow_base {
	uint64_t bytes;	  /* a multiple of 512, 1 .. COW_MAX_BYTES */
	int64_t mtime_ns; /* 0 for a block device */
	uint64_t content; /* cow_base_content() */
};

struct cow_header {
	struct cow_base base;
	bool committing; /* the base is being written: see COW_F_COMMITTING */
};

/* Where things are; follows from the size of the disk alone. */
struct cow_layout {
	uint64_t disk_bytes;
	uint64_t nr_blocks;   /* the last one may be cut by disk_bytes */
	uint64_t map_bytes;   /* at COW_HEADER_BYTES; whole map pages */
	uint64_t data_offset; /* block b is at data_offset + b * 4096 */
	uint64_t file_bytes;
};

/**
 * cow_layout_of() - where things are in the COW file of a disk
 * @out: untouched on error
 *
 * Return: 0; -EINVAL @disk_bytes is no size of a disk (see struct cow_base).
 */
MUST_CHECK int cow_layout_of(uint64_t disk_bytes, struct cow_layout *out);

void cow_header_encode(const struct cow_header *h,
		       uint8_t page[COW_HEADER_BYTES]);

/**
 * cow_header_decode() - read a header nobody vouches for
 * @page:       COW_HEADER_BYTES
 * @file_bytes: size of the whole file
 * @out:        untouched on error; cow_layout_of() accepts its size
 * @why:        out on error: words to go after "FILE: "
 *
 * Return: 0; -EBADMSG no COW file, damaged or truncated; -ENOTSUP another
 *         version or block size, a flag we do not know.
 */
MUST_CHECK int cow_header_decode(const uint8_t *page, uint64_t file_bytes,
				 struct cow_header *out, const char **why);

/**
 * cow_base_content() - an image's content id, from samples of it
 * @bytes: its size, a multiple of 512
 * @out:   hash of the size, of the first and last 64 KiB, and of 32 blocks
 *         spread evenly between; against mistakes, not against malice
 *
 * Context: reads IO_BASE, at most 256 KiB; blocks. Return: 0; -errno.
 */
MUST_CHECK int cow_base_content(struct io *io, uint64_t bytes, uint64_t *out);

/* The header of an open file; as cow_header_decode(), or -errno of a read. */
MUST_CHECK int cow_header_read(struct io *io, uint64_t file_bytes,
			       struct cow_header *out, const char **why);

/* Write and sync. Return: 0; -errno. */
MUST_CHECK int cow_header_write(struct io *io, const struct cow_header *h);

/**
 * cow_base_check() - is @now what @h was made over?
 * @why: out on error
 *
 * Return: 0; -ESTALE. Fields: size, mtime and content id, in this order.
 */
MUST_CHECK int cow_base_check(const struct cow_header *h,
			      const struct cow_base *now, const char **why);

/**
 * cow_format() - make an empty file's header and bitmap
 * @io: IO_COW is an empty file of the layout's size; all of it a hole
 *
 * Return: 0; -EINVAL @base has no size of a disk; -errno of a write or sync.
 */
MUST_CHECK int cow_format(struct io *io, const struct cow_base *base);

#endif
