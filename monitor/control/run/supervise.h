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

#include "disco/config.h"
#include "disco/diag.h"
#include "monitor/control/base/loop.h"
#include "monitor/control/workers/outcome.h"
#include "monitor/control/workers/spawn.h"

#define STOP_GRACE_NS 2000000000ull  /* from "stop" to SIGKILL */
#define END_GRACE_NS  10000000000ull /* from a worker's last word to SIGKILL */
#define LOG_MAX_LINES                                                          \
	1000u		  /* a guest may make its worker complain for ever     \
			   */
#define LOG_LINE_MAX 512u /* bytes of a worker's own message */

/* What is known of a VM that has ended; 0 where nothing was said. */
struct vm_figures {
	enum exit_status status;
	uint64_t mark_ns; /* from spawn to the mark on the console */
	uint64_t wall_ns; /* from spawn to the worker's end */
	uint64_t cpu_ns_before_first_run;
	uint64_t cpu_ns;
	uint64_t ram_pages;
	uint64_t ram_pages_local;
	uint64_t private_bytes;
	uint64_t exits;
	uint64_t text_pages;
	uint64_t text_pages_local;
};

struct watcher;

struct vm_watch {
	const char *name; /* owned by the configuration */
	nodeid_t node;
	struct worker worker; /* running when supervise() gets it */
	struct vm_figures figures;

	/* Private to vm_watch.c, but paused and end. */
	struct watcher *watcher;
	struct loop_watch pidfd_watch, control_watch, log_watch;
	struct vm_end end;
	uint64_t kill_at_ns; /* CLOCK_MONOTONIC; 0: no */
	bool started;
	bool paused;	/* as its worker said last */
	bool kill_sent; /* because kill_at_ns came */
	char text[256]; /* last words */
	unsigned log_lines;
	size_t log_len;
	char log[LOG_LINE_MAX];
};

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
