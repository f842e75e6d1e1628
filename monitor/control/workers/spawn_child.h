/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The child's half of starting a worker or an agent, between fork() and exec:
 * only async-signal-safe calls, no allocation. Private to spawn.c and agents.c.
 */
#ifndef DISCO_MONITOR_SPAWN_CHILD_H
#define DISCO_MONITOR_SPAWN_CHILD_H

#include "disco/limits.h"
#include "disco/worker_spec.h"

#define SPAWN_MAX_FDS                                                          \
	(WORKER_FD_DISK0 + WORKER_MAX_DISK_FDS + WORKER_MAX_NET_FDS)
/* Above every number in use by a worker: what moves there is not in the way. */
#define SPAWN_HIGH_FD 128

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
	const char *program; /* argv[0] */
	const char *name;    /* argv[1]; NULL: none */
	const uint16_t *cpus;
	unsigned nr_cpus;
	nodeid_t node;
	bool strict;
	int code;
	int error; /* closed by exec; -1: none */
	int log;   /* -1: /dev/null */
	/* Indexed by number in the child, from 3 on; -1: /dev/null. */
	int fds[SPAWN_MAX_FDS];
	unsigned nr_fds;
	char *envp[64];
};

/**
 * spawn_child_run() - become the program
 *
 * Context: the only thread of a forked child.
 * Return:  never: it executes the program, or writes a struct spawn_error and
 *          exits with 127.
 */
_Noreturn void spawn_child_run(const struct spawn_child *c);

/* What a step does, for a message "worker: TEXT: errno". */
const char *spawn_step_text(int step);

#endif
