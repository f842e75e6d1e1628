/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/man.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/config/vm_options.h"

#define SYNOPSIS_OPTIONS 6 /* with more it says "option ..." */

/* Text that is no macro, with a backslash as itself. */
static void man_text(const char *text, FILE *out)
{
	if (*text == '.' || *text == '\'')
		(void)fputs("\\&", out);
	for (; *text; text++)
		(void)fputs(*text == '\\' ? "\\e" : (char[]){ *text, '\0' },
			    out);
}

/* --- synopsis --- */

static unsigned man_count_options(const struct command *c)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(c->options); i++)
		for (const struct option_entry *o = c->options[i]; o && o->name;
		     o++)
			nr += command_is_option(o);
	return nr;
}

static void man_synopsis_options(const struct command *c, FILE *out)
{
	if (man_count_options(c) > SYNOPSIS_OPTIONS) {
		(void)fprintf(out, ".Op Ar option ...\n");
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(c->options); i++)
		for (const struct option_entry *o = c->options[i]; o && o->name;
		     o++)
			(void)fprintf(out, ".%sFl -%s%s%s\n",
				      o->needed ? "" : "Op ", option_flag(o),
				      o->arg ? " Ar " : "",
				      o->arg ? o->arg : "");
}

/* "KERNEL..." as the page has it: words that are alike in all commands. */
static void man_synopsis_words(const struct command *c, FILE *out)
{
	const char *dots = strstr(c->words, "...");
	int len = (int)(dots ? (size_t)(dots - c->words) : strlen(c->words));

	if (c->choices)
		(void)fprintf(out, ".Cm %s\n", c->words);
	else if (*c->words == '[')
		(void)fprintf(out, ".Op Ar %.*s\n", len - 2, c->words + 1);
	else
		(void)fprintf(out, ".Ar %.*s%s\n", len, c->words,
			      dots ? " ..." : "");
}

static void man_synopsis(const struct command *c, FILE *out)
{
	for (size_t i = 0; c->commands && c->commands[i]; i++)
		man_synopsis(c->commands[i], out);
	if (c->commands)
		return;
	(void)fprintf(out, ".Nm\n.Cm %s%s%s\n", c->group ? c->group : "",
		      c->group ? " " : "", c->name);
	man_synopsis_options(c, out);
	if (c->words)
		man_synopsis_words(c, out);
}

/* --- options of a command --- */

/* A sentence: "Virtual CPUs; 1 to 64; default: 1." */
static void man_sentence(const struct option_entry *o, FILE *out)
{
	char facts[OPTION_ARG_MAX];

	/* A name that is written in small letters stays so. */
	if (isupper((unsigned char)o->help[1]))
		(void)fputc(o->help[0], out);
	else
		(void)fputc(toupper((unsigned char)o->help[0]), out);
	man_text(o->help + 1, out);
	(void)option_facts(o, facts);
	if (*facts) {
		(void)fputs("; ", out);
		man_text(facts, out);
	}
	(void)fputs(".\n", out);
}

/* "Cm KEY= Ns Ar VALUE", behind a macro's name. */
static void man_key(const struct option_entry *k, const char *before, FILE *out)
{
	(void)fprintf(out, "Cm %s%s%s%s", before, k->name,
		      k->inverted ? "=off"
		      : k->arg	  ? "= Ns Ar "
				  : "",
		      k->arg ? k->arg : "");
}

static void man_key_item(const struct option_entry *k, FILE *out)
{
	(void)fputs(".It ", out);
	man_key(k, "", out);
	(void)fputc('\n', out);
	man_sentence(k, out);
}

static bool man_is_key_of(const struct option_entry *k,
			  const struct option_entry *o)
{
	return k->of && strcmp(k->of, o->name) == 0;
}

static void man_option_head(const struct option_entry *table,
			    const struct option_entry *o, FILE *out)
{
	(void)fputs(".It Xo\n", out);
	if (o->letter)
		(void)fprintf(out, ".Fl %c ,\n", o->letter);
	(void)fprintf(out, ".Fl -%s%s%s", option_flag(o), o->arg ? " Ar " : "",
		      o->arg ? o->arg : "");
	for (const struct option_entry *k = table; k->name; k++) {
		if (!man_is_key_of(k, o))
			continue;
		(void)fputs(" Ns\n.Op ", out);
		man_key(k, ",", out);
	}
	(void)fputs("\n.Xc\n", out);
}

