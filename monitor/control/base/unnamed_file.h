/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DISCO_MONITOR_UNNAMED_FILE_H
#define DISCO_MONITOR_UNNAMED_FILE_H

#include <sys/types.h>

#include "disco/base.h"

/**
 * unnamed_file_open() - open a new file that has no name
 * @flags: O_EXCL: it will never get one
 * @mode:  as for open(), less the umask
 *
 * The file ends with its last descriptor, however the process ends.
 *
 * Return: descriptor, O_RDWR, O_CLOEXEC; -EOPNOTSUPP the file system of @dir
 * has no such files; -errno of open().
 */
MUST_CHECK int unnamed_file_open(const char *dir, int flags, mode_t mode);

#endif
