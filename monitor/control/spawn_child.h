/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The child's half of spawn.c, between fork() and exec: only async-signal-safe
 * calls, no allocation. Private to spawn.c.
 */
#ifndef DISCO_MONITOR_SPAWN_CHILD_H
#define DISCO_MONITOR_SPAWN_CHILD_H

#include "disco/config.h"
#include "disco/worker_spec.h"

#define SPAWN_MAX_FDS (WORKER_FD_DISK0 + WORKER_MAX_DISK_FDS)

enum spawn_step {
	SPAWN_SIGNALS = 1,
	SPAWN_FDS,
	SPAWN_CPUS,
	SPAWN_BIND, /* strict binding refused */
	SPAWN_PRIVILEGES,
	SPAWN_EXEC,
};

/* Written to the error pipe; nothing is written when exec succeeds. */
struct spawn_error {
	int step; /* enum spawn_step */
	int err;  /* positive errno */
};

struct spawn_child {
	const struct worker_spec *spec;
	int code;
	int error; /* closed by exec */
	int log;
	int fds[SPAWN_MAX_FDS]; /* by number in the worker, from 3 on; -1:
				 * /dev/null */
	unsigned nr_fds;
	char *envp[64];
};

/**
 * spawn_child_run() - become the worker
 *
 * Context: the only thread of a forked child.
 * Return:  never: executes the worker, or writes why not and exits with 127.
 */
_Noreturn void spawn_child_run(const struct spawn_child *c);

/* What a step was about, for "worker: TEXT: errno". */
const char *spawn_step_text(int step);

#endif
