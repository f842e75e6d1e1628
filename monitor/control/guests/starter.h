/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting VMs for the monitor, in a child process: it opens what a client
 * named, unpacks kernels, starts the workers and hands them over, so that
 * neither a slow disk nor a file that never opens stops the monitor. All VMs
 * of a request are started, or none.
 *
 * The child's workers end with it until the monitor has taken them (they
 * were not told WORKER_REQ_KEEP), and become the monitor's children when it
 * exits (PR_SET_CHILD_SUBREAPER).
 */
#ifndef DISCO_MONITOR_STARTER_H
#define DISCO_MONITOR_STARTER_H

#include <sys/types.h>

#include "disco/config.h"
#include "disco/diag.h"

struct monitor;

#define STARTER_LIMIT_NS 60000000000ull /* then it is killed */
#define STARTERS_MAX	 4u		/* at a time */

/**
 * starter_start() - begin to start VMs
 * @cfg:  checked; taken over on success
 * @done: called once, in the loop: @d->status is ST_OK or says why not;
 *        the guests are in the registry then
 * @arg:  see starter_forget()
 * @d:    why not, on error
 *
 * Return: 0; -EEXIST a name is in use (ST_CONFIG); -EAGAIN too many starts or
 * guests (ST_HOST); -ENOMEM; -errno of fork() and socketpair().
 */
MUST_CHECK int starter_start(struct monitor *m, struct run_config *cfg,
			     void (*done)(void *arg, const struct diag *d),
			     void *arg, struct diag *d);

/* Whoever @arg is will not be there: @done is not called. */
void starter_forget(struct monitor *m, void *arg);

/* A process is a start's own, or a VM that it has not handed over yet. */
bool starter_knows(const struct monitor *m, pid_t pid);

/* Kills them, and what they started. */
void starter_destroy_all(struct monitor *m);

#endif
