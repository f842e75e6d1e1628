/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of `disco run`, and the JSON file that it names. */
#ifndef DISCO_MONITOR_OPTIONS_H
#define DISCO_MONITOR_OPTIONS_H

#include "disco/config.h"
#include "disco/diag.h"
#include "monitor/control/config/command.h"

/* `disco run` without its function, which commands.c adds. */
#define OPTIONS_RUN                                                            \
	.name = "run", .brief = "start VMs and wait for their end",            \
	.help = "Start virtual machines and wait until they are off.",         \
	.more = "SIZE is in bytes or has a binary suffix, K, M, G or T. A "    \
		"comma in a value is\nwritten '\\,'. See disco(1) for the "    \
		"exit status.",                                                \
	.options = { vm_options, run_options }

/**
 * options_run() - make a configuration from a command line of `disco run`
 * @a:   of a command with OPTIONS_RUN; the file of --config is read
 * @cfg: filled on success; release with run_config_destroy()
 * @d:   out on error, one line: ST_USAGE for an error of the command line;
 *       ST_JSON or ST_CONFIG for an error of the file, and for options that
 *       exclude each other
 *
 * Options replace the file's values key by key; disks of the command line
 * replace all disks of the file. If the file has several VMs, options that set a
 * value of a VM are refused.
 *
 * Context: control process; blocks on the file.
 * Return:  0; -EINVAL; -E2BIG; -ENOMEM; -errno of open() or read().
 */
MUST_CHECK int options_run(const struct command_args *a, struct run_config *cfg,
			   struct diag *d);

#endif
