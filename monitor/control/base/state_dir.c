/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/base/state_dir.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "monitor/ipc/fds.h"

#define BACKLOG 64

static const char *state_dir_env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

static int make_path(char **out)
{
	const char *own = state_dir_env("DISCO_STATE_DIR");
	const char *run = state_dir_env("XDG_RUNTIME_DIR");
	int n;

	if (own)
		n = asprintf(out, "%s", own);
	else if (geteuid() == 0)
		n = asprintf(out, "/run/disco");
	else if (run && *run == '/')
		n = asprintf(out, "%s/disco", run);
	else
		return -ENOENT;
	return n < 0 ? -ENOMEM : 0;
}

/* Return: a descriptor of a directory that is ours alone; -errno. */
static int open_own(int at, const char *path, bool create)
{
	struct stat st;
	int fd;

	if (create && mkdirat(at, path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	    (st.st_mode & 077) == 0)
		return fd;
	(void)close(fd);
	return -EPERM;
}

static int open_failed(const struct state_dir *s, int err, bool create,
		       struct diag *d)
{
	if (err == -ENOENT && !create)
		return diag_fail(d, ST_NO_MONITOR, ENOENT,
				 "no monitor is running (%.300s is not there); "
				 "'disco run -d' or 'disco monitor' starts one",
				 s->path);
	if (err == -EPERM)
		return diag_fail(
			d, ST_HOST, EPERM,
			"state directory %.300s: is not ours, or others"
			" may enter it; it has to have mode 0700",
			s->path);
	return diag_fail(d, ST_HOST, -err,
			 "state directory %.300s: %s; set DISCO_STATE_DIR to "
			 "one that can be made",
			 s->path, strerror(-err));
}

int state_dir_open(struct state_dir *s, bool create, struct diag *d)
{
	int err;

	*s = STATE_DIR_NONE;
	err = make_path(&s->path);
	if (err) {
		s->path = NULL;
		return diag_fail(d, ST_HOST, -err,
				 "no state directory: set DISCO_STATE_DIR or "
				 "XDG_RUNTIME_DIR");
	}
	s->fd = open_own(AT_FDCWD, s->path, create);
	if (s->fd < 0)
		return open_failed(s, s->fd, create, d);
	s->vms = open_own(s->fd, "vms", create);
	if (s->vms < 0)
		return open_failed(s, s->vms, create, d);
	return 0;
}

void state_dir_close(struct state_dir *s)
{
	if (!s)
		return;
	fds_drop(&s->fd);
	fds_drop(&s->vms);
	/* A child that has not executed its program yet has the lock, too. */
	if (s->lock >= 0)
		(void)flock(s->lock, LOCK_UN);
	fds_drop(&s->lock);
	free(s->path);
	s->path = NULL;
}

int state_dir_lock(struct state_dir *s, struct diag *d)
{
	int err = 0,
	    fd = openat(s->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		err = errno;
	if (!err) {
		s->lock = fd;
		return 0;
	}
	if (fd >= 0)
		(void)close(fd);
	if (err == EWOULDBLOCK)
		return diag_fail(d, ST_HOST, err,
				 "a monitor of %.300s runs already", s->path);
	return diag_fail(d, ST_HOST, err, "%.300s/lock: %s", s->path,
			 strerror(err));
}

/* --- sockets --- */

static int state_dir_address(struct sockaddr_un *a, int dir, const char *name,
			     const char *suffix)
{
	int n;

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/%s%s",
		     dir, name, suffix);
	return n < 0 || n >= (int)sizeof(a->sun_path) ? -ENAMETOOLONG : 0;
}

static int listen_at(int dir, const char *name, const char *suffix, int type)
{
	struct sockaddr_un a;
	int fd, err = state_dir_address(&a, dir, name, suffix);
	mode_t mask;

	if (err)
		return err;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	(void)unlink(a.sun_path);
	mask = umask(0177);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		err = -errno;
	(void)umask(mask);
	if (!err)
		return fd;
	(void)close(fd);
	return err;
}

static int connect_to(int dir, const char *name, const char *suffix, int type)
{
	struct sockaddr_un a;
	int fd, err = state_dir_address(&a, dir, name, suffix);

	if (err)
		return err;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	err = -errno;
	(void)close(fd);
	return err;
}

int state_api_listen(const struct state_dir *s)
{
	return listen_at(s->fd, "api", ".sock", SOCK_STREAM);
}

int state_api_connect(const struct state_dir *s)
{
	return connect_to(s->fd, "api", ".sock", SOCK_STREAM);
}

int state_vm_listen(const struct state_dir *s, const char *name)
{
	return listen_at(s->vms, name, ".sock", SOCK_SEQPACKET);
}

int state_vm_connect(const struct state_dir *s, const char *name)
{
	return connect_to(s->vms, name, ".sock",
			  SOCK_SEQPACKET | SOCK_NONBLOCK);
}

bool vm_name_valid(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-"
				"ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return n && n <= VM_NAME_MAX && !name[n] &&
	       isalnum((unsigned char)name[0]);
}
