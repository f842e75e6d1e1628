/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts VMs for the monitor in a child process, which opens the files that a
 * client named, unpacks kernels, starts the workers and hands them over. So
 * neither a slow disk nor a file that never opens blocks the monitor. Either all
 * VMs of a request are started, or none.
 *
 * Until the monitor has taken the workers, they have not received
 * WORKER_REQ_KEEP and end with the child. When the child exits, they become
 * children of the monitor (PR_SET_CHILD_SUBREAPER).
 *
 * Context of all functions: the monitor's thread.
 */
#ifndef DISCO_MONITOR_STARTER_H
#define DISCO_MONITOR_STARTER_H

#include <sys/types.h>

#include "disco/config.h"
#include "disco/diag.h"

struct monitor;

#define STARTER_LIMIT_NS   60000000000ull  /* a child is killed after that */
#define STARTER_VM_NS	   30000000000ull  /* and more, per further VM */
#define STARTER_RESERVE_NS 10000000ull	   /* and more, a MiB to reserve */
#define STARTER_DISK_NS	   300000000000ull /* and more, to boot from a disk */
#define STARTERS_MAX	   4u		   /* at the same time; others wait */
#define STARTERS_WAITING   256u		   /* for their turn */

/**
 * starter_start() - start VMs, now or when it is their turn
 * @cfg:  checked; taken over on success
 * @done: called once, in the loop. If its @d->status is ST_OK, the guests are
 *        in the registry; else it has the reason
 * @arg:  passed to @done; see starter_forget()
 * @d:    out on error: the reason
 *
 * STARTERS_MAX children run at the same time, and one of those that reserve
 * memory; later starts wait in the order in which they came, however long that
 * takes, and have their names from now on.
 *
 * Return: 0; -EEXIST a name is in use (ST_CONFIG); -EAGAIN too many starts wait,
 * or too many guests (ST_HOST); -ENOMEM; -errno of fork() and socketpair().
 */
MUST_CHECK int starter_start(struct monitor *m, struct run_config *cfg,
			     void (*done)(void *arg, const struct diag *d),
			     void *arg, struct diag *d);

/* The owner of @arg goes away: @done is not called. The start goes on. */
void starter_forget(struct monitor *m, void *arg);

/* Return: true for a start's child, or a worker not handed over yet. */
bool starter_knows(const struct monitor *m, pid_t pid);

/* Kill all children, and the workers that they have not handed over. */
void starter_destroy_all(struct monitor *m);

#endif
