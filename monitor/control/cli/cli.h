/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands that talk to the monitor, and what they have in common. Their
 * options and words stand in one table each (config/command.h).
 */
#ifndef DISCO_MONITOR_CLI_H
#define DISCO_MONITOR_CLI_H

#include <jansson.h>

#include "disco/config.h"
#include "disco/diag.h"
#include "monitor/control/config/command.h"

#define CLI_PATH_MAX (VM_NAME_MAX + 32)

extern const struct command cli_ls, cli_stats, cli_stop, cli_kill, cli_pause,
	cli_resume, cli_console, cli_move, cli_topology, cli_top,
	cli_completion;

/**
 * cli_number() - value of an option
 * @least: the smallest allowed; 86400 is the largest
 *
 * Return: 0; -EINVAL (ST_USAGE).
 */
MUST_CHECK int cli_number(const char *text, double least, double *out,
			  struct diag *d);

/**
 * cli_period() - "off", or seconds from 0.1 to 86400
 * @ns: out; off: 0
 * Return: 0; -EINVAL (ST_USAGE).
 */
MUST_CHECK int cli_period(const char *text, uint64_t *ns, struct diag *d);

/* cli_number() without a fraction. */
MUST_CHECK int cli_whole(const char *text, double least, unsigned *out,
			 struct diag *d);

/**
 * cli_vm_path() - where the API has a VM, or what is done to it
 * @vm:   as it was typed
 * @what: "move"
 * @path: out, "/v1/vms/VM/WHAT"
 *
 * Return: 0; -ENOENT (ST_NO_VM) no VM can have that name.
 */
MUST_CHECK int cli_vm_path(const char *vm, const char *what,
			   char path[CLI_PATH_MAX], struct diag *d);

/* On standard output, indented; an error is main()'s to find. */
void cli_print_json(const json_t *root);

/**
 * cli_run_detached() - `disco run -d`: give VMs to the monitor
 * @cfg: checked; relative paths are taken from here
 *
 * Starts a monitor when none runs. Prints the names of what was started.
 * Return: ST_OK; -errno with @d filled.
 */
int cli_run_detached(const struct run_config *cfg, struct diag *d);

/* "1h02m", "3m20s", "12.3s". */
void cli_duration(uint64_t ms, char *out, size_t size);

#endif
