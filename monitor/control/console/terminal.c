/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/console/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* What ends us, unless somebody else has seen to it. */
static const int fatal[] = { SIGSEGV, SIGABRT, SIGBUS,	SIGFPE,	 SIGILL,
			     SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE, SIGTERM };

/* Read by signal handlers: raw_fd is set last and cleared first. */
static struct termios saved;
static atomic_int raw_fd = -1;
static bool hooked;

bool terminal_is_ours(int fd)
{
	return isatty(fd) && tcgetpgrp(fd) == getpgrp();
}

void terminal_restore(void)
{
	int fd = atomic_exchange(&raw_fd, -1);
	int keep = errno;
	sigset_t ttou, old;

	if (fd < 0)
		return;
	/* In the background, tcsetattr() would stop us with the job undone. */
	(void)sigemptyset(&ttou);
	(void)sigaddset(&ttou, SIGTTOU);
	(void)pthread_sigmask(SIG_BLOCK, &ttou, &old);
	(void)tcsetattr(fd, TCSANOW, &saved);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = keep;
}

static void on_fatal(int sig)
{
	terminal_restore();
	/* SA_RESETHAND: the default action now. */
	(void)raise(sig);
}

static int terminal_hook(void)
{
	struct sigaction sa = { .sa_handler = on_fatal,
				.sa_flags = SA_RESETHAND | SA_NODEFER };
	struct sigaction was;

	if (hooked)
		return 0;
	if (atexit(terminal_restore) != 0)
		return -ENOMEM;
	for (unsigned i = 0; i < ARRAY_SIZE(fatal); i++)
		if (sigaction(fatal[i], NULL, &was) == 0 &&
		    was.sa_handler == SIG_DFL)
			(void)sigaction(fatal[i], &sa, NULL);
	hooked = true;
	return 0;
}

int terminal_raw(int fd)
{
	struct termios t;
	int err = terminal_hook();

	if (err < 0)
		return err;
	if (tcgetattr(fd, &t) < 0)
		return -errno;
	if (atomic_load(&raw_fd) < 0)
		saved = t;
	cfmakeraw(&t);
	t.c_oflag |= OPOST | ONLCR;
	atomic_store(&raw_fd, fd);
	if (tcsetattr(fd, TCSADRAIN, &t) < 0) {
		err = -errno;
		terminal_restore();
		return err;
	}
	return 0;
}
