/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco completion bash|zsh: printed from the tables that the commands parse
 * their options with, so that nothing can be missing or out of date.
 */
#include <argp.h>
#include <errno.h>
#include <string.h>

#include "monitor/control/cli/cli.h"
#include "monitor/control/config/options.h"

const struct cli_command cli_completion = {
	.name = "completion",
	.words = "bash|zsh",
	.help = "Print completion for a shell: source <(disco completion "
		"bash).",
	.min_words = 1,
	.max_words = 1,
};

/* Commands without a table: their options by hand. */
static const struct cli_command others[] = {
	{ .name = "doctor",
	  .words = "",
	  .help = "Say what of this machine disco can use.",
	  .options = { { "json", NULL, "As JSON" } } },
	{ .name = "unpack",
	  .words = "KERNEL...",
	  .help = "Decompress kernels into the cache." },
	{ .name = "help", .words = "", .help = "List the commands." },
	{ .name = "version", .words = "", .help = "Print the version." },
};

/* Of the root, monitor.c, which no header of this room may name. */
extern const struct cli_command cli_monitor;

static const struct cli_command *const tables[] = {
	&cli_ls,    &cli_stats,	   &cli_top,	 &cli_console,
	&cli_stop,  &cli_kill,	   &cli_pause,	 &cli_resume,
	&cli_move,  &cli_topology, &cli_monitor, &cli_completion,
	&others[0], &others[1],	   &others[2],	 &others[3],
};

/* A word in single quotes: what a shell leaves alone. */
static void completion_quote(const char *text)
{
	putchar('\'');
	for (; *text && *text != '\n'; text++) {
		if (*text == '\'')
			printf("'\\''");
		else
			putchar(*text);
	}
	putchar('\'');
}

static void print_commands(void)
{
	printf("run");
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		printf(" %s", tables[i]->name);
}

static void print_run_options(void)
{
	for (const struct argp_option *o = options_run_table(); o->name; o++)
		printf("--%s%s ", o->name, o->arg ? "=" : "");
}

static void print_options(const struct cli_command *c)
{
	for (const struct cli_option *o = c->options; o->name; o++)
		printf("--%s%s ", o->name, o->arg ? "=" : "");
	printf("--help");
}

static bool wants_vm(const struct cli_command *c)
{
	return strncmp(c->words, "VM", 2) == 0;
}

static void print_bash(void)
{
	printf("# disco(1) completion for bash\n"
	       "_disco()\n{\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} opts='' words=''\n"
	       "\tCOMPREPLY=()\n"
	       "\tif ((COMP_CWORD == 1)); then\n"
	       "\t\tmapfile -t COMPREPLY < <(compgen -W '");
	print_commands();
	printf("' -- \"$cur\")\n\t\treturn\n\tfi\n"
	       "\tcase ${COMP_WORDS[1]} in\n\trun) opts='");
	print_run_options();
	printf("' ;;\n");
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		printf("\t%s) opts='", tables[i]->name);
		print_options(tables[i]);
		printf("'");
		if (wants_vm(tables[i]))
			printf(" words=$(disco ls --names 2>/dev/null)");
		else if (tables[i] == &cli_completion)
			printf(" words='bash zsh'");
		printf(" ;;\n");
	}
	printf("\tesac\n"
	       "\tif [[ $cur == -* ]]; then\n\t\twords=$opts\n\tfi\n"
	       "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- "
	       "\"$cur\")\n"
	       "\t[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace\n"
	       "}\ncomplete -o default -F _disco disco\n");
}

static void print_zsh_option(const char *name, const char *arg,
			     const char *help)
{
	char text[160];
	size_t n = 0;

	/* Brackets and colons mean something to _arguments. */
	for (; *help && n + 1 < sizeof(text); help++)
		if (!strchr("[]:", *help))
			text[n++] = *help;
	text[n] = '\0';
	printf(" \\\n\t\t\t'--%s%s[", name, arg ? "=" : "");
	for (const char *s = text; *s; s++)
		putchar(*s == '\'' ? '`' : *s);
	printf("]%s'", arg ? ":value:_files" : "");
}

static void print_zsh_command(const struct cli_command *c)
{
	printf("\t%s) _arguments", c->name);
	for (const struct cli_option *o = c->options; o->name; o++)
		print_zsh_option(o->name, o->arg, o->help);
	print_zsh_option("help", NULL, "Print help");
	if (wants_vm(c))
		printf(" \\\n\t\t\t'*:vm:($(disco ls --names 2>/dev/null))'");
	else if (c == &cli_completion)
		printf(" \\\n\t\t\t'1:shell:(bash zsh)'");
	else if (*c->words)
		printf(" \\\n\t\t\t'*:file:_files'");
	printf(" ;;\n");
}

static void print_zsh(void)
{
	printf("#compdef disco\n"
	       "# disco(1) completion for zsh\n"
	       "_disco()\n{\n"
	       "\tlocal -a commands=(\n\t\t'run:start virtual machines'\n");
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		printf("\t\t%s:", tables[i]->name);
		completion_quote(tables[i]->help);
		printf("\n");
	}
	printf("\t)\n"
	       "\tif ((CURRENT == 2)); then\n"
	       "\t\t_describe command commands\n\t\treturn\n\tfi\n"
	       "\tlocal command=$words[2]\n"
	       "\tshift words\n\t((CURRENT--))\n"
	       "\tcase $command in\n\trun) _arguments");
	for (const struct argp_option *o = options_run_table(); o->name; o++)
		print_zsh_option(o->name, o->arg, o->doc);
	printf(" ;;\n");
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		print_zsh_command(tables[i]);
	printf("\tesac\n}\ncompdef _disco disco\n");
}

int completion_main(int argc, char **argv, struct diag *d)
{
	struct cli_args a;
	int err = cli_parse(&cli_completion, argc, argv, &a, d);

	if (err)
		return err < 0 ? err : ST_OK;
	if (strcmp(a.words[0], "bash") == 0)
		print_bash();
	else if (strcmp(a.words[0], "zsh") == 0)
		print_zsh();
	else
		return diag_fail(d, ST_USAGE, EINVAL,
				 "'%.64s' is neither bash nor zsh", a.words[0]);
	return ST_OK;
}
