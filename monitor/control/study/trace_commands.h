/* SPDX-License-Identifier: BSD-2-Clause */
/* The subcommands of `disco trace`, whose table is in trace.c. */
#ifndef DISCO_MONITOR_TRACE_COMMANDS_H
#define DISCO_MONITOR_TRACE_COMMANDS_H

#include "memory/trace/trace_read.h"
#include "monitor/control/base/new_file.h"
#include "monitor/control/config/command.h"

enum { TRACE_INFO_JSON, TRACE_INFO_DECISIONS, TRACE_INFO_CHECK };
enum { TRACE_EXPORT_JSON };
enum {
	TRACE_IMPORT_FROM,
	TRACE_IMPORT_OUT,
	TRACE_IMPORT_NODES,
	TRACE_IMPORT_CPUS,
	TRACE_IMPORT_TOPOLOGY,
	TRACE_IMPORT_STEP,
	TRACE_IMPORT_CACHE,
};
enum { TRACE_MAKE_OUT };
enum { TRACE_RECORD_OUT, TRACE_RECORD_SECONDS };

int trace_run_info(const struct command_args *a, struct diag *d);
int trace_run_export(const struct command_args *a, struct diag *d);
int trace_run_import(const struct command_args *a, struct diag *d);
int trace_run_make(const struct command_args *a, struct diag *d);
int trace_run_record(const struct command_args *a, struct diag *d);

/* @option has to be given. Return: 0; -EINVAL (ST_USAGE). */
MUST_CHECK int trace_needs(const struct command_args *a, unsigned option,
			   const char *name, struct diag *d);

/* new_file_create(), and _publish() with the usual permissions; with @d. */
MUST_CHECK int trace_new_file(struct new_file *f, const char *path,
			      struct diag *d);
MUST_CHECK int trace_publish(struct new_file *f, const char *path,
			     struct diag *d);

/* Open a file. @out: released with trace_close(). Return: 0; -errno. */
MUST_CHECK int trace_open_path(const char *path, struct trace_reader **out,
			       struct diag *d);

#endif
