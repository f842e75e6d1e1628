/* SPDX-License-Identifier: BSD-2-Clause */
/* Raw images that were compressed: gzip, xz, zstd. */
#ifndef DISCO_MONITOR_IMAGE_PACKED_H
#define DISCO_MONITOR_IMAGE_PACKED_H

#include "monitor/control/disks/disk_format.h"
#include "disco/diag.h"

/**
 * image_packed_unpack() - decompress a file, in a child that is confined
 * @name:  of the file, for messages
 * @fd:    open for reading; its position moves
 * @bytes: size of the file
 * @out:   an empty file, open for writing; zeroes become holes
 * @d:     out on error: ST_DISK damaged, no compression; ST_NO_SPACE; ST_HOST
 *
 * A bar shows the progress. Context: one thread; blocks. Return: 0; -errno.
 */
MUST_CHECK int image_packed_unpack(const char *name, int fd, uint64_t bytes,
				   enum disk_format f, int out, struct diag *d);

/* Is it a format that image_packed_unpack() knows? */
bool image_packed_is(enum disk_format f);

#endif
