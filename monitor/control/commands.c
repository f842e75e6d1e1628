/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/commands.h"

#include <errno.h>

#include "monitor/control/cli/cli.h"
#include "monitor/control/cluster/cluster_cli.h"
#include "monitor/control/config/config_draft.h"
#include "monitor/control/config/options.h"
#include "monitor/control/disks/image.h"
#include "monitor/control/doctor/doctor.h"
#include "monitor/control/launch/plan.h"
#include "monitor/control/launch/unpack.h"
#include "monitor/control/monitor.h"
#include "monitor/control/run/run.h"
#include "monitor/control/study/study.h"
#include "version.h" /* generated */

static int commands_run(const struct command_args *a, struct diag *d)
{
	struct run_config cfg = { 0 };
	int ret = options_run(a, &cfg, d);

	if (!ret)
		ret = cfg.dry_run  ? plan_show(&cfg, stdout, d)
		      : cfg.detach ? cli_run_detached(&cfg, d)
				   : run_vms(&cfg, d);
	run_config_destroy(&cfg);
	return ret;
}

static int commands_help(const struct command_args *a, struct diag *d)
{
	const struct command *c = a->root;

	if (a->nr_words)
		c = command_find(c, a->words[0]);
	if (!c)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "unknown command '%.64s'; see 'disco help'",
				 a->words[0]);
	command_help(c, stdout);
	return ST_OK;
}

static int commands_version(const struct command_args *a, struct diag *d)
{
	(void)a;
	(void)d;
	printf("disco %s\n", DISCO_VERSION);
	return ST_OK;
}

static const struct command run_command = { OPTIONS_RUN, .run = commands_run };

static const struct command help_command = {
	.name = "help",
	.brief = "list the commands, or describe one",
	.words = "[COMMAND]",
	.help = "List the commands, or print what one of them does.",
	.max_words = 1,
	.as_option = true,
	.run = commands_help,
};

static const struct command version_command = {
	.name = "version",
	.brief = "print the version",
	.help = "Print the version.",
	.as_option = true,
	.run = commands_version,
};

static const struct command *const commands[] = {
	&run_command,	 &cluster_up,	   &cluster_down,    &cli_ls,
	&cli_stats,	 &cli_top,	   &cli_console,     &cluster_exec,
	&cli_cp,	 &cli_freeze,	   &cli_thaw,	     &cli_stop,
	&cli_kill,	 &cli_restart,	   &cli_pause,	     &cli_resume,
	&cli_move,	 &cli_policy,	   &cli_net,	     &cli_shm,
	&cli_topology,	 &monitor_command, &cli_completion,  &doctor_command,
	&image_command,	 &unpack_command,  &trace_command,   &sim_command,
	&report_command, &help_command,	   &version_command, NULL,
};

const struct command disco_command = {
	.name = "disco",
	.commands = commands,
	.more = "'disco COMMAND --help' lists a command's options; disco(1) "
		"has the exit statuses.",
};
