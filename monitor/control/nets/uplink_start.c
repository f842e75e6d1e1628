/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/nets/uplink_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/sandbox/privileges.h"

#define PROGRAM "disco-uplink"

/* $DISCO_UPLINK, or beside this program. */
static int uplink_find(char *out, size_t size)
{
	const char *given = getenv("DISCO_UPLINK");
	ssize_t n;
	char *slash;

	if (given && strlen(given) < size) {
		memcpy(out, given, strlen(given) + 1);
		return 0;
	}
	n = readlink("/proc/self/exe", out, size - 1);
	if (n < 0)
		return -errno;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash || (size_t)(slash + 1 - out) + sizeof(PROGRAM) > size)
		return -ENAMETOOLONG;
	memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
	return access(out, X_OK) < 0 ? -errno : 0;
}

static int uplink_spec_fd(const struct worker_net *net, bool trunk)
{
	const struct uplink_spec spec = { .magic = UPLINK_MAGIC,
					  .size = sizeof(spec),
					  .trunk = trunk,
					  .net = *net };
	int fd = memfd_create("disco-uplink-spec", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, &spec, sizeof(spec)) != (ssize_t)sizeof(spec)) {
		(void)close(fd);
		return -EIO;
	}
	return fd;
}

/*
 * From its number in @fds on; above all places first, as they may overlap. The
 * last one may be -1.
 */
static void uplink_place(int fds[UPLINK_NR_FDS])
{
	int nr = UPLINK_NR_FDS - (fds[UPLINK_NR_FDS - 1] < 0);

	for (int i = 0; i < nr; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD,
			       UPLINK_FD_CONTROL + UPLINK_NR_FDS);
		if (fds[i] < 0)
			_exit(EXIT_FAILURE);
	}
	for (int i = 0; i < nr; i++)
		if (dup2(fds[i], UPLINK_FD_CONTROL + i) < 0)
			_exit(EXIT_FAILURE);
	(void)close_range(UPLINK_FD_CONTROL + (unsigned)nr, ~0u, 0);
}

_Noreturn static void uplink_child(const char *path, int fds[UPLINK_NR_FDS])
{
	char *const argv[] = { (char *)(uintptr_t)PROGRAM, NULL };
	char *const env[] = { NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* Signals of a terminal are for control, which ends it. */
	(void)setpgid(0, 0);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0)
		_exit(EXIT_FAILURE);
	uplink_place(fds);
	if (privileges_drop() < 0)
		_exit(EXIT_FAILURE);
	(void)execve(path, argv, env);
	_exit(EXIT_FAILURE);
}

int uplink_start(const struct worker_net *net, int region, int wake, int tap,
		 int *control, pid_t *pid)
{
	int pair[2], fds[UPLINK_NR_FDS], spec, err;
	char path[4096];

	err = uplink_find(path, sizeof(path));
	if (err)
		return err;
	spec = uplink_spec_fd(net, tap >= 0);
	if (spec < 0)
		return spec;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		err = -errno;
		(void)close(spec);
		return err;
	}
	fds[UPLINK_FD_CONTROL - 3] = pair[1];
	fds[UPLINK_FD_REGION - 3] = region;
	fds[UPLINK_FD_WAKE - 3] = wake;
	fds[UPLINK_FD_SPEC - 3] = spec;
	fds[UPLINK_FD_TAP - 3] = tap;
	*pid = fork();
	if (*pid == 0)
		uplink_child(path, fds);
	err = *pid < 0 ? -errno : 0;
	(void)close(spec);
	(void)close(pair[1]);
	if (err)
		(void)close(pair[0]);
	else
		*control = pair[0];
	return err;
}
