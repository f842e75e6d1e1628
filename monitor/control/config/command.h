/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands in tables: the name of each, its options, its words and the function
 * that does it. The parser, --help, the shells' completion and the man page read
 * the same tables. A command either does something, or has commands below it:
 * `disco` itself has all of them, `disco image` has its own.
 */
#ifndef DISCO_MONITOR_COMMAND_H
#define DISCO_MONITOR_COMMAND_H

#include "disco/base.h"
#include "disco/diag.h"
#include "monitor/control/config/option.h"

#define COMMAND_MAX_OPTIONS 48
#define COMMAND_MAX_WORDS   1024

struct command_args;

struct command {
	const char *name;  /* "disco": the command that has all others */
	const char *group; /* name of the command above it; NULL: "disco" */
	const char *brief; /* a phrase, for the list of commands */
	/*
	 * For people: "VM..."; NULL: none. Names of VMs complete words that
	 * begin with "VM", files complete others.
	 */
	const char *words;
	const char *choices; /* "bash zsh": allowed values of its word; NULL */
	const char *help;    /* sentences, without newlines */
	const char *more;    /* the same, printed after the options; NULL */
	unsigned min_words, max_words;
	const struct option_entry *options[2]; /* tables; NULL: none */
	const struct command *const *commands; /* below it; NULL at the end */
	bool as_option; /* --NAME is accepted in place of NAME */
	/* Return: an exit status (>= 0); -errno with @d filled. */
	int (*run)(const struct command_args *a, struct diag *d);
};

struct command_item {
	const struct option_entry *option;
	const char *value; /* in argv; NULL for a switch */
};

/* A command line that was read. */
struct command_args {
	const struct command *root; /* the command that has all others */
	const struct command *command;
	bool given[COMMAND_MAX_OPTIONS]; /* by number, through both tables */
	const char *value[COMMAND_MAX_OPTIONS]; /* last one given; in argv */
	struct command_item *items; /* owned: all options given, in order */
	unsigned nr_items;
	char **words; /* in argv */
	unsigned nr_words;
};

/* Return: true if it is an option itself, not part of another's value. */
static inline bool command_is_option(const struct option_entry *o)
{
	return !o->of;
}

/**
 * command_parse() - read the command line of a command that does something
 * @argv: argv[0] is the command; permuted, and referenced by @out
 * @out:  release with command_args_destroy(), also after an error
 * @d:    out on error (ST_USAGE): an unknown option, a missing or superfluous
 *        value, too few or too many words
 *
 * Everything after "--" is a word. Context: one thread at a time (getopt).
 * Return: 0; 1 --help was given, and was printed; -EINVAL; -ENOMEM.
 */
MUST_CHECK int command_parse(const struct command *c, int argc, char **argv,
			     struct command_args *out, struct diag *d);

/* NULL and all-zero are accepted. */
void command_args_destroy(struct command_args *a);

/**
 * command_run() - read a command line and run its command
 * @root: the command of argv[0], by whatever name; may have commands below it
 * @argv: permuted
 * @d:    out on error: the reason
 *
 * Context: the command's, and that of command_parse(). Return: an exit status
 * (>= 0); -EINVAL (ST_USAGE) a missing or unknown command; errors of
 * command_parse() and of the command.
 */
MUST_CHECK int command_run(const struct command *root, int argc, char **argv,
			   struct diag *d);

#define COMMAND_PATH_MAX 64

/* Format "disco", "disco run", "disco image check". Return: @buf. */
const char *command_path(const struct command *c, char buf[COMMAND_PATH_MAX]);

/* Return: the command of that name directly below @c, or NULL. */
const struct command *command_find(const struct command *c, const char *name);

/* Print what --help prints. The caller checks @out with ferror(). */
void command_help(const struct command *c, FILE *out);

#endif
