/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Splits comma-keyed option values: "256M,node=auto,huge=thp".
 *
 *   list  = [first ","] item { "," item }
 *   item  = key [ "=" value ]
 *   key   = lower-case letters and '-'
 *
 * A comma inside a value is written "\,", a backslash "\\". A backslash before
 * any other character stands for itself.
 */
#ifndef DISCO_MONITOR_KEYVAL_H
#define DISCO_MONITOR_KEYVAL_H

#include "disco/base.h"
#include "disco/diag.h"

#define KEYVAL_MAX 16 /* items per list */

struct keyval {
	const char *key;   /* NULL: the first value, which has no key */
	const char *value; /* NULL: a key without value */
};

struct keyval_list {
	char *text; /* owned; the items point into it */
	struct keyval items[KEYVAL_MAX];
	unsigned nr;
};

/**
 * keyval_parse() - split a comma-keyed value
 * @text:  the user's text
 * @first: the list begins with a value that has no key, as in "256M,strict";
 *         it is item 0 and may not be empty
 * @what:  name of the option, for messages
 * @out:   filled on success; release with keyval_destroy()
 * @d:     out on error: the reason (ST_USAGE)
 *
 * Context: any thread. Return: 0; -EINVAL an empty item, a bad key, a key that
 * is given twice, or more than KEYVAL_MAX items; -ENOMEM.
 */
MUST_CHECK int keyval_parse(const char *text, bool first, const char *what,
			    struct keyval_list *out, struct diag *d);

/* NULL and all-zero are accepted. */
void keyval_destroy(struct keyval_list *list);

#endif
