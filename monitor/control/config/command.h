/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands in tables: what each is called, its options and words, and who does
 * it. The parser, --help, the shells' completion and the man page read the
 * same tables. A command does something, or has commands below it: `disco`
 * itself has all of them, `disco image` its own.
 */
#ifndef DISCO_MONITOR_COMMAND_H
#define DISCO_MONITOR_COMMAND_H

#include "disco/base.h"
#include "disco/diag.h"
#include "monitor/control/config/option.h"

#define COMMAND_MAX_OPTIONS 32
#define COMMAND_MAX_WORDS   1024

struct command_args;

struct command {
	const char *name;    /* "disco": the one that has all others */
	const char *group;   /* of a command below another: that one's name */
	const char *brief;   /* a phrase, for the list of commands */
	const char *words;   /* for people: "VM..."; NULL: none. "VM" first: the
			    * names of VMs complete it, else files */
	const char *choices; /* "bash zsh": what its word may be; NULL */
	const char *help;    /* sentences; a newline between lines */
	const char *more;    /* behind the options; NULL */
	unsigned min_words, max_words;
	const struct option_entry *options[2]; /* tables; NULL: none */
	const struct command *const *commands; /* below it; a NULL ends them */
	bool as_option; /* --NAME is the same, where no command is expected */
	/* Return: an exit status (>= 0); -errno with @d filled. */
	int (*run)(const struct command_args *a, struct diag *d);
};

struct command_item {
	const struct option_entry *option;
	const char *value; /* in argv; NULL for a switch */
};

/* A command line that was read. */
struct command_args {
	const struct command *root; /* that has all commands */
	const struct command *command;
	bool given[COMMAND_MAX_OPTIONS]; /* by number, through both tables */
	const char *value[COMMAND_MAX_OPTIONS]; /* the last one; in argv */
	struct command_item *items; /* owned: all that were given, in order */
	unsigned nr_items;
	char **words; /* in argv */
	unsigned nr_words;
};

/* An entry that is given as an option, not in the value of another one. */
static inline bool command_is_option(const struct option_entry *o)
{
	return !o->of;
}

/**
 * command_parse() - read the command line of a command that does something
 * @argv: argv[0] is the command; permuted, and kept by @out
 * @out:  release with command_args_destroy(), also after an error
 * @d:    why not (ST_USAGE): an option that is not known, has no value or one
 *        too many; too few or too many words
 *
 * What follows "--" is words. Context: one thread (getopt).
 * Return: 0; 1 --help was asked for and printed; -EINVAL; -ENOMEM.
 */
MUST_CHECK int command_parse(const struct command *c, int argc, char **argv,
			     struct command_args *out, struct diag *d);

/* NULL and all-zero are fine. */
void command_args_destroy(struct command_args *a);

/**
 * command_run() - do what a command line says
 * @root: argv[0] is it, whatever it is called there; it may have commands
 *
 * Return: an exit status (>= 0); -errno with @d filled: -EINVAL (ST_USAGE) as
 * command_parse(), no or an unknown command; what the command returns.
 */
MUST_CHECK int command_run(const struct command *root, int argc, char **argv,
			   struct diag *d);

#define COMMAND_PATH_MAX 64

/* "disco", "disco run", "disco image check". Returns @buf. */
const char *command_path(const struct command *c, char buf[COMMAND_PATH_MAX]);

/* Below @c, of that name; or NULL. */
const struct command *command_find(const struct command *c, const char *name);

/* What --help prints. */
void command_help(const struct command *c, FILE *out);

#endif
