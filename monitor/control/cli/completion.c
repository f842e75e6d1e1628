/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco completion bash|zsh: printed from the table of commands and those of
 * their options, so that nothing can be missing or out of date.
 */
#include <errno.h>
#include <string.h>

#include "monitor/control/cli/cli.h"
#include "monitor/control/config/vm_options.h"

#define LIST_VMS "$(disco ls --names 2>/dev/null)"

/* A word in single quotes: what a shell leaves alone. */
static void completion_quote(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'')
			printf("'\\''");
		else
			putchar(*text);
	}
	putchar('\'');
}

static bool wants_vm(const struct command *c)
{
	return c->words && strncmp(c->words, "VM", 2) == 0;
}

/* Calls @each for each option that @c is given. */
static void each_option(const struct command *c,
			void (*each)(const struct option_entry *table,
				     const struct option_entry *o))
{
	for (unsigned i = 0; i < ARRAY_SIZE(c->options); i++)
		for (const struct option_entry *o = c->options[i]; o && o->name;
		     o++)
			if (command_is_option(o))
				each(c->options[i], o);
}

/* Is @k given in the value of @o, an option of @table? */
static bool is_key_of(const struct option_entry *k,
		      const struct option_entry *o)
{
	return k->of && strcmp(k->of, o->name) == 0;
}

/* --- bash --- */

static void print_commands(const struct command *c)
{
	for (size_t i = 0; c->commands[i]; i++)
		printf("%s%s", i ? " " : "", c->commands[i]->name);
}

static void print_bash_option(const struct option_entry *table,
			      const struct option_entry *o)
{
	(void)table;
	printf("--%s%s ", option_flag(o), o->arg ? "=" : "");
	if (o->letter)
		printf("-%c ", o->letter);
}

static void print_bash_key(const struct option_entry *k)
{
	printf("%s%s ", k->name, k->arg || k->inverted ? "=" : "");
}

/* What goes into an option's value, by the option. */
static void print_bash_keys(const struct option_entry *table,
			    const struct option_entry *o)
{
	const struct option_entry *items = vm_option_items(o);

	if (!items && !option_has_keys(table, o))
		return;
	printf("\t--%s) keys='", option_flag(o));
	for (const struct option_entry *k = table; k->name; k++)
		if (is_key_of(k, o))
			print_bash_key(k);
	for (const struct option_entry *k = items; k && k->name; k++)
		print_bash_key(k);
	printf("'%s ;;\n", items ? " first=1" : "");
}

static void print_bash_command(const struct command *c)
{
	char path[COMMAND_PATH_MAX];

	/* As $command has it: what is behind "disco ". */
	printf("\t'%s') opts='", command_path(c, path) + strlen("disco "));
	each_option(c, print_bash_option);
	printf("--help'");
	if (wants_vm(c))
		printf(" words=" LIST_VMS);
	else if (c->choices)
		printf(" words='%s'", c->choices);
	printf(" ;;\n");
}

static void print_bash_group(const struct command *c)
{
	printf("\t'%s') words='", c->name);
	print_commands(c);
	printf("' opts='--help' ;;\n");
	for (size_t i = 0; c->commands[i]; i++)
		print_bash_command(c->commands[i]);
}

/* Which command, and which option is the word at the cursor a value of? */
static const char bash_head[] =
	"# disco(1) completion for bash\n"
	"_disco()\n{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} opts='' words='' keys=''\n"
	"\tlocal command=${COMP_WORDS[1]-} first='' last flag='' i\n"
	"\tCOMPREPLY=()\n"
	"\tif ((COMP_CWORD > 2)); then\n"
	"\t\tcase $command in\n";

static const char bash_middle[] =
	"\t\tesac\n"
	"\tfi\n"
	"\tfor ((i = COMP_CWORD - 1; i > 1; i--)); do\n"
	"\t\t[[ ${COMP_WORDS[i]} != --* ]] || break\n"
	"\tdone\n"
	"\t((i < 2)) || flag=${COMP_WORDS[i]}\n"
	"\t((COMP_CWORD > 1)) || command=''\n"
	"\tcase $command in\n";

/*
 * A key comes first in a value, where the option has it so, or after a comma;
 * behind "KEY=" a file may follow. The '=' is a word of its own for bash.
 */
