/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of `disco run`, and the JSON file it names. */
#ifndef DISCO_MONITOR_OPTIONS_H
#define DISCO_MONITOR_OPTIONS_H

#include "disco/config.h"
#include "disco/diag.h"
#include "monitor/control/config/command.h"

/* `disco run`, but for what it does: main's table of commands adds that. */
#define OPTIONS_RUN                                                            \
	.name = "run", .brief = "start VMs and wait for their end",            \
	.help = "Start virtual machines and wait until they are off.",         \
	.more = "SIZE is in bytes or has a binary suffix, K, M, G or T. A "    \
		"comma in a value is\nwritten '\\,'. See disco(1) for the "    \
		"exit status.",                                                \
	.options = { vm_options, run_options }

/**
 * options_run() - make a configuration of a command line of `disco run`
 * @a:   of a command with OPTIONS_RUN; the file of --config is read
 * @cfg: filled on success; release with run_config_destroy()
 * @d:   why not, one line: ST_USAGE for what is wrong with the command
 *       line, ST_JSON and ST_CONFIG for the file and for what cannot be
 *       used together
 *
 * The command line goes over the file's values key by key; disks of the
 * command line replace all of the file's. With several VMs in the file only
 * --dry-run, --summary, --report and --mark may stand next to --config.
 *
 * Context: control process; blocks on the file.
 * Return:  0; -EINVAL; -E2BIG; -ENOMEM; errno of opening the file.
 */
MUST_CHECK int options_run(const struct command_args *a, struct run_config *cfg,
			   struct diag *d);

#endif