static void man_option(const struct option_entry *table,
		       const struct option_entry *o, FILE *out)
{
	const struct option_entry *items = vm_option_items(o);

	man_option_head(table, o, out);
	man_sentence(o, out);
	if (!items && !option_has_keys(table, o))
		return;
	(void)fputs(".Bl -tag -width 11n\n", out);
	for (const struct option_entry *k = table; k->name; k++)
		if (man_is_key_of(k, o))
			man_key_item(k, out);
	for (const struct option_entry *k = items; k && k->name; k++)
		man_key_item(k, out);
	(void)fputs(".El\n", out);
}

static void man_options(const struct command *c, FILE *out)
{
	(void)fputs(".Bl -tag -width Ds\n", out);
	for (unsigned i = 0; i < ARRAY_SIZE(c->options); i++)
		for (const struct option_entry *o = c->options[i]; o && o->name;
		     o++)
			if (command_is_option(o))
				man_option(c->options[i], o, out);
	(void)fputs(".El\n", out);
}

/* --- keys of the JSON configuration --- */

static const char *man_json_type(const struct option_entry *o)
{
	switch (o->type) {
	case OPTION_SWITCH:
		return "boolean";
	case OPTION_NUMBER:
		return "integer";
	case OPTION_SIZE:
		return "string or integer";
	case OPTION_NODE:
		return "\\(dqauto\\(dq or integer";
	case OPTION_DISKS:
	case OPTION_NETS:
	case OPTION_ARRAY:
	case OPTION_SHMS:
		return "array";
	case OPTION_OBJECT:
		return "object";
	default:
		return "string";
	}
}

static void man_print_keys(const struct option_entry *table, FILE *out)
{
	(void)fputs(".Bl -column \"0123456789\" \"string or integerx\"\n"
		    ".It Sy Key Ta Sy Type Ta Sy Meaning\n",
		    out);
	for (const struct option_entry *o = table; o->name; o++) {
		char facts[OPTION_ARG_MAX];

		(void)option_facts(o, facts);
		(void)fprintf(out, ".It %s Ta %s Ta\n", o->name,
			      man_json_type(o));
		if (o->type == OPTION_SWITCH)
			(void)fputs(o->inverted ? "false: " : "true: ", out);
		if (o->type == OPTION_CHOICE)
			(void)fprintf(out,
				      "\\(dq%s\\(dq or \\(dq%s\\(dq: ", o->arg,
				      o->unset);
		if (o->type == OPTION_WORD)
			(void)fprintf(out, "one of %s: ", o->arg);
		man_text(o->help, out);
		if (*facts)
			(void)fputs("; ", out);
		man_text(facts, out);
		(void)fputc('\n', out);
	}
	(void)fputs(".El\n", out);
}

/* --- a page --- */

/* A command, or one of a group: "trace import". Return: NULL: there is none. */
static const struct command *man_find(const struct command *c, const char *path)
{
	size_t len = strcspn(path, " ");
	char name[COMMAND_PATH_MAX];

	(void)snprintf(name, sizeof(name), "%.*s", (int)len, path);
	c = command_find(c, name);
	if (!c || !path[len])
		return c;
	return c->commands ? man_find(c, path + len + 1) : NULL;
}

/* @what: behind the '@'. */
static int man_insert(const char *what, FILE *out, const struct command *root,
		      const struct man_keys *keys)
{
	const struct command *c = NULL;

	if (strcmp(what, "synopsis") == 0) {
		man_synopsis(root, out);
		return 0;
	}
	for (; strncmp(what, "keys ", 5) == 0 && keys->name; keys++)
		if (strcmp(what + 5, keys->name) == 0) {
			man_print_keys(keys->table, out);
			return 0;
		}
	if (strncmp(what, "options ", 8) == 0)
		c = man_find(root, what + 8);
	if (!c)
		return -EINVAL;
	man_options(c, out);
	return 0;
}

int man_page(FILE *in, FILE *out, const struct command *root,
	     const struct man_keys *keys)
{
	static const char mark[] = ".\\\" @";
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	while (!err && getline(&line, &size, in) > 0) {
		if (strncmp(line, mark, strlen(mark)) != 0) {
			(void)fputs(line, out);
			continue;
		}
		line[strcspn(line, "\n")] = '\0';
		err = man_insert(line + strlen(mark), out, root, keys);
	}
	free(line);
	if (!err && (ferror(in) || fflush(out) || ferror(out)))
		err = -EIO;
	return err;
}
