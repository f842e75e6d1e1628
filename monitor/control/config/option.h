/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options in tables. An entry describes one option: its name, type, range,
 * default and help, how it is given, and where in a struct its value is kept.
 * The command line, the JSON reader and writer, --help, the shells' completion
 * and the man pages are made from the tables; what an option means is the
 * business of the code that uses it.
 *
 * Context of all functions: any thread; no files touched.
 */
#ifndef DISCO_MONITOR_OPTION_H
#define DISCO_MONITOR_OPTION_H

#include <stdio.h>

#include "disco/base.h"
#include "disco/diag.h"

#define OPTION_ARG_MAX 128 /* bytes of option_arg() and option_facts() */

/* Where a value stands, for messages: "--cpus", "f.json: vms[1].cpus". */
struct config_at {
	const char *where;	 /* not owned */
	enum exit_status status; /* ST_USAGE or ST_CONFIG */
	struct diag *d;
};

enum option_type {
	OPTION_RAW = 0, /* kept nowhere: the command reads the text itself */
	OPTION_PATH,	/* char *, owned: of a file */
	OPTION_NAME,	/* char *, owned: named as VMs are */
	OPTION_TEXT,	/* char *, owned: at most @most bytes; 0: any */
	OPTION_TOKEN,	/* char *, owned: 1 to @most printable, no blanks */
	OPTION_SWITCH,	/* bool */
	OPTION_CHOICE,	/* bool: "off", or the word @arg */
	OPTION_NUMBER,	/* unsigned or uint64_t, @least to @most */
	OPTION_SIZE,	/* uint64_t, bytes, @least to @most */
	OPTION_NODE,	/* nodeid_t: "auto", or a node's number */
	OPTION_DISKS,	/* the disks of a VM: vm_options.h */
};

struct option_entry {
	const char *name;  /* key in JSON; NULL ends a table */
	const char *flag;  /* given as --FLAG; NULL: as --NAME */
	const char *of;	   /* given in the value of --OF, as NAME=...; NULL */
	const char *arg;   /* what its value is called; NULL: a switch */
	const char *help;  /* a phrase; of a switch: what it does when it is
			    * given (@inverted: when it is off) */
	const char *unset; /* what holds when it is not given; NULL: @init, or
			    * nothing to say */
	enum option_type type;
	char letter;   /* given as -n, too; 0: not */
	bool needed;   /* there is no default */
	bool inverted; /* a switch that is on unless it is switched off; what
			* is kept is whether it is off */
	int64_t init;  /* number, size, node: the default */
	uint64_t least, most, multiple; /* multiple: of a size; 0: any */
	const char *subject, *unit;	/* in "SUBJECT 1 to 8 UNIT, not 9" */
	size_t offset, bytes;		/* of the value, in its struct */
};

/* Where the value of an entry is kept. */
#define OPTION_AT(type_, member)                                               \
	.offset = offsetof(type_, member), .bytes = sizeof(((type_ *)0)->member)

/* "WHERE: TEXT" into at->d. Return: -@err, always. */
PRINTF(3, 4)
int config_fail(const struct config_at *at, int err, const char *fmt, ...);

/* --- entries --- */

/* Of name @name, given in the value of --@of (NULL: not so). NULL: none. */
const struct option_entry *option_find(const struct option_entry *table,
				       const char *of, const char *name);

/* "memory" of "--memory". */
const char *option_flag(const struct option_entry *o);

/* Is the value a string that the struct owns? */
bool option_is_text(const struct option_entry *o);

/* "PATH[,unpack=on|off]": the value of --NAME with all that goes into it.
 * Returns @buf; "" for a switch. */
const char *option_arg(const struct option_entry *table,
		       const struct option_entry *o, char buf[OPTION_ARG_MAX]);

/* "queues=N", "ro", "cache=off": the option as a part of another's value. */
const char *option_key(const struct option_entry *o, char buf[OPTION_ARG_MAX]);

/* "1 to 64; default: 1": range and default. Returns @buf; "" for none. */
const char *option_facts(const struct option_entry *o,
			 char buf[OPTION_ARG_MAX]);

/* --- structs of which a table knows each field --- */

/* Defaults over an all-zero @obj. */
void option_defaults(const struct option_entry *table, void *obj);

/**
 * option_own_texts() - make a bytewise copy of a struct independent
 * @obj: its strings are those of another; each is replaced by a copy
 *
 * Return: 0; -ENOMEM, the strings that could not be copied are NULL.
 */
MUST_CHECK int option_own_texts(const struct option_entry *table, void *obj);

/* Frees the strings and sets them to NULL. */
void option_free_texts(const struct option_entry *table, void *obj);

/* Number, size, node, switch: the default again. */
void option_set_default(const struct option_entry *o, void *obj);

/* Is the value another one than the default? */
bool option_is_given(const struct option_entry *o, const void *obj);

/* The value of a string; NULL: none. */
const char *option_text(const struct option_entry *o, const void *obj);

/* The value of a number, a size, a node or a switch (1: as its name says). */
int64_t option_value(const struct option_entry *o, const void *obj);

/*
 * Setters, by type: string types; NUMBER and NODE; SIZE; SWITCH; CHOICE. Each
 * returns 0, -EINVAL with at->d filled, or -ENOMEM (ST_HOST); the old value
 * stays on error. Strings are copied. @dir goes before a relative path; NULL:
 * the path as it is.
 */
MUST_CHECK int option_set_text(const struct option_entry *o, void *obj,
			       const char *dir, const char *text,
			       const struct config_at *at);
MUST_CHECK int option_set_number(const struct option_entry *o, void *obj,
				 int64_t v, const struct config_at *at);
MUST_CHECK int option_set_size(const struct option_entry *o, void *obj,
			       uint64_t bytes, const struct config_at *at);
void option_set_switch(const struct option_entry *o, void *obj, bool on);
MUST_CHECK int option_set_choice(const struct option_entry *o, void *obj,
				 const char *word, const struct config_at *at);

/* --- as text of a command line --- */

/**
 * option_parse() - set a value from the text of a command line
 * @text: NULL: none was given, which only a switch can do without; not kept
 *
 * Return: 0; -EINVAL; -ENOMEM; as the setters.
 */
MUST_CHECK int option_parse(const struct option_entry *o, void *obj,
			    const char *text, const struct config_at *at);

/**
 * option_parse_list() - set values from "[VALUE,]KEY=VALUE,..."
 * @table: the keys are those of its entries whose @of is that of @first
 * @first: the option whose value comes first, without a key; its name is the
 *         @of of the others. NULL: none, and the keys are all of @table
 *
 * What is not named in @text stays as it was. Return: 0; -EINVAL; -ENOMEM.
 */
MUST_CHECK int option_parse_list(const struct option_entry *table,
				 const struct option_entry *first, void *obj,
				 const char *text, const struct config_at *at);

/* Does the value of --@o take keys of @table? */
bool option_has_keys(const struct option_entry *table,
		     const struct option_entry *o);

/* The value as option_parse() reads it, with its commas escaped. */
void option_print(const struct option_entry *o, const void *obj, FILE *out);

#endif
