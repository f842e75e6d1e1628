/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco: the control process. Picks the subcommand, prints the one line of
 * what went wrong and turns it into the exit status; nothing else exits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disco/config.h"
#include "disco/diag.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/config/config_draft.h"
#include "monitor/control/doctor/doctor.h"
#include "monitor/control/disks/image.h"
#include "monitor/control/monitor.h"
#include "monitor/control/config/options.h"
#include "monitor/control/launch/plan.h"
#include "monitor/control/run/run.h"
#include "monitor/control/launch/unpack.h"
#include "version.h" /* generated */

/* Returns an exit status (>= 0), or -errno with @d filled. */
struct command {
	const char *name;
	int (*run)(int argc, char **argv, struct diag *d);
	const char *help;
};

static int run_main(int argc, char **argv, struct diag *d);
static int help_main(int argc, char **argv, struct diag *d);
static int version_main(int argc, char **argv, struct diag *d);

static const struct command commands[] = {
	{ "run", run_main, "start virtual machines and wait for them" },
	{ "ls", ls_main, "list the virtual machines of the monitor" },
	{ "stats", stats_main, "print figures of each of them" },
	{ "top", top_main, "watch them" },
	{ "console", console_main, "take part in the console of one" },
	{ "stop", stop_main, "ask some to stop" },
	{ "kill", kill_main, "end some at once" },
	{ "pause", pause_main, "keep some from running" },
	{ "resume", resume_main, "let them go on" },
	{ "move", move_main, "move one to another node" },
	{ "topology", topology_main, "print the NUMA nodes" },
	{ "monitor", monitor_main, "run virtual machines in the background" },
	{ "completion", completion_main, "print completion for a shell" },
	{ "doctor", doctor_main, "say what of this machine disco can use" },
	{ "image", image_main, "make, check and convert disk images" },
	{ "unpack", unpack_main, "decompress kernels into the cache" },
	{ "help", help_main, "print this" },
	{ "version", version_main, "print the version" },
};

static int run_main(int argc, char **argv, struct diag *d)
{
	struct run_config cfg = { 0 };
	bool helped = false;
	int ret;

	ret = options_parse_run(argc, argv, &cfg, &helped, d);
	if (!ret && !helped)
		ret = cfg.dry_run  ? plan_show(&cfg, stdout, d)
		      : cfg.detach ? cli_run_detached(&cfg, d)
				   : run_vms(&cfg, d);
	run_config_destroy(&cfg);
	return ret;
}

static int help_main(int argc, char **argv, struct diag *d)
{
	(void)argc;
	(void)argv;
	(void)d;
	printf("Usage: disco COMMAND [OPTION...]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].help);
	printf("\n'disco COMMAND --help' lists a command's options; disco(1) "
	       "has the exit statuses.\n");
	return ST_OK;
}

static int version_main(int argc, char **argv, struct diag *d)
{
	(void)argc;
	(void)argv;
	(void)d;
	printf("disco %s\n", DISCO_VERSION);
	return ST_OK;
}

static const struct command *find_command(const char *name)
{
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	if (strcmp(name, "--version") == 0)
		name = "version";
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* One line, whatever names and values got into it. */
static void print_diag(const struct command *c, struct diag *d)
{
	for (char *s = d->text; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
	if (d->status == ST_USAGE && c)
		(void)fprintf(stderr, "disco %s: %s\n", c->name, d->text);
	else
		(void)fprintf(stderr, "disco: %s\n", d->text);
}

static int run_command(int argc, char **argv, const struct command **c,
		       struct diag *d)
{
	if (argc < 2)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "no command; see 'disco help'");
	*c = find_command(argv[1]);
	if (!*c)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "unknown command '%.64s'; see 'disco help'",
				 argv[1]);
	return (*c)->run(argc - 1, argv + 1, d);
}

int main(int argc, char **argv)
{
	const struct command *c = NULL;
	struct diag d = { 0 };
	int ret;

	/* hwloc reports by stderr and by value; the value is enough. */
	(void)setenv("HWLOC_HIDE_ERRORS", "2", 0);
	ret = run_command(argc, argv, &c, &d);
	if (ret >= 0 && (fflush(stdout) || ferror(stdout)))
		ret = diag_fail(&d, ST_HOST, EIO, "cannot write the output");
	if (ret >= 0)
		return ret;
	if (d.status == ST_OK)
		(void)diag_fail(&d, ST_INTERNAL, -ret, "internal error: %s",
				strerror(-ret));
	print_diag(c, &d);
	return (int)d.status;
}
