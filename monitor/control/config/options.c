/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/options.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/config/config_json.h"
#include "monitor/control/config/options_vm.h"

/*
 * Options of a VM are kept as text until the file has been read, then
 * applied in order by their setter.
 */
struct vm_option {
	int key;
	const char *arg; /* in argv */
};

struct options {
	struct vm_option *vm; /* owned; room for argc */
	size_t nr_vm;
	const char *config; /* in argv */
	const char *report;
	const char *mark;
	bool detach;
	bool dry_run;
	bool summary;
	bool help;
	struct diag *d;
};

enum {
	KEY_CONFIG = KEY_VM_END,
	KEY_DRY_RUN,
	KEY_SUMMARY,
	KEY_REPORT,
	KEY_MARK,
	KEY_HELP,
	KEY_DETACH = 'd',
};

static const struct argp_option argp_options[] = {
	{ "kernel", KEY_KERNEL, "PATH[,unpack=on|off]", 0,
	  "bzImage, or ELF with a PVH note; unpack=off lets the guest "
	  "decompress itself",
	  0 },
	{ "initrd", KEY_INITRD, "PATH", 0, "Initial RAM disk", 0 },
	{ "cmdline", KEY_CMDLINE, "TEXT", 0,
	  "Kernel command line (default: console=ttyS0)", 0 },
	{ "cpus", KEY_CPUS, "N", 0, "Virtual CPUs (default: 1)", 0 },
	{ "memory", KEY_MEMORY,
	  "SIZE[,node=auto|N][,strict][,huge=thp][,merge]", 0,
	  "Guest memory (default: 256M) and its home node; strict: all of it "
	  "there or none",
	  0 },
	{ "disk", KEY_DISK, "path=FILE[,cow=FILE|,snapshot|,ro][,KEY=VALUE]...",
	  0,
	  "Disk, a raw file; cow: writes go to this copy-on-write file (see "
	  "'disco image'), snapshot: to one that is forgotten; pmem: memory "
	  "of the guest instead of a block device; serial=TEXT; "
	  "cache=off: not through the buffer cache; queues=N: of requests "
	  "(default: one a virtual CPU); iops=N, bps=SIZE: requests and bytes "
	  "a second, at most; may be repeated",
	  0 },
	{ "group", KEY_GROUP, "NAME", 0,
	  "Share cached blocks only with VMs of this group (default: default)",
	  0 },
	{ "name", KEY_NAME, "NAME", 0, "Name (default: vm)", 0 },
	{ "count", KEY_COUNT, "COUNT", 0,
	  "Start COUNT VMs, NAME-0, NAME-1, ...", 0 },
	{ "config", KEY_CONFIG, "FILE.json", 0,
	  "Read disco.json(5); options go over its values", 1 },
	{ "detach", KEY_DETACH, NULL, 0,
	  "Give the VMs to the monitor, start one if none runs", 1 },
	{ "dry-run", KEY_DRY_RUN, NULL, 0, "Print the plan, start nothing", 1 },
	{ "summary", KEY_SUMMARY, NULL, 0, "Print a table at the end", 1 },
	{ "report", KEY_REPORT, "FILE", 0, "Write the figures as JSON", 1 },
	{ "mark", KEY_MARK, "TEXT", 0,
	  "Take the time of the first console line with TEXT", 1 },
	{ "help", KEY_HELP, NULL, 0, "Print this and exit", 2 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

const struct argp_option *options_run_table(void)
{
	return argp_options;
}

/* --- argp --- */

static bool is_prefix(const char *word, size_t len, const char *name)
{
	return name && strncmp(word, name, len) == 0;
}

/*
 * getopt keeps to itself what it did not like, so look again. @word was
 * refused, so a known option here lacks its argument or has one too many.
 */
static void explain_long(const char *word, struct diag *d)
{
	size_t len = strcspn(word + 2, "=");
	const struct argp_option *found = NULL;
	unsigned nr = 0;

	for (const struct argp_option *o = argp_options; o->name; o++)
		if (is_prefix(word + 2, len, o->name)) {
			found = o;
			nr++;
			if (strlen(o->name) == len) {
				nr = 1;
				break;
			}
		}
	if (nr == 0)
		(void)diag_fail(d, ST_USAGE, EINVAL,
				"unrecognized option '%s'"
				"; see 'disco run --help'",
				word);
	else if (nr > 1)
		(void)diag_fail(d, ST_USAGE, EINVAL,
				"option '%s' is ambiguous"
				"; see 'disco run --help'",
				word);
	else if (found->arg)
		(void)diag_fail(d, ST_USAGE, EINVAL,
				"option '--%s' needs a value, %s", found->name,
				found->arg);
	else
		(void)diag_fail(d, ST_USAGE, EINVAL,
				"option '--%s' takes no value", found->name);
}

static bool is_option(const char *word)
{
	return word && word[0] == '-' && word[1];
}

/* getopt stopped before or at argv[next]. */
static void explain_refusal(char **argv, int next, struct diag *d)
{
	const char *word = argv[next - 1];

	if (next > 1 && !is_option(word) && is_option(argv[next]))
		word = argv[next];
	if (strncmp(word, "--", 2) == 0)
		explain_long(word, d);
	else if (strcmp(word, "-n") == 0)
		(void)diag_fail(d, ST_USAGE, EINVAL,
				"option '-n' needs a value, COUNT");
	else
		(void)diag_fail(d, ST_USAGE, EINVAL,
				"unrecognized option '%s'"
				"; see 'disco run --help'",
				word);
}

static error_t parse_special(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		return -diag_fail(o->d, ST_USAGE, EINVAL,
				  "unexpected argument '%s'; see "
				  "'disco run --help'",
				  arg);
	case ARGP_KEY_ERROR:
		explain_refusal(state->argv, state->next, o->d);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_one(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	if (vm_option_name(key)) {
		o->vm[o->nr_vm++] = (struct vm_option){ key, arg };
		return 0;
	}
	switch (key) {
	case KEY_CONFIG:
		o->config = arg;
		return 0;
	case KEY_DETACH:
		o->detach = true;
		return 0;
	case KEY_DRY_RUN:
		o->dry_run = true;
		return 0;
	case KEY_SUMMARY:
		o->summary = true;
		return 0;
	case KEY_REPORT:
		o->report = arg;
		return 0;
	case KEY_MARK:
		o->mark = arg;
		return 0;
	case KEY_HELP:
		o->help = true;
		return 0;
	default:
		return parse_special(key, arg, state);
	}
}

static const struct argp argp = {
	.options = argp_options,
	.parser = parse_one,
	.doc = "Start virtual machines and wait until they are off.\v"
	       "SIZE is in bytes or has a binary suffix, K, M, G or T. A comma "
	       "in a value is written '\\,'. See disco(1) for the exit status.",
};

/* --- file and command line together --- */

static int apply_to(struct vm_draft *draft, const struct options *o)
{
	bool cleared = false;

	for (size_t i = 0; i < o->nr_vm; i++) {
		int err;

		if (o->vm[i].key == KEY_DISK && !cleared) {
			vm_clear_disks(&draft->vm);
			cleared = true;
		}
		err = vm_option_apply(o->vm[i].key, o->vm[i].arg, draft, o->d);
		if (err)
			return err;
	}
	return 0;
}

static int make_draft(const struct options *o, struct config_draft *c)
{
	int err = 0;

	if (o->config)
		err = config_json_draft_file(o->config, c, o->d);
	else if (config_draft_init(c, 1))
		err = diag_fail(o->d, ST_HOST, ENOMEM, "out of memory");
	if (err)
		return err;
	if (c->nr > 1 && o->nr_vm)
		return diag_fail(o->d, ST_USAGE, EINVAL,
				 "%s cannot be given here: %s describes %u VMs;"
				 " set it there",
				 vm_option_name(o->vm[0].key), o->config,
				 c->nr);
	return apply_to(&c->vms[0], o);
}

static int options_copy_text(char **to, const char *from, struct diag *d)
{
	if (!from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : diag_fail(d, ST_HOST, ENOMEM, "out of memory");
}

static int options_build(const struct options *o, struct run_config *cfg)
{
	struct run_config done = { .detach = o->detach,
				   .dry_run = o->dry_run,
				   .summary = o->summary };
	struct config_draft c = { 0 };
	int err;

	if (o->detach && (o->summary || o->report || o->mark))
		return diag_fail(o->d, ST_USAGE, EINVAL,
				 "--summary, --report and --mark are of a run "
				 "that is waited for, not of --detach");
	err = make_draft(o, &c);
	if (!err)
		err = config_draft_finish(&c, &done, o->d);
	if (!err)
		err = options_copy_text(&done.report, o->report, o->d);
	if (!err)
		err = options_copy_text(&done.mark, o->mark, o->d);
	config_draft_destroy(&c);
	if (err)
		run_config_destroy(&done);
	else
		*cfg = done;
	return err;
}

int options_parse_run(int argc, char **argv, struct run_config *cfg,
		      bool *helped, struct diag *d)
{
	static char name[] = "disco run";
	struct options o = { .d = d };
	int err;

	o.vm = calloc((size_t)argc, sizeof(*o.vm));
	if (!o.vm)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	err = -argp_parse(&argp, argc, argv,
			  ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP, NULL, &o);
	if (!err && o.help)
		argp_help(&argp, stdout,
			  ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK, name);
	else if (!err)
		err = options_build(&o, cfg);
	if (!err)
		*helped = o.help;
	free(o.vm);
	return err;
}
