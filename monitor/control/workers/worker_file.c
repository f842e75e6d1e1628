/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/workers/worker_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* O_NONBLOCK, as it may be anything. */
int worker_file_open(pid_t pid, enum worker_fd number, struct stat *st)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid,
		       (int)number);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode) &&
	    fcntl(fd, F_GET_SEALS) >= 0)
		return fd;
	(void)close(fd);
	return -EBADF;
}
