/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/workers/spawn_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "monitor/sandbox/privileges.h"
#include "numa/bind.h"

_Static_assert(SPAWN_MAX_FDS <= SPAWN_HIGH_FD,
	       "moved descriptors do not overlap");

const char *spawn_step_text(int step)
{
	switch ((enum spawn_step)step) {
	case SPAWN_SIGNALS:
		return "cannot reset signals";
	case SPAWN_FDS:
		return "cannot arrange its descriptors";
	case SPAWN_CPUS:
		return "cannot run on its node's CPUs";
	case SPAWN_BIND:
		return "cannot bind its memory";
	case SPAWN_PRIVILEGES:
		return "cannot drop its privileges";
	case SPAWN_EXEC:
		return "cannot execute it";
	}
	return "unknown step";
}

/* Ignored signals and the mask go through exec: reset both. */
static int reset_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &sa, NULL); /* KILL, STOP: refused */
	(void)sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

static int move_high(int *fd)
{
	int high = fcntl(*fd, F_DUPFD_CLOEXEC, SPAWN_HIGH_FD);

	if (high < 0)
		return -errno;
	*fd = high;
	return 0;
}

/*
 * Every source goes up first, then down to its place: a source that sits at
 * another's place cannot be overwritten before it is used. dup2() clears
 * close-on-exec; all that is left above gets it.
 */
static int place_fds(struct spawn_child *c)
{
	int err = move_high(&c->code);

	if (err)
		return err;
	c->fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (c->fds[0] < 0)
		return -errno;
	if (c->error >= 0) {
		err = move_high(&c->error);
		if (err)
			return err;
	}
	if (c->log < 0)
		c->log = c->fds[0];
	err = move_high(&c->log);
	if (err)
		return err;
	c->fds[1] = c->log;
	c->fds[2] = c->log;
	for (unsigned i = 0; i < c->nr_fds; i++) {
		if (c->fds[i] < 0)
			c->fds[i] = c->fds[0];
		err = move_high(&c->fds[i]);
		if (err)
			return err;
	}
	for (unsigned i = 0; i < c->nr_fds; i++)
		if (dup2(c->fds[i], (int)i) < 0)
			return -errno;
	if (close_range(c->nr_fds, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	return 0;
}

static bool child_runs_on(nodeid_t node)
{
	unsigned cpu, here;

	return syscall(SYS_getcpu, &cpu, &here, NULL) == 0 &&
	       (nodeid_t)here == node;
}

/*
 * Before exec, so that the new image's first page is local already. Who is
 * pinned to the node needs no policy for that, and has none that would stay
 * behind when it is pinned elsewhere; whether one would be refused is found
 * out in any case.
 */
static int join_node(const struct spawn_child *c, int *step)
{
	bool pinned;
	int err;

	*step = SPAWN_CPUS;
	err = node_run_on(c->cpus, c->nr_cpus);
	pinned = err == 0 && c->nr_cpus > 0;
	if (err < 0 && err != -EPERM)
		return err;
	*step = SPAWN_BIND;
	err = c->node == NODE_AUTO ? 0 : node_bind_thread(c->node, c->strict);
	if (err >= 0 && pinned && child_runs_on(c->node))
		err = node_bind_thread(NODE_AUTO, false);
	return c->strict ? err : 0;
}

/* Each alone: where one is forbidden the others may not be. */
static void leave_namespaces(void)
{
	(void)unshare(CLONE_NEWNS);
	(void)unshare(CLONE_NEWNET);
	(void)unshare(CLONE_NEWIPC);
}

/* What the worker subtracts to know its own: exec does not reset it. */
static void note_cpu_time(struct spawn_child *c)
{
	static char text[sizeof(WORKER_ENV_CPU_NS "=18446744073709551615")];
	struct timespec t;
	uint64_t ns;
	size_t n = 0, at = sizeof(text) - 1;

	while (n + 2 < ARRAY_SIZE(c->envp) && c->envp[n])
		n++;
	if (n + 2 > ARRAY_SIZE(c->envp) - 1 ||
	    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) < 0)
		return;
	ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	/* By hand: stdio is not async-signal-safe. */
	do
		text[--at] = (char)('0' + ns % 10);
	while (ns /= 10);
	at -= sizeof(WORKER_ENV_CPU_NS);
	memcpy(text + at, WORKER_ENV_CPU_NS "=", sizeof(WORKER_ENV_CPU_NS));
	c->envp[n] = text + at;
	c->envp[n + 1] = NULL;
}

static int child_become(struct spawn_child *c, int *step)
{
	char *argv[] = { (char *)(uintptr_t)c->program,
			 (char *)(uintptr_t)c->name, NULL };
	int err;

	(void)setpgid(0, 0);
	*step = SPAWN_SIGNALS;
	err = reset_signals();
	if (err < 0)
		return err;
	*step = SPAWN_FDS;
	err = place_fds(c);
	if (err < 0)
		return err;
	leave_namespaces();
	err = join_node(c, step);
	if (err < 0)
		return err;
	*step = SPAWN_PRIVILEGES;
	err = privileges_drop();
	if (err < 0)
		return err;
	*step = SPAWN_EXEC;
	note_cpu_time(c);
	(void)fexecve(c->code, argv, c->envp);
	return -errno;
}

_Noreturn void spawn_child_run(const struct spawn_child *c)
{
	struct spawn_child mine = *c;
	struct spawn_error e = { .step = 0 };

	e.err = -child_become(&mine, &e.step);
	while (write(mine.error, &e, sizeof(e)) < 0 && errno == EINTR)
		;
	_exit(127);
}
