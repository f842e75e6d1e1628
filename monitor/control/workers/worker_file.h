/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory files of a worker, opened anew through /proc/PID/fd. */
#ifndef DISCO_MONITOR_WORKER_FILE_H
#define DISCO_MONITOR_WORKER_FILE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "disco/worker_spec.h"

/**
 * worker_file_open() - a file that a worker has, for reading
 * @pid:    of the worker, known to be it
 * @number: where it has the file; what is there may be anything
 * @st:     out, of the file
 *
 * Only a file that can be sealed is taken, which is a memory file.
 * Return: a descriptor, the caller's; -EBADF no such file; -errno of open().
 */
MUST_CHECK int worker_file_open(pid_t pid, enum worker_fd number,
				struct stat *st);

#endif
