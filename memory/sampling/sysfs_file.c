/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/sampling/sysfs_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int sysfs_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW), err;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	err = n < 0 ? -errno : (size_t)n == strlen(text) ? 0 : -EIO;
	(void)close(fd);
	return err;
}

int sysfs_put_number(const char *path, uint64_t number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, number);
	return sysfs_put(path, text);
}

int sysfs_get(const char *path, char *buf)
{
	char text[SYSFS_LINE + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;
	char *end;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	if (n < 0)
		n = -errno;
	(void)close(fd);
	if (n < 0)
		return (int)n;
	end = memchr(text, '\n', (size_t)n);
	if (!end || end - text >= (ptrdiff_t)SYSFS_LINE ||
	    memchr(text, '\0', (size_t)(end - text)))
		return -EBADMSG;
	*end = '\0';
	memcpy(buf, text, (size_t)(end - text) + 1);
	return 0;
}

int sysfs_get_number(const char *path, uint64_t *out)
{
	char line[SYSFS_LINE] = "", *end;
	uint64_t n;
	int err = sysfs_get(path, line);

	if (err)
		return err;
	if (*line < '0' || *line > '9')
		return -EBADMSG;
	errno = 0;
	n = strtoull(line, &end, 10);
	if (errno || *end)
		return -EBADMSG;
	*out = n;
	return 0;
}
