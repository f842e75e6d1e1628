/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes a FAT16 file system with a few files in its root directory. */
#ifndef DISCO_MONITOR_FAT_IMAGE_H
#define DISCO_MONITOR_FAT_IMAGE_H

#include "disco/base.h"

#define FAT_FILES_MAX	8u
#define FAT_NAME_MAX	26u	/* two entries of a long name */
#define FAT_CONTENT_MAX MIB(24) /* of all files */

struct fat_file {
	const char *name; /* printable ASCII, lower case; not NULL */
	const void *data;
	size_t bytes;
};

/**
 * fat_image_write() - make a file a file system
 * @fd:    an empty file; gets the size that it needs, some 2 MiB at least
 * @label: up to 11 upper-case letters and digits
 * @id:    serial number of the volume
 * @files: @nr, 1 .. FAT_FILES_MAX, with different first six letters
 *
 * The same arguments make the same bytes. Return: 0; -EFBIG more than
 * FAT_CONTENT_MAX; -errno of a write. Source: Microsoft, "FAT32 File System
 * Specification" 1.03, which describes FAT16 and long names as well.
 */
MUST_CHECK int fat_image_write(int fd, const char *label, uint32_t id,
			       const struct fat_file *files, unsigned nr);

#endif
