/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of GRUB's scripts: quotes, escapes, variables, comments; and the
 * variables themselves. Everything is bounded: what exceeds a bound is an error
 * of the script. Source: GRUB manual, "Writing full configuration files
 * directly", "Shell-like scripting".
 */
#ifndef DISCO_BOOTENTRY_GRUB_WORDS_H
#define DISCO_BOOTENTRY_GRUB_WORDS_H

#include "disco/base.h"

#define GRUB_WORDS_MAX 128u
#define GRUB_TEXT_MAX  8192u /* bytes of one command, expanded */
#define GRUB_VARS_MAX  128u
#define GRUB_NAME_MAX  48u
#define GRUB_VALUE_MAX 2048u

struct grub_var {
	char name[GRUB_NAME_MAX];
	char *value; /* malloc'ed; NULL: unset */
};

struct grub_vars {
	struct grub_var vars[GRUB_VARS_MAX];
	unsigned nr;
};

void grub_vars_destroy(struct grub_vars *v);

/* Return: the value; "" if there is none. */
const char *grub_vars_get(const struct grub_vars *v, const char *name,
			  size_t len);

/* Return: 0; -E2BIG too many, or too long; -ENOMEM. */
MUST_CHECK int grub_vars_set(struct grub_vars *v, const char *name, size_t len,
			     const char *value);

enum grub_end {
	GRUB_END_LINE,	/* a newline, ';' or a word that ends by itself: then */
	GRUB_END_OPEN,	/* '{' */
	GRUB_END_CLOSE, /* '}' */
	GRUB_END_FILE,
};

/* One command: its words, up to what ended it. */
struct grub_command {
	const char *words[GRUB_WORDS_MAX]; /* in @text */
	unsigned nr;
	enum grub_end end;
	char text[GRUB_TEXT_MAX];
};

/**
 * grub_command_read() - read the next command
 * @at:   position in the script; moved behind the command
 * @stop: the script's end
 * @out:  nr 0: there was nothing before what ended it
 *
 * "if", "then", "else" and the other keywords before a command are commands of
 * their own.
 *
 * Return: 0; -E2BIG too many or too long words; -EBADMSG a quote that is not
 * closed.
 */
MUST_CHECK int grub_command_read(const char **at, const char *stop,
				 const struct grub_vars *vars,
				 struct grub_command *out);

#endif
