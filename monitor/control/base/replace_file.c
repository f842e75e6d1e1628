/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/base/replace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "monitor/control/base/new_file.h"
#include "monitor/ipc/fds.h"

#define LINKS_MAX 40u /* as many as Linux follows */

static int close_after(int fd, int err)
{
	return close(fd) < 0 && !err ? -errno : err;
}

/* --- what is no regular file --- */

/*
 * O_NONBLOCK: a FIFO that nobody reads must not make us wait for ever. Once it
 * is read, the reader may take its time.
 */
static int write_through(const char *path, const char *text, size_t bytes)
{
	int err, fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY |
					 O_CLOEXEC);

	if (fd < 0)
		return -errno;
	err = fcntl(fd, F_SETFL, O_APPEND) < 0 ? -errno : 0;
	if (!err)
		err = fds_write(fd, text, bytes);
	return close_after(fd, err);
}

/* --- a regular file --- */

static int replace_regular(const char *path, const char *text, size_t bytes)
{
	char *temp;
	int err, fd = new_file_temp(path, &temp);

	if (fd < 0)
		return fd;
	err = fds_write(fd, text, bytes);
	if (!err)
		err = new_file_share(fd);
	err = close_after(fd, err);
	if (!err && rename(temp, path) < 0)
		err = -errno;
	if (err)
		(void)unlink(temp);
	free(temp);
	return err;
}

/* --- which of them --- */

/* The length of the directory's part of @path, with its last slash. */
static int replace_file_dir_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (int)(slash - path) + 1 : 0;
}

/*
 * Links of /proc lead to open files, not to names: what they read as may be
 * another file by now, or none.
 */
static bool is_magic(const char *link)
{
	struct statfs fs;
	char dir[PATH_MAX];
	int n = snprintf(dir, sizeof(dir), "%.*s.", replace_file_dir_len(link),
			 link);

	return n < (int)sizeof(dir) && statfs(dir, &fs) == 0 &&
	       fs.f_type == PROC_SUPER_MAGIC;
}

/* Replace *@path, which is a link, by what it leads to. */
static int follow_link(char **path)
{
	char to[PATH_MAX], *next;
	ssize_t n = readlink(*path, to, sizeof(to) - 1);

	if (n < 0)
		return -errno;
	to[n] = '\0';
	if (asprintf(&next, "%.*s%s",
		     *to == '/' ? 0 : replace_file_dir_len(*path), *path,
		     to) < 0)
		return -ENOMEM;
	free(*path);
	*path = next;
	return 0;
}

/*
 * Follow the links of *@path, the last of which may lead to nothing. @through:
 * out, what is there is no regular file.
 */
static int find_target(char **path, bool *through)
{
	struct stat st;

	for (unsigned i = 0; i < LINKS_MAX; i++) {
		int err;

		*through = false;
		if (lstat(*path, &st) < 0)
			return errno == ENOENT ? 0 : -errno;
		*through = !S_ISREG(st.st_mode);
		if (!S_ISLNK(st.st_mode) || is_magic(*path))
			return 0;
		err = follow_link(path);
		if (err)
			return err;
	}
	return -ELOOP;
}

int replace_file_write(const char *path, const char *text, size_t bytes)
{
	char *target = strdup(path);
	bool through = false;
	int err = target ? find_target(&target, &through) : -ENOMEM;

	if (!err)
		err = through ? write_through(target, text, bytes)
			      : replace_regular(target, text, bytes);
	free(target);
	return err;
}
