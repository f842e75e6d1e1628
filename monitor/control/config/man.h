/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Manual pages: puts the lists of commands and options, which come from their
 * tables, into the texts that people write (docs/disco.1.in,
 * docs/disco.json.5.in).
 */
#ifndef DISCO_MONITOR_MAN_H
#define DISCO_MONITOR_MAN_H

#include <stdio.h>

#include "monitor/control/config/command.h"

/* A table of keys, and its name in the texts. */
struct man_keys {
	const char *name;
	const struct option_entry *table;
};

/**
 * man_page() - fill in a page
 * @in:   mdoc(7) text, in which these lines are replaced:
 *          .\" @synopsis            every command below @root
 *          .\" @options COMMAND     the command's options and their keys
 *          .\" @keys NAME           keys of JSON, a table of @keys
 * @out:  the page
 * @root: the command that has all others
 * @keys: ends with an entry without a name
 *
 * Context: blocks on the files. Return: 0; -EINVAL an unknown line that begins
 * with .\" @; -EIO reading or writing failed.
 */
MUST_CHECK int man_page(FILE *in, FILE *out, const struct command *root,
			const struct man_keys *keys);

#endif
