/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/base/unnamed_file.h"

#include <errno.h>
#include <fcntl.h>

int unnamed_file_open(const char *dir, int flags, mode_t mode)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | flags, mode);

	if (fd >= 0)
		return fd;
	/* EISDIR: a kernel before 3.11, or a file system that ignores it. */
	return errno == EISDIR || errno == EINVAL ? -EOPNOTSUPP : -errno;
}
