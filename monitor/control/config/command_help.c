/* SPDX-License-Identifier: BSD-2-Clause */
/* --help, from the tables. */
#include <string.h>

#include "monitor/control/config/command.h"
#include "monitor/control/config/vm_options.h"

#define HELP_COLUMN 25 /* where the right column starts */
#define HELP_WIDTH  79

/* @text at the right of @left, in lines of HELP_WIDTH. */
static void help_row(const char *left, const char *text, FILE *out)
{
	int at = fprintf(out, "%-*s", HELP_COLUMN - 1, left);

	if (at >= HELP_COLUMN)
		at = fprintf(out, "\n%*s", HELP_COLUMN - 1, "") - 1;
	while (*text) {
		int len = (int)strcspn(text, " ");

		if (at + 1 + len > HELP_WIDTH && at >= HELP_COLUMN)
			at = fprintf(out, "\n%*s", HELP_COLUMN - 1, "") - 1;
		at += fprintf(out, " %.*s", len, text);
		text += len;
		text += strspn(text, " ");
	}
	(void)fputc('\n', out);
}

/* Sentences, in lines of HELP_WIDTH. */
static void help_sentences(const char *text, FILE *out)
{
	int at = 0;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (at && at + 1 + len > HELP_WIDTH) {
			(void)fputc('\n', out);
			at = 0;
		}
		at += fprintf(out, "%s%.*s", at ? " " : "", len, text);
		text += len;
		text += strspn(text, " ");
	}
	(void)fputc('\n', out);
}

static void help_text(const struct option_entry *o, char *buf, size_t size)
{
	char facts[OPTION_ARG_MAX];

	(void)option_facts(o, facts);
	(void)snprintf(buf, size, "%s%s%s%s", o->help, *facts ? " (" : "",
		       facts, *facts ? ")" : "");
}

static void help_key(const struct option_entry *o, FILE *out)
{
	char key[OPTION_ARG_MAX], left[OPTION_ARG_MAX + 8], text[256];

	(void)snprintf(left, sizeof(left), "    %s", option_key(o, key));
	help_text(o, text, sizeof(text));
	help_row(left, text, out);
}

static void help_option(const struct option_entry *table,
			const struct option_entry *o, FILE *out)
{
	const struct option_entry *items = vm_option_items(o);
	char arg[OPTION_ARG_MAX], left[OPTION_ARG_MAX + 64], text[256];
	char letter[8] = "";

	(void)option_arg(table, o, arg);
	if (o->letter)
		(void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	(void)snprintf(left, sizeof(left), "  %s--%s%s%s", letter,
		       option_flag(o), *arg ? "=" : "", arg);
	help_text(o, text, sizeof(text));
	help_row(left, text, out);
	for (const struct option_entry *k = table; k->name; k++)
		if (k->of && strcmp(k->of, o->name) == 0)
			help_key(k, out);
	for (const struct option_entry *k = items; k && k->name; k++)
		help_key(k, out);
}

static void help_more(const struct command *c, FILE *out)
{
	if (!c->more)
		return;
	(void)fputc('\n', out);
	help_sentences(c->more, out);
}

static void help_commands(const struct command *c, FILE *out)
{
	char path[COMMAND_PATH_MAX];

	(void)fprintf(out, "Usage: %s COMMAND [OPTION...]\n\n",
		      command_path(c, path));
	for (size_t i = 0; c->commands[i]; i++) {
		const struct command *k = c->commands[i];
		char left[64];

		(void)snprintf(left, sizeof(left), "  %s%s%s", k->name,
			       k->group && k->words ? " " : "",
			       k->group && k->words ? k->words : "");
		help_row(left, k->brief, out);
	}
	help_more(c, out);
}

void command_help(const struct command *c, FILE *out)
{
	bool has_options = c->options[0] && c->options[0]->name;
	char path[COMMAND_PATH_MAX];

	if (c->commands) {
		help_commands(c, out);
		return;
	}
	(void)fprintf(out, "Usage: %s%s%s%s\n", command_path(c, path),
		      has_options ? " [OPTION...]" : "", c->words ? " " : "",
		      c->words ? c->words : "");
	help_sentences(c->help, out);
	(void)fputc('\n', out);
	for (unsigned i = 0; i < ARRAY_SIZE(c->options); i++)
		for (const struct option_entry *o = c->options[i]; o && o->name;
		     o++)
			if (command_is_option(o))
				help_option(c->options[i], o, out);
	help_row("  --help", "print this and exit", out);
	help_more(c, out);
}
