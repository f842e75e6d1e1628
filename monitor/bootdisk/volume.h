/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A range of bytes that can be read: a disk, a partition of it, an array in a
 * test. Whoever made the contents is not trusted. Whatever the readers above do
 * with them, all reads of a disk together are bounded by its budget.
 */
#ifndef DISCO_BOOTDISK_VOLUME_H
#define DISCO_BOOTDISK_VOLUME_H

#include "disco/base.h"

struct volume {
	/* Only called with a range inside @bytes. Return: 0; -errno. */
	int (*read)(struct volume *v, uint64_t at, void *buf, size_t bytes);
	uint64_t bytes;
	uint64_t *budget; /* bytes that may still be read; NULL: no bound */
};

/*
 * Read a range. Return: 0; -EINVAL it is not inside the volume; -EDQUOT the
 * budget is used up; -errno of the read.
 */
MUST_CHECK int volume_read(struct volume *v, uint64_t at, void *buf,
			   size_t bytes);

/* A range of another volume, which outlives it. */
struct volume_part {
	struct volume v;
	struct volume *whole;
	uint64_t start;
};

/* The range has to be inside @whole. */
void volume_part_init(struct volume_part *p, struct volume *whole,
		      uint64_t start, uint64_t bytes);

#endif
