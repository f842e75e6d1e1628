/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define KEY_HELP  256 /* keys below it are letters */
#define KEY_FIRST 257

const struct command *command_find(const struct command *c, const char *name)
{
	for (size_t i = 0; c->commands[i]; i++)
		if (strcmp(c->commands[i]->name, name) == 0)
			return c->commands[i];
	return NULL;
}

static bool command_is_root(const struct command *c)
{
	return strcmp(c->name, "disco") == 0;
}

const char *command_path(const struct command *c, char buf[COMMAND_PATH_MAX])
{
	(void)snprintf(buf, COMMAND_PATH_MAX, "disco%s%s%s%s",
		       c->group ? " " : "", c->group ? c->group : "",
		       command_is_root(c) ? "" : " ",
		       command_is_root(c) ? "" : c->name);
	return buf;
}

/* "...; see 'disco run --help'" */
PRINTF(3, 4)
static int command_fail(const struct command *c, struct diag *d,
			const char *fmt, ...)
{
	char path[COMMAND_PATH_MAX], text[300];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return diag_fail(d, ST_USAGE, EINVAL, "%s; see '%s %s'", text,
			 command_path(c, path),
			 command_is_root(c) ? "help" : "--help");
}

/* --- what getopt gets, and what it refused --- */

struct command_table {
	const struct command *command;
	struct option longs[COMMAND_MAX_OPTIONS + 2];
	const struct option_entry *entries[COMMAND_MAX_OPTIONS];
	char letters[2 * COMMAND_MAX_OPTIONS + 2];
	unsigned nr;
};

static void command_table_add(struct command_table *t,
			      const struct option_entry *o)
{
	size_t len = strlen(t->letters);

	if (t->nr == COMMAND_MAX_OPTIONS)
		return;
	t->entries[t->nr] = o;
	t->longs[t->nr] = (struct option){
		.name = option_flag(o),
		.has_arg = o->arg ? required_argument : no_argument,
		.val = KEY_FIRST + (int)t->nr,
	};
	t->nr++;
	if (o->letter)
		(void)snprintf(t->letters + len, sizeof(t->letters) - len,
			       "%c%s", o->letter, o->arg ? ":" : "");
}

static void command_table_init(struct command_table *t, const struct command *c)
{
	memset(t, 0, sizeof(*t));
	t->command = c;
	t->letters[0] = ':'; /* a missing value is not an unknown option */
	for (unsigned i = 0; i < ARRAY_SIZE(c->options); i++)
		for (const struct option_entry *o = c->options[i]; o && o->name;
		     o++)
			if (command_is_option(o))
				command_table_add(t, o);
	t->longs[t->nr] = (struct option){ .name = "help", .val = KEY_HELP };
}

/* Number of the option; @t->nr: none. */
static unsigned command_table_find(const struct command_table *t, int key)
{
	unsigned i = 0;

	if (key >= KEY_FIRST)
		return (unsigned)(key - KEY_FIRST);
	while (i < t->nr && t->entries[i]->letter != key)
		i++;
	return i;
}

/* How many names does a long option that getopt refused begin? */
static unsigned count_names(const struct command_table *t, const char *word)
{
	size_t len = strcspn(word, "=");
	unsigned nr = 0;

	for (const struct option *l = t->longs; l->name; l++)
		if (strncmp(word, l->name, len) == 0)
			nr++;
	return nr;
}

/*
 * The word with the option that getopt stopped at: the last one it has moved
 * past, or, when that was a letter with others behind it, the next.
 */
static const char *refused_word(char **argv)
{
	const char *word = argv[optind - 1];
	size_t len = strlen(word);

	if (optopt == 0 || optopt >= KEY_HELP)
		return word;
	if (len > 1 && word[0] == '-' && word[1] != '-' &&
	    word[len - 1] == optopt)
		return word;
	return argv[optind] ? argv[optind] : word;
}

static int explain_refusal(const struct command_table *t, int key, char **argv,
			   struct diag *d)
{
	const char *word = refused_word(argv);
	const struct option_entry *o;
	char arg[OPTION_ARG_MAX];
	unsigned i = command_table_find(t, optopt);

