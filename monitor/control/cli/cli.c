/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/base/state_dir.h"

#define KEY_FIRST 256
#define KEY_HELP  255

static void print_help(const struct cli_command *c)
{
	printf("Usage: disco %s%s%s%s\n%s\n\n", c->name,
	       c->options[0].name ? " [OPTION...]" : "", *c->words ? " " : "",
	       c->words, c->help);
	for (const struct cli_option *o = c->options; o->name; o++) {
		char left[40];

		(void)snprintf(left, sizeof(left), "--%s%s%s", o->name,
			       o->arg ? "=" : "", o->arg ? o->arg : "");
		printf("  %-22s %s\n", left, o->help);
	}
	printf("  %-22s %s\n", "--help", "Print this and exit");
}

static int cli_fail(const struct cli_command *c, struct diag *d,
		    const char *what, const char *word)
{
	return diag_fail(d, ST_USAGE, EINVAL,
			 "%s '%.200s'; see 'disco %s --help'", what, word,
			 c->name);
}

static int check_words(const struct cli_command *c, const struct cli_args *a,
		       struct diag *d)
{
	if (a->nr_words < c->min_words)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "wants %s; see 'disco %s --help'", c->words,
				 c->name);
	if (a->nr_words > c->max_words)
		return cli_fail(c, d, "unexpected argument",
				a->words[c->max_words]);
	return 0;
}

int cli_parse(const struct cli_command *c, int argc, char **argv,
	      struct cli_args *out, struct diag *d)
{
	struct option table[CLI_MAX_OPTIONS + 2] = { { .name = NULL } };
	unsigned nr = 0;
	int key;

	memset(out, 0, sizeof(*out));
	for (; nr < CLI_MAX_OPTIONS && c->options[nr].name; nr++)
		table[nr] = (struct option){
			.name = c->options[nr].name,
			.has_arg = c->options[nr].arg ? required_argument
						      : no_argument,
			.val = KEY_FIRST + (int)nr,
		};
	table[nr] = (struct option){ .name = "help", .val = KEY_HELP };
	opterr = 0;
	optind = 0;
	while ((key = getopt_long(argc, argv, ":", table, NULL)) != -1) {
		if (key == KEY_HELP) {
			print_help(c);
			return 1;
		}
		if (key == ':')
			return cli_fail(c, d,
					"needs a value:", argv[optind - 1]);
		if (key < KEY_FIRST)
			return cli_fail(c, d, "unrecognized option",
					argv[optind - 1]);
		out->given[key - KEY_FIRST] = true;
		out->value[key - KEY_FIRST] = optarg;
	}
	out->words = argv + optind;
	out->nr_words = (unsigned)(argc - optind);
	return check_words(c, out, d);
}

int cli_number(const char *text, double least, double *out, struct diag *d)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= least) || v > 86400.0)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "'%.64s' is not a number from %g to 86400",
				 text, least);
	*out = v;
	return 0;
}

int cli_period(const char *text, uint64_t *ns, struct diag *d)
{
	double seconds = 0;
	int err;

	if (strcmp(text, "off") == 0) {
		*ns = 0;
		return 0;
	}
	err = cli_number(text, 0.1, &seconds, d);
	if (!err)
		*ns = (uint64_t)(seconds * 1e9);
	return err;
}

int cli_whole(const char *text, double least, unsigned *out, struct diag *d)
{
	double v = 0;
	int err = cli_number(text, least, &v, d);

	if (!err && v != (unsigned)v)
		err = diag_fail(d, ST_USAGE, EINVAL,
				"'%.64s' is not a whole number", text);
	if (!err)
		*out = (unsigned)v;
	return err;
}

int cli_vm_path(const char *vm, const char *what, char path[CLI_PATH_MAX],
		struct diag *d)
{
	if (!vm_name_valid(vm))
		return diag_fail(d, ST_NO_VM, ENOENT, "no VM is named '%.64s'",
				 vm);
	(void)snprintf(path, CLI_PATH_MAX, "/v1/vms/%s/%s", vm, what);
	return 0;
}

void cli_print_json(const json_t *root)
{
	(void)json_dumpf(root, stdout, JSON_INDENT(2));
	printf("\n");
}

void cli_duration(uint64_t ms, char *out, size_t size)
{
	unsigned long long s = ms / 1000, tenths = ms / 100 % 10;

	if (s < 60)
		(void)snprintf(out, size, "%llu.%llus", s, tenths);
	else if (s < 3600)
		(void)snprintf(out, size, "%llum%02llus", s / 60, s % 60);
	else
		(void)snprintf(out, size, "%lluh%02llum", s / 3600,
			       s / 60 % 60);
}
