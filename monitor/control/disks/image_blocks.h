/* SPDX-License-Identifier: BSD-2-Clause */
/* Walking a copy-on-write disk, for the image commands. */
#ifndef DISCO_MONITOR_IMAGE_BLOCKS_H
#define DISCO_MONITOR_IMAGE_BLOCKS_H

#include "cowdisk/disk/cow.h"
#include "monitor/control/disks/cow_files.h"

#define IMAGE_CHUNK MIB(1)

/* A pair and the disk it makes. */
struct image {
	struct cow_pair pair;
	struct disk_name name; /* the COW file, for messages */
	struct cow *cow;
	uint8_t *buf; /* IMAGE_CHUNK */
};

/**
 * image_open() - open both files and load the bitmap
 * @flags: enum cow_pair_flags
 * @img:   release with image_close(), also after an error
 *
 * Return: 0; -errno with @d filled, as cow_pair_open() and cow_open().
 */
MUST_CHECK int image_open(const char *base, const char *cow, unsigned flags,
			  struct image *img, struct diag *d);
void image_close(struct image *img);

/* A request to its end. Return: 0; -errno. */
MUST_CHECK int image_io(struct image *img, enum disk_op op, uint64_t offset,
			void *buf, uint64_t bytes);

/**
 * image_each() - hand over the disk's runs, in order
 * @present: only what is in the COW file
 * @what:    for the progress bar
 * @each:    @at and @bytes in bytes, at most IMAGE_CHUNK, blocks of one kind;
 *           not 0 ends the walk
 *
 * Return: 0; what @each returned.
 */
MUST_CHECK int image_each(struct image *img, bool present, const char *what,
			  int (*each)(struct image *img, uint64_t at,
				      uint64_t bytes, bool is_present,
				      void *arg),
			  void *arg);

bool image_is_zero(const uint8_t *p, size_t n);

#endif
