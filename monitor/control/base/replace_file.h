/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DISCO_MONITOR_REPLACE_FILE_H
#define DISCO_MONITOR_REPLACE_FILE_H

#include "disco/base.h"

/**
 * replace_file_write() - write a text to wherever a path leads
 * @path: a regular file, or none yet: it is replaced as a whole, through
 *        "TARGET.XXXXXX" beside it, where symbolic links are followed first and
 *        stay as they are. Anything else (a device, a FIFO, a terminal) is
 *        written to, and so is an open file of this process
 *        ("/dev/stdout"), at its end
 *
 * A new file has the rights that the umask leaves. After an error a regular
 * file has its old contents.
 *
 * Context: blocks on the file. Return: 0; -ENXIO a FIFO that nobody reads;
 * -EISDIR; -ELOOP; -ENOMEM; -errno of open(), mkstemp(), write(), close() or
 * rename().
 */
MUST_CHECK int replace_file_write(const char *path, const char *text,
				  size_t bytes);

#endif
