/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory files of a worker, opened through /proc/PID/fd. */
#ifndef DISCO_MONITOR_WORKER_FILE_H
#define DISCO_MONITOR_WORKER_FILE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "disco/worker_spec.h"

/**
 * worker_file_open() - open a file of a worker for reading
 * @pid:    process id of the worker, known to be right
 * @number: the worker's descriptor; a hostile worker may have put any file
 *          there
 * @st:     out, of the file
 *
 * Only a file that can be sealed is accepted, which is a memory file.
 * Return: a descriptor, owned by the caller; -EBADF no such file; -errno of
 * open().
 */
MUST_CHECK int worker_file_open(pid_t pid, enum worker_fd number,
				struct stat *st);

#endif
