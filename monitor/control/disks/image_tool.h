/* SPDX-License-Identifier: BSD-2-Clause */
/* Running qemu-img on open files, with nothing else of the host in its reach. */
#ifndef DISCO_MONITOR_IMAGE_TOOL_H
#define DISCO_MONITOR_IMAGE_TOOL_H

#include "disco/base.h"
#include "disco/diag.h"

/* A path of an open file that has no meaning but this, for JSON and words. */
#define IMAGE_TOOL_PATH_MAX 32
const char *image_tool_path(int fd, char buf[IMAGE_TOOL_PATH_MAX]);

/**
 * image_tool_convert() - write what an image contains to a raw file
 * @name:   of the image, for messages
 * @source: of qemu-img: "json:{...}", with paths of image_tool_path()
 * @reads:  @nr descriptors that it may read
 * @out:    descriptor of an empty file that it may write
 * @d:      out on error: ST_TOOL
 *
 * Where the kernel has Landlock, qemu-img can open no other files than these
 * and those of the system's programs and libraries, whatever the image says. A
 * bar shows the progress. It ends with this process.
 *
 * Context: one thread; blocks until qemu-img has ended.
 * Return: 0; -ENOENT qemu-img is not installed; -EIO it failed; -errno.
 */
MUST_CHECK int image_tool_convert(const char *name, const char *source,
				  const int *reads, unsigned nr, int out,
				  struct diag *d);

#endif
