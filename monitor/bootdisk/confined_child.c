/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootdisk/confined_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/clock.h"

/* An error comes in front of the reply: of confined_enter(). */
_Noreturn static void confined_child(const struct confined_job *job, int out,
				     void *reply, size_t bytes)
{
	int fds[1 + CONFINED_CHILD_FDS] = { out };
	int err;

	for (unsigned i = 0; i < job->nr_fds; i++)
		fds[1 + i] = job->fds[i];
	err = confined_enter(fds, 1 + job->nr_fds, &job->limits);
	if (!err)
		job->work(job->arg, reply);
	if (confined_write(0, &err, sizeof(err)) == 0 && !err)
		err = confined_write(0, reply, bytes);
	_exit(err ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* Return: bytes read; fewer: the child has ended, or is late. */
static size_t confined_receive(int fd, void *to, size_t bytes, uint64_t end)
{
	size_t have = 0;

	while (have < bytes) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_now_ns();
		ssize_t n;

		if (now >= end)
			break;
		if (poll(&p, 1, (int)((end - now) / 1000000 + 1)) <= 0)
			continue;
		n = read(fd, (char *)to + have, bytes - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	return have;
}

static int confined_died(const struct confined_job *job, int status,
			 struct diag *d)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (sig == SIGXCPU || sig == SIGKILL)
		return diag_fail(d, ST_BOOT, ETIME,
				 "reading %s takes too long; give --kernel",
				 job->what);
	return diag_fail(d, ST_BOOT, EIO,
			 "the reader of %s was ended by: %s; give --kernel",
			 job->what, sig ? strsignal(sig) : "itself");
}

static int confined_wait(const struct confined_job *job, pid_t pid, int fd,
			 void *reply, size_t bytes, struct diag *d)
{
	uint64_t end = clock_now_ns() + job->limit_ns;
	int err = 0, status = 0;
	bool whole = confined_receive(fd, &err, sizeof(err), end) ==
			     sizeof(err) &&
		     (err || confined_receive(fd, reply, bytes, end) == bytes);

	/* Whatever it still does, it is of no use. */
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!whole)
		return confined_died(job, status, d);
	if (!err)
		return 0;
	return diag_fail(d, ST_HOST, EPERM,
			 "the reader of %s cannot be confined: %s", job->what,
			 err < 0 ? strerror(-err) : "it says");
}

int confined_child_run(const struct confined_job *job, void *reply,
		       size_t bytes, struct diag *d)
{
	int ends[2], err = 0;
	pid_t pid = -1;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return diag_fail(d, ST_HOST, errno,
				 "cannot start the reader of %s: %s", job->what,
				 strerror(errno));
	pid = fork();
	if (pid == 0)
		confined_child(job, ends[1], reply, bytes);
	if (pid < 0)
		err = diag_fail(d, ST_HOST, errno,
				"cannot start the reader of %s: %s", job->what,
				strerror(errno));
	(void)close(ends[1]);
	if (!err)
		err = confined_wait(job, pid, ends[0], reply, bytes, d);
	(void)close(ends[0]);
	return err;
}
