/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches running workers until the last one has ended: their consoles, events
 * and deaths, and the operator's signals and keys.
 *
 * A guest may have taken over its worker. So the worker's events are checked,
 * its output is bounded, and it is killed if it does not end in time.
 */
#ifndef DISCO_MONITOR_SUPERVISE_H
#define DISCO_MONITOR_SUPERVISE_H

#include "disco/diag.h"
#include "monitor/control/nets/nets.h"
#include "monitor/control/workers/vm_watch.h"

/* Options; all may be 0. */
struct supervise_options {
	const char *mark; /* record when it appears on a console; NULL: none */
	bool no_input;	  /* do not read standard input */
	bool end_line;	  /* more text follows on standard output */
	/* Ports of the VMs' networks, in the order of the VMs; NULL: none. */
	struct nets *nets;
	struct net_ports *ports;
	/*
	 * Out: standard output failed, which was said at once on standard
	 * error, and the guests' output was discarded from then on. A reader
	 * that left (EPIPE) has had what it wanted. NULL: not wanted.
	 */
	bool *lost;
};

/**
 * supervise() - run until every worker has ended
 * @vms:  @nr VMs with running workers. On return, success or not, no worker
 *        runs; the caller releases them with worker_destroy()
 * @opts: not NULL
 * @d:    out on error: the reason (ST_HOST)
 *
 * Uses standard input (one VM only), output and error. SIGINT, SIGTERM, SIGHUP
 * and SIGQUIT are requests to stop, see stop_requests.h: the first one asks the
 * guests to shut down (shutdown.h), the next one ends them, a third one kills
 * their workers.
 * These signals stay blocked when the guests have ended: one that was late does
 * not change the exit status, nor does it take the report. SIGPIPE is ignored
 * from here on.
 *
 * Context: main thread, no others. Blocks for as long as the guests run.
 * Return:  0, with each VM's figures filled; -errno of the loop.
 */
MUST_CHECK int supervise(struct vm_watch *vms, unsigned nr,
			 const struct supervise_options *opts, struct diag *d);

#endif
