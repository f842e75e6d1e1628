/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading a part of a file into memory, all of it. */
#ifndef DISCO_NUMA_READ_AT_H
#define DISCO_NUMA_READ_AT_H

#include <errno.h>
#include <unistd.h>

#include "disco/base.h"

/**
 * read_at() - read @bytes of a file from @at on, or fail
 * @fd:    a file that pread(2) reads; not owned
 * @to:    @bytes long; holds what was read before an error
 *
 * Context: any thread; blocks on the file; makes no system call but pread(2).
 * Return:  0; -EIO the file ends before; -errno of pread(2).
 */
MUST_CHECK static inline int read_at(int fd, void *to, uint64_t bytes,
				     uint64_t at)
{
	uint64_t done = 0;

	while (done < bytes) {
		ssize_t n = pread(fd, (uint8_t *)to + done, bytes - done,
				  (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

#endif
