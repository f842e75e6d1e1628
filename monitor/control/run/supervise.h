/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watching running workers until the last one has ended: their consoles,
 * their events, their deaths, and the operator's signals and keys.
 *
 * A worker may have been taken over by its guest. Its events are checked, its
 * output is bounded, and it is killed when it does not end in time.
 */
#ifndef DISCO_MONITOR_SUPERVISE_H
#define DISCO_MONITOR_SUPERVISE_H

#include "disco/diag.h"
#include "monitor/control/workers/vm_watch.h"

/* What to do besides; all of it may be 0. */
struct supervise_options {
	const char *mark; /* text to time on each console; NULL: none */
	bool no_input;	  /* leave standard input alone */
	bool end_line;	  /* more is going to be printed on standard output */
};

/**
 * supervise() - run until every worker has ended
 * @vms:  @nr VMs with running workers; on return, in either case, no worker
 *        runs any more; still to be released with worker_destroy()
 * @opts: not NULL
 * @d:    why not, on error (ST_HOST)
 *
 * Uses standard input (one VM only), output and error. SIGINT, SIGTERM,
 * SIGHUP and SIGQUIT ask the guests to stop, a second one kills; SIGPIPE is
 * ignored from here on.
 *
 * Context: main thread, no others. Blocks for as long as the guests run.
 * Return:  0, with each VM's figures filled; -errno of the loop.
 */
MUST_CHECK int supervise(struct vm_watch *vms, unsigned nr,
			 const struct supervise_options *opts, struct diag *d);

#endif