	if (key == ':' && i < t->nr) {
		const struct option_entry *const *table = t->command->options;

		o = t->entries[i];
		(void)option_arg(table[0], o, arg);
		if (optopt < KEY_HELP)
			return diag_fail(d, ST_USAGE, EINVAL,
					 "option '-%c' needs a value, %s",
					 optopt, arg);
		return diag_fail(d, ST_USAGE, EINVAL,
				 "option '--%s' needs a value, %s",
				 option_flag(o), arg);
	}
	if (optopt >= KEY_HELP)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "option '--%s' takes no value",
				 t->longs[i].name);
	if (optopt == 0 && count_names(t, word + 2) > 1)
		return command_fail(t->command, d,
				    "option '%.200s' is ambiguous", word);
	return command_fail(t->command, d, "unrecognized option '%.200s'",
			    word);
}

/* --- one command --- */

static int check_words(const struct command *c, const struct command_args *a,
		       struct diag *d)
{
	if (a->nr_words < c->min_words)
		return command_fail(c, d, "wants %s", c->words);
	if (a->nr_words > c->max_words)
		return command_fail(c, d, "unexpected argument '%.200s'",
				    a->words[c->max_words]);
	return 0;
}

static void take_option(const struct command_table *t, int key,
			struct command_args *out)
{
	unsigned i = command_table_find(t, key);

	out->given[i] = true;
	out->value[i] = optarg;
	out->items[out->nr_items++] =
		(struct command_item){ t->entries[i], optarg };
}

int command_parse(const struct command *c, int argc, char **argv,
		  struct command_args *out, struct diag *d)
{
	struct command_table t;
	size_t room = 1;
	int key;

	memset(out, 0, sizeof(*out));
	out->command = c;
	for (int i = 0; i < argc; i++) /* a letter is an option, too */
		room += strlen(argv[i]) + 1;
	out->items = calloc(room, sizeof(*out->items));
	if (!out->items)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	command_table_init(&t, c);
	opterr = 0;
	optind = 0;
	while ((key = getopt_long(argc, argv, t.letters, t.longs, NULL)) !=
	       -1) {
		if (key == KEY_HELP) {
			command_help(c, stdout);
			return 1;
		}
		if (key == ':' || key == '?')
			return explain_refusal(&t, key, argv, d);
		take_option(&t, key, out);
	}
	out->words = argv + optind;
	out->nr_words = (unsigned)(argc - optind);
	return check_words(c, out, d);
}

void command_args_destroy(struct command_args *a)
{
	if (!a)
		return;
	free(a->items);
	memset(a, 0, sizeof(*a));
}

static int command_do(const struct command *root, const struct command *c,
		      int argc, char **argv, struct diag *d)
{
	struct command_args a;
	int ret = command_parse(c, argc, argv, &a, d);

	if (ret == 0) {
		a.root = root;
		ret = c->run(&a, d);
	} else if (ret > 0) {
		ret = ST_OK;
	}
	command_args_destroy(&a);
	return ret;
}

/* --- a command that has commands --- */

/* "--help" and, of @c, "--NAME" of each that is an option as well. */
static const struct command *command_as_option(const struct command *c,
					       const char *word)
{
	const struct command *found = NULL;

	if (strncmp(word, "--", 2) == 0)
		found = command_find(c, word + 2);
	return found && found->as_option ? found : NULL;
}

static bool command_wants_help(const struct command *c, const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
	       (strcmp(word, "help") == 0 && !command_find(c, "help"));
}

/* The next one after @c. Return: 0; 1: help was printed; -EINVAL. */
static int command_next(const struct command *c, const char *word,
			const struct command **next, struct diag *d)
{
	if (!word)
		return command_fail(c, d, "no command");
	if (command_wants_help(c, word)) {
		command_help(c, stdout);
		return 1;
	}
	*next = command_find(c, word);
	if (!*next)
		*next = command_as_option(c, word);
	if (*next)
		return 0;
	return command_fail(
		c, d, "%s '%.64s'",
		*word == '-' ? "unrecognized option" : "unknown command", word);
}

int command_run(const struct command *root, int argc, char **argv,
		struct diag *d)
{
	const struct command *c = root;

	while (c->commands) {
		int ret, skip = argc > 1 && strcmp(argv[1], "--") == 0;

		argv += 1 + skip;
		argc -= 1 + skip;
		ret = command_next(c, argc > 0 ? argv[0] : NULL, &c, d);
		if (ret)
			return ret < 0 ? ret : ST_OK;
	}
	return command_do(root, c, argc, argv, d);
}
