/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of `disco run`, and the JSON file it names. */
#ifndef DISCO_MONITOR_OPTIONS_H
#define DISCO_MONITOR_OPTIONS_H

#include "disco/config.h"
#include "disco/diag.h"

/**
 * options_parse_run() - read the command line, and the file of --config
 * @argc, @argv: argv[0] is the subcommand; argv may be permuted
 * @cfg:    filled on success; release with run_config_destroy()
 * @helped: out, true: --help was asked for and printed to stdout, @cfg is
 *          empty and there is nothing more to do
 * @d:      why not, one line: ST_USAGE for what is wrong with the command
 *          line, ST_JSON and ST_CONFIG for the file and for what cannot be
 *          used together
 *
 * The command line goes over the file's values key by key; disks of the
 * command line replace all of the file's. With several VMs in the file only
 * --dry-run, --summary, --report and --mark may stand next to --config.
 *
 * Context: control process, one thread (argp); blocks on the file.
 * Return:  0; -EINVAL; -E2BIG; -ENOMEM; errno of opening the file.
 */
MUST_CHECK int options_parse_run(int argc, char **argv, struct run_config *cfg,
				 bool *helped, struct diag *d);

struct argp_option;

/* The options of `disco run`; a NULL name ends it. */
const struct argp_option *options_run_table(void);

#endif
