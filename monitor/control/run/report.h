/* SPDX-License-Identifier: BSD-2-Clause */
/* The results of a run: a table for people, JSON for programs. */
#ifndef DISCO_MONITOR_REPORT_H
#define DISCO_MONITOR_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "disco/diag.h"
#include "monitor/control/workers/vm_watch.h"

#define REPORT_FORMAT 1 /* "version": increases if a field changes meaning */

/*
 * Format a share as "99.7 %", rounded down; "100 %" only if @part is @whole;
 * "-" if @whole is 0.
 */
void report_share(uint64_t part, uint64_t whole, char *out, size_t size);

/**
 * report_summary() - print a table with one line per VM
 * @out: stays open; the caller checks for errors with ferror()
 */
void report_summary(const struct vm_watch *vms, unsigned nr, FILE *out);

/*
 * Pages of a VM's memory by node: [{"node", "pages"}, ...]. Return: a new
 * reference; NULL: no memory.
 */
json_t *report_node_pages(const struct vm_figures *f);

/* Name of a count of vm_figures.sent. */
const char *report_sent_name(enum worker_sent kind);

/*
 * {"count", "vectors", "nmis", "inits", "startups", "idle_wakeups", "copies"} of a
 * VM with views; else null. "copies": {"limit", "pages", "collapsed",
 * "device_waits", "views": [{"now", "made", "dropped", "waits"}]}; null: it has
 * none. Return: a new reference.
 */
json_t *report_views(const struct vm_figures *f);

/**
 * report_write() - write all figures as JSON
 * @path: replaced as a whole if it is a regular file, else written to; see
 *        replace_file_write()
 * @d:    out on error: the reason (ST_HOST), with the path
 *
 * {"version", "disco", "host_kernel", "vms": [{"name", "node", "status",
 * "status_word", "status_text", "mark_ms", "wall_ms", "ram_pages",
 * "ram_pages_local", "ram_on": [{"node", "pages"}], "ram_age_ms", "ram_exact",
 * "private_bytes", "exits", "cpu_ns_before_first_run", "cpu_ns", "views"}]}.
 * mark_ms is null when the mark was not seen. ram_age_ms is how old the figures
 * of memory were at the VM's end; null: there are none. views: report_views().
 *
 * Context: blocks on the file. Return: 0; errors of replace_file_write().
 */
MUST_CHECK int report_write(const struct vm_watch *vms, unsigned nr,
			    const char *path, struct diag *d);

#endif
