/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/base/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/control/base/unnamed_file.h"

static const int ends[] = { SIGINT, SIGTERM, SIGHUP };

/* The name to remove when a signal ends the process; NULL: none. */
static char *volatile half_made;

static void new_file_on_signal(int sig)
{
	char *temp = half_made;

	if (temp)
		(void)unlink(temp);
	/* SA_RESETHAND: now it ends the process. */
	(void)raise(sig);
}

void new_file_guard(char *temp)
{
	struct sigaction on = { .sa_handler = new_file_on_signal,
				.sa_flags = (int)SA_RESETHAND };

	half_made = temp;
	if (!temp)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct sigaction old;

		/* nohup(1) ignores SIGHUP: so do we. */
		if (sigaction(ends[i], NULL, &old) == 0 &&
		    old.sa_handler == SIG_DFL)
			(void)sigaction(ends[i], &on, NULL);
	}
}

int new_file_temp(const char *path, char **temp)
{
	int fd;

	if (asprintf(temp, "%s.XXXXXX", path) < 0) {
		*temp = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(*temp, O_CLOEXEC);
	if (fd < 0) {
		fd = -errno;
		free(*temp);
		*temp = NULL;
	}
	return fd;
}

int new_file_share(int fd)
{
	mode_t mask = umask(0);

	(void)umask(mask);
	return fchmod(fd, 0666 & ~mask) < 0 ? -errno : 0;
}

static int open_named(struct new_file *f)
{
	f->fd = new_file_temp(f->path, &f->temp);
	if (f->fd < 0)
		return f->fd;
	new_file_guard(f->temp);
	return new_file_share(f->fd);
}

/* The directory of @path, for open(). Return: malloc'ed; NULL. */
static char *new_file_dir(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int new_file_create(struct new_file *f, const char *path)
{
	struct stat st;
	char *dir;

	*f = NEW_FILE_NONE;
	if (lstat(path, &st) == 0)
		return -EEXIST;
	f->path = strdup(path);
	dir = new_file_dir(path);
	if (!f->path || !dir) {
		free(dir);
		return -ENOMEM;
	}
	f->fd = unnamed_file_open(dir, 0, 0666);
	free(dir);
	if (f->fd >= 0)
		return 0;
	return f->fd == -EOPNOTSUPP ? open_named(f) : f->fd;
}

static int give_name(const struct new_file *f)
{
	char fd[32];

	(void)snprintf(fd, sizeof(fd), "/proc/self/fd/%d", f->fd);
	return linkat(AT_FDCWD, fd, AT_FDCWD, f->path, AT_SYMLINK_FOLLOW) < 0
		       ? -errno
		       : 0;
}

/* Some file systems that have no unnamed files have no hard links either. */
static int change_name(const struct new_file *f)
{
	struct stat st;

	if (renameat2(AT_FDCWD, f->temp, AT_FDCWD, f->path, RENAME_NOREPLACE) ==
	    0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (lstat(f->path, &st) == 0)
		return -EEXIST;
	return rename(f->temp, f->path) < 0 ? -errno : 0;
}

int new_file_publish(struct new_file *f)
{
	int err = f->temp ? change_name(f) : give_name(f);

	if (!err && f->temp) {
		half_made = NULL;
		free(f->temp);
		f->temp = NULL;
	}
	return err;
}

void new_file_close(struct new_file *f)
{
	if (f->fd >= 0)
		(void)close(f->fd);
	if (f->temp) {
		(void)unlink(f->temp);
		half_made = NULL;
	}
	free(f->temp);
	free(f->path);
	*f = NEW_FILE_NONE;
}
