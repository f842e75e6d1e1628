/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The format of a copy-on-write file. cow_format.c has the layout and the
 * invariants.
 */
#ifndef DISCO_COWDISK_COW_FORMAT_H
#define DISCO_COWDISK_COW_FORMAT_H

#include "cowdisk/base/io.h"

#define COW_VERSION	 1u
#define COW_BLOCK_BYTES	 4096u
#define COW_HEADER_BYTES 4096u
#define COW_MAP_PAGE	 4096u /* unit in which the bitmap is written */
#define COW_PAGE_BLOCKS	 (COW_MAP_PAGE * 8u) /* 128 MiB of disk */
#define COW_DATA_ALIGN	 MIB(1)
#define COW_MAX_BYTES	 GIB(16384)

/* Identity of the base that a COW file belongs to. */
struct cow_base {
	uint64_t bytes;	  /* a multiple of 512, 1 .. COW_MAX_BYTES */
	int64_t mtime_ns; /* 0 for a block device */
	uint64_t content; /* cow_base_content() */
};

struct cow_header {
	struct cow_base base;
	bool committing; /* the base is being written: see COW_F_COMMITTING */
};

/* Positions in the file, in bytes; they follow from the disk's size alone. */
struct cow_layout {
	uint64_t disk_bytes;
	uint64_t nr_blocks;   /* the last one may be cut by disk_bytes */
	uint64_t map_bytes;   /* at COW_HEADER_BYTES; whole map pages */
	uint64_t data_offset; /* block b is at data_offset + b * 4096 */
	uint64_t file_bytes;
};

/**
 * cow_layout_of() - compute the layout of a disk's COW file
 * @out: untouched on error
 *
 * Return: 0; -EINVAL @disk_bytes is not a valid size (see struct cow_base).
 */
MUST_CHECK int cow_layout_of(uint64_t disk_bytes, struct cow_layout *out);

void cow_header_encode(const struct cow_header *h,
		       uint8_t page[COW_HEADER_BYTES]);

/**
 * cow_header_decode() - parse a header from an untrusted source
 * @page:       COW_HEADER_BYTES
 * @file_bytes: size of the whole file
 * @out:        untouched on error; cow_layout_of() accepts its size
 * @why:        out on error: text that follows "FILE: " in a message
 *
 * Return: 0; -EBADMSG not a COW file, damaged or truncated; -ENOTSUP another
 *         version or block size, or an unknown flag.
 */
MUST_CHECK int cow_header_decode(const uint8_t *page, uint64_t file_bytes,
				 struct cow_header *out, const char **why);

/**
 * cow_base_content() - compute an image's content id from samples
 * @bytes: size of the image, a multiple of 512
 * @out:   hash of the size, of the first and last 64 KiB, and of 32 blocks
 *         spread evenly between; protects against mistakes, not against malice
 *
 * Context: reads IO_BASE, at most 256 KiB; blocks. Return: 0; -errno.
 */
MUST_CHECK int cow_base_content(struct io *io, uint64_t bytes, uint64_t *out);

/* Read the header of an open file. Return: as cow_header_decode(); -errno. */
MUST_CHECK int cow_header_read(struct io *io, uint64_t file_bytes,
			       struct cow_header *out, const char **why);

/* Write the header and sync. Return: 0; -errno. */
MUST_CHECK int cow_header_write(struct io *io, const struct cow_header *h);

/**
 * cow_base_check() - is @now the base that the file of @h was made for?
 * @why: out on error: text that follows "FILE: " in a message
 *
 * Compares size, mtime and content id, in this order. Return: 0; -ESTALE.
 */
MUST_CHECK int cow_base_check(const struct cow_header *h,
			      const struct cow_base *now, const char **why);

/**
 * cow_format() - write the header and the bitmap of an empty file
 * @io: its IO_COW is an empty file of the layout's size, all of it a hole
 *
 * Return: 0; -EINVAL @base has no valid size; -errno of a write or sync.
 */
MUST_CHECK int cow_format(struct io *io, const struct cow_base *base);

#endif