static const char bash_tail[] =
	"\tesac\n"
	"\tlast=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"\t[[ $last != = ]] || last=${COMP_WORDS[COMP_CWORD - 2]}\n"
	"\tif [[ $keys && $cur != -* && ( $cur == *,* ||\n"
	"\t\t( $first && $last == \"$flag\" ) ) ]]; then\n"
	"\t\t[[ $cur != = ]] || cur=''\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -P \"${cur%\"${cur##*,}\"}\" \\\n"
	"\t\t\t-W \"$keys\" -- \"${cur##*,}\")\n"
	"\t\tcompopt -o nospace\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tif [[ $cur == -* ]]; then\n\t\twords=$opts\n\tfi\n"
	"\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	"\t[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace\n"
	"}\ncomplete -o default -F _disco disco\n";

static void print_bash(const struct command *root)
{
	(void)fputs(bash_head, stdout);
	for (size_t i = 0; root->commands[i]; i++)
		if (root->commands[i]->commands)
			printf("\t\t%s) command+=\" ${COMP_WORDS[2]}\" ;;\n",
			       root->commands[i]->name);
	(void)fputs(bash_middle, stdout);
	printf("\t'') words='");
	print_commands(root);
	printf("' ;;\n");
	for (size_t i = 0; root->commands[i]; i++) {
		if (root->commands[i]->commands)
			print_bash_group(root->commands[i]);
		else
			print_bash_command(root->commands[i]);
	}
	printf("\tesac\n\tcase $flag in\n");
	for (size_t i = 0; root->commands[i]; i++)
		each_option(root->commands[i], print_bash_keys);
	(void)fputs(bash_tail, stdout);
}

/* --- zsh --- */

/* Inside single quotes; brackets and colons mean something to _arguments. */
static void print_zsh_text(const char *text)
{
	for (; *text; text++)
		if (*text == '\'')
			putchar('`');
		else if (*text == '\n')
			putchar(' ');
		else if (!strchr("[]:\"", *text))
			putchar(*text);
}

/* 'ro[the guest may only read it]' in the double quotes of an action. */
static void print_zsh_key(const struct option_entry *k)
{
	printf(" \"%s[", k->name);
	print_zsh_text(k->help);
	printf("]%s\"", k->inverted		 ? ":value:(on off)"
			: k->type == OPTION_PATH ? ":file:_files"
			: k->arg		 ? ":value:"
						 : "");
}

static void print_zsh_option(const struct option_entry *table,
			     const struct option_entry *o)
{
	const struct option_entry *items = vm_option_items(o);

	printf(" \\\n\t\t\t'%s--%s%s[", items ? "*" : "", option_flag(o),
	       o->arg ? "=" : "");
	print_zsh_text(o->help);
	printf("]");
	if (items) {
		printf(":%s:{_values -s , %s", option_flag(o), option_flag(o));
		for (const struct option_entry *k = items; k->name; k++)
			print_zsh_key(k);
		printf("}");
	} else if (o->arg) {
		char arg[OPTION_ARG_MAX];

		/* Keys behind a first value: shown, not completed. */
		printf(":");
		for (const char *s = option_arg(table, o, arg); *s; s++)
			printf("%s%c", strchr("[]:", *s) ? "\\" : "", *s);
		printf(":_files");
	}
	printf("'");
}

static void print_zsh_command(const struct command *c)
{
	printf("\t%s) _arguments", c->name);
	each_option(c, print_zsh_option);
	printf(" \\\n\t\t\t'--help[print this and exit]'");
	if (wants_vm(c))
		printf(" \\\n\t\t\t'*:vm:(" LIST_VMS ")'");
	else if (c->choices)
		printf(" \\\n\t\t\t'1:word:(%s)'", c->choices);
	else if (c->words)
		printf(" \\\n\t\t\t'*:file:_files'");
	printf(" ;;\n");
}

static void print_zsh_commands(const struct command *c)
{
	printf("\tcommands=(\n");
	for (size_t i = 0; c->commands[i]; i++) {
		printf("\t\t%s:", c->commands[i]->name);
		completion_quote(c->commands[i]->brief);
		printf("\n");
	}
	printf("\t)\n"
	       "\tif ((CURRENT == 2)); then\n"
	       "\t\t_describe command commands\n\t\treturn\n\tfi\n"
	       "\tcommand=$words[2]\n"
	       "\tshift words\n\t((CURRENT--))\n"
	       "\tcase $command in\n");
	for (size_t i = 0; c->commands[i]; i++) {
		const struct command *k = c->commands[i];

		if (k->commands)
			printf("\t%s) _disco_%s ;;\n", k->name, k->name);
		else
			print_zsh_command(k);
	}
	printf("\tesac\n}\n");
}

static void print_zsh(const struct command *root)
{
	printf("#compdef disco\n"
	       "# disco(1) completion for zsh\n");
	for (size_t i = 0; root->commands[i]; i++) {
		if (!root->commands[i]->commands)
			continue;
		printf("_disco_%s()\n{\n\tlocal -a commands\n\tlocal command\n",
		       root->commands[i]->name);
		print_zsh_commands(root->commands[i]);
	}
	printf("_disco()\n{\n\tlocal -a commands\n\tlocal command\n");
	print_zsh_commands(root);
	printf("compdef _disco disco\n");
}

static int completion_run(const struct command_args *a, struct diag *d)
{
	if (strcmp(a->words[0], "bash") == 0)
		print_bash(a->root);
	else if (strcmp(a->words[0], "zsh") == 0)
		print_zsh(a->root);
	else
		return diag_fail(d, ST_USAGE, EINVAL,
				 "'%.64s' is neither bash nor zsh",
				 a->words[0]);
	return ST_OK;
}

const struct command cli_completion = {
	.name = "completion",
	.brief = "print completion for a shell",
	.words = "bash|zsh",
	.choices = "bash zsh",
	.help = "Print completion for a shell: source <(disco completion "
		"bash).",
	.min_words = 1,
	.max_words = 1,
	.run = completion_run,
};
