/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/sandbox/confined.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "monitor/sandbox/privileges.h"
#include "monitor/sandbox/sandbox.h"

/* Every source goes up first, so that none sits at another's place. */
static int confined_place_fds(int *fds, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		if (fds[i] < 0)
			continue;
		fds[i] = fcntl(fds[i], F_DUPFD, (int)(2 * CONFINED_FDS_MAX));
		if (fds[i] < 0)
			return -errno;
	}
	for (unsigned i = 0; i < nr; i++) {
		if (fds[i] < 0)
			(void)close((int)i);
		else if (dup2(fds[i], (int)i) < 0)
			return -errno;
	}
	return close_range(nr, ~0u, 0) < 0 ? -errno : 0;
}

/* Handlers of the parent's would do what is forbidden here. */
static void confined_reset_signals(void)
{
	const struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &sa, NULL); /* KILL, STOP: refused */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int confined_limit(int what, uint64_t most)
{
	const struct rlimit lim = { most, most };

	return setrlimit((__rlimit_resource_t)what, &lim) < 0 ? -errno : 0;
}

static int confined_set_limits(const struct confined_limits *l)
{
	int err = confined_limit(RLIMIT_CORE, 0);

	if (!err && l->cpu_s)
		err = confined_limit(RLIMIT_CPU, l->cpu_s);
	if (!err && l->file_bytes)
		err = confined_limit(RLIMIT_FSIZE, l->file_bytes);
#ifndef DISCO_SANITIZED /* whose shadow memory is larger */
	if (!err && l->memory_bytes)
		err = confined_limit(RLIMIT_DATA, l->memory_bytes);
#endif
	return err;
}

int confined_enter(int *fds, unsigned nr, const struct confined_limits *limits)
{
	int err;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	confined_reset_signals();
	err = confined_place_fds(fds, nr);
	if (!err)
		err = confined_set_limits(limits);
	if (!err)
		err = privileges_drop();
	if (!err)
		err = sandbox_drop();
	/* Not before: Landlock's rules are a descriptor. */
	if (!err)
		err = confined_limit(RLIMIT_NOFILE, nr);
	return err ? err : sandbox_enter(SANDBOX_READER);
}

int confined_write(int fd, const void *data, size_t bytes)
{
	const char *from = data;

	while (bytes) {
		ssize_t n = write(fd, from, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		from += n;
		bytes -= (size_t)n;
	}
	return 0;
}
