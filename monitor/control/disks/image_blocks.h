/* SPDX-License-Identifier: BSD-2-Clause */
/* Walking over a copy-on-write disk, for the image commands. */
#ifndef DISCO_MONITOR_IMAGE_BLOCKS_H
#define DISCO_MONITOR_IMAGE_BLOCKS_H

#include "cowdisk/disk/cow.h"
#include "monitor/control/disks/cow_files.h"

#define IMAGE_CHUNK MIB(1)

/* A base and a COW file, and the disk that they form. */
struct image {
	struct cow_pair pair;
	struct disk_name name; /* the COW file, for messages */
	struct cow *cow;
	uint8_t *buf; /* IMAGE_CHUNK */
};

/**
 * image_open() - open both files and load the bitmap
 * @flags: enum cow_pair_flags, ORed
 * @img:   release with image_close(), also after an error
 *
 * Return: 0; -errno of cow_pair_open() and cow_open(), with @d filled.
 */
MUST_CHECK int image_open(const char *base, const char *cow, unsigned flags,
			  struct image *img, struct diag *d);
void image_close(struct image *img);

/* Perform a request and wait for its end. Return: 0; -errno. */
MUST_CHECK int image_io(struct image *img, enum disk_op op, uint64_t offset,
			void *buf, uint64_t bytes);

/**
 * image_each() - call a function for each run of the disk, in order
 * @present: only for runs that are in the COW file
 * @what:    text for the progress bar
 * @each:    @at and @bytes are in bytes; a run has at most IMAGE_CHUNK bytes,
 *           in blocks that are all present or all absent; a result that is not
 *           0 ends the walk
 * @arg:     passed to @each
 *
 * Return: 0; the result of @each that ended the walk.
 */
MUST_CHECK int image_each(struct image *img, bool present, const char *what,
			  int (*each)(struct image *img, uint64_t at,
				      uint64_t bytes, bool is_present,
				      void *arg),
			  void *arg);

bool image_is_zero(const uint8_t *p, size_t n);

#endif
