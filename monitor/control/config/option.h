/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options in tables. An entry describes one option: its name, type, range,
 * default and help, how it is given, and where in a struct its value is stored.
 * The command line, the JSON reader and writer, --help, the shells' completion
 * and the man pages are made from the tables. The meaning of an option is in the
 * code that uses its value.
 *
 * Context of all functions: any thread; no files are opened.
 */
#ifndef DISCO_MONITOR_OPTION_H
#define DISCO_MONITOR_OPTION_H

#include <stdio.h>

#include "disco/base.h"
#include "disco/diag.h"

#define OPTION_ARG_MAX 128 /* bytes of option_arg() and option_facts() */

/* Where a value was given, for messages: "--cpus", "f.json: vms[1].cpus". */
struct config_at {
	const char *where;	 /* not owned */
	enum exit_status status; /* ST_USAGE or ST_CONFIG */
	struct diag *d;
};

enum option_type {
	OPTION_RAW = 0, /* not stored: the command reads the text itself */
	OPTION_PATH,	/* char *, owned: path of a file */
	OPTION_NAME,	/* char *, owned: by the rules for names of VMs */
	OPTION_TEXT,	/* char *, owned: at most @most bytes; 0: any */
	OPTION_POLICY,	/* char *, owned: memory/placement/policies.h */
	OPTION_NODES,	/* char *, owned: numa/node_list.h */
	OPTION_TOKEN,	/* char *, owned: 1 to @most printable, no blanks */
	OPTION_SWITCH,	/* bool */
	OPTION_CHOICE,	/* bool: the word @arg, or the word @unset */
	OPTION_WORD,	/* unsigned: the number of a word of @arg, from 0 */
	OPTION_NUMBER,	/* unsigned or uint64_t, @least to @most */
	OPTION_SIZE,	/* uint64_t, bytes, @least to @most */
	OPTION_NODE,	/* nodeid_t: "auto", or a node's number */
	OPTION_DISKS,	/* the disks of a VM: vm_options.h */
	OPTION_NETS,	/* the networks of a VM: the same */
	OPTION_ARRAY,	/* of JSON, which the owner of the table reads */
	OPTION_OBJECT,	/* the same */
	OPTION_SHMS,	/* its shared segments: the same */
};

struct option_entry {
	const char *name; /* key in JSON; NULL ends a table */
	const char *flag; /* given as --FLAG; NULL: as --NAME */
	const char *of;	  /* given in the value of --OF, as NAME=...; NULL */
	const char *arg;  /* name of its value in texts; NULL: a switch */
	/* A phrase. Of a switch: the effect of on, or of off if @inverted. */
	const char *help;
	const char *unset; /* text of the default; NULL: @init, or no text */
	enum option_type type;
	char letter;   /* also given as -LETTER; 0: not */
	bool needed;   /* there is no default */
	bool inverted; /* a switch that is on by default; stored: is it off? */
	int64_t init;  /* number, size, node: the default */
	uint64_t least, most, multiple; /* multiple: for a size; 0: any */
	const char *subject, *unit;	/* in "SUBJECT 1 to 8 UNIT, not 9" */
	size_t offset, bytes;		/* of the value, in its struct */
};

/* Where the value of an entry is stored. */
#define OPTION_AT(type_, member)                                               \
	.offset = offsetof(type_, member), .bytes = sizeof(((type_ *)0)->member)

/* Set at->d to "WHERE: TEXT". Return: always -@err. */
PRINTF(3, 4)
int config_fail(const struct config_at *at, int err, const char *fmt, ...);

/* --- entries --- */

/*
 * Return: the entry of name @name that is given in the value of --@of (NULL: as
 * an option itself), or NULL.
 */
const struct option_entry *option_find(const struct option_entry *table,
				       const char *of, const char *name);

/* Return: the name on the command line, "memory" for "--memory". */
const char *option_flag(const struct option_entry *o);

/* Return: true if the value is a string that the struct owns. */
bool option_is_text(const struct option_entry *o);

/*
 * Format the value of --NAME with all its keys: "PATH[,unpack=on|off]". Return:
 * @buf; "" for a switch.
 */
const char *option_arg(const struct option_entry *table,
		       const struct option_entry *o, char buf[OPTION_ARG_MAX]);

/*
 * Format the option as part of another's value: "queues=N", "ro", "cache=off".
 * Return: @buf.
 */
const char *option_key(const struct option_entry *o, char buf[OPTION_ARG_MAX]);

/* Format range and default: "1 to 64; default: 1". Return: @buf; may be "". */
const char *option_facts(const struct option_entry *o,
			 char buf[OPTION_ARG_MAX]);

/* --- structs whose fields are all in a table --- */

/* Set the defaults in @obj, which is all-zero. */
void option_defaults(const struct option_entry *table, void *obj);

/**
 * option_own_texts() - make a bytewise copy of a struct independent
 * @obj: its strings are those of another struct; each is replaced by a copy
 *
 * Return: 0; -ENOMEM, and the strings that could not be copied are NULL.
 */
MUST_CHECK int option_own_texts(const struct option_entry *table, void *obj);

/* Free the strings, and set them to NULL. */
void option_free_texts(const struct option_entry *table, void *obj);

/* Set a number, size, node or switch to its default. */
void option_set_default(const struct option_entry *o, void *obj);

/* Return: true if the value differs from the default. */
bool option_is_given(const struct option_entry *o, const void *obj);

/* Return: the value of a string, owned by @obj; NULL: none. */
const char *option_text(const struct option_entry *o, const void *obj);

/* Return: the value of a number, size, node, word or switch (1: on). */
int64_t option_value(const struct option_entry *o, const void *obj);

/* Format the word of a CHOICE or WORD. Return: @buf. */
const char *option_word(const struct option_entry *o, const void *obj,
			char buf[OPTION_ARG_MAX]);

/*
 * Setters, by type: string types; NUMBER and NODE; SIZE; SWITCH; CHOICE and
 * WORD. Strings are copied. @dir is put before a relative path; NULL: the path
 * stays unchanged. Return: 0; -EINVAL with at->d filled; -ENOMEM (ST_HOST). The old
 * value stays on error.
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

/* Of a WORD: the number of @word among its words, or -1. */
int64_t option_find_word(const struct option_entry *o, const char *word);

/* --- as text of a command line --- */

/**
 * option_parse() - set a value from the text of a command line
 * @text: not kept; NULL: none was given, which only a switch accepts
 *
 * Return: 0; -EINVAL; -ENOMEM, as the setters.
 */
MUST_CHECK int option_parse(const struct option_entry *o, void *obj,
			    const char *text, const struct config_at *at);

/**
 * option_parse_list() - set values from "[VALUE,]KEY=VALUE,..."
 * @table: its entries whose @of is the name of @first are the allowed keys
 * @first: the option whose value comes first, without a key. NULL: no value
 *         comes first, and all entries of @table are allowed keys
 *
 * Values that @text does not name are unchanged. Return: 0; -EINVAL; -ENOMEM, as
 * the setters.
 */
MUST_CHECK int option_parse_list(const struct option_entry *table,
				 const struct option_entry *first, void *obj,
				 const char *text, const struct config_at *at);

/* Return: true if the value of --@o may have keys of @table. */
bool option_has_keys(const struct option_entry *table,
		     const struct option_entry *o);

/* Print the value as option_parse() reads it, with its commas escaped. */
void option_print(const struct option_entry *o, const void *obj, FILE *out);

#endif
