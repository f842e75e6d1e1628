/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Comma-keyed option values: "256M,node=auto,huge=thp".
 *
 *   list  = [first ","] item { "," item }
 *   item  = key [ "=" value ]
 *   key   = lower-case letters and '-'
 *
 * A comma inside a value is written "\,"; "\\" is a backslash; a backslash
 * before anything else is itself.
 */
#ifndef DISCO_MONITOR_KEYVAL_H
#define DISCO_MONITOR_KEYVAL_H

#include "disco/base.h"
#include "disco/diag.h"

#define KEYVAL_MAX 16 /* items a list */

struct keyval {
	const char *key;   /* NULL: the list's first value */
	const char *value; /* NULL: a key alone */
};

struct keyval_list {
	char *text; /* owned; what the items point into */
	struct keyval items[KEYVAL_MAX];
	unsigned nr;
};

/**
 * keyval_parse() - split a comma-keyed value
 * @text:  what the user wrote
 * @first: the list begins with a value that has no key, as in "256M,strict";
 *         it is item 0 and not empty
 * @what:  name of the option, for messages
 * @out:   filled on success; release with keyval_destroy()
 * @d:     why not, on error (ST_USAGE)
 *
 * Context: any thread. Return: 0; -EINVAL empty item, bad key, a key given
 * twice or more than KEYVAL_MAX items; -ENOMEM.
 */
MUST_CHECK int keyval_parse(const char *text, bool first, const char *what,
			    struct keyval_list *out, struct diag *d);

/* NULL and all-zero are fine. */
void keyval_destroy(struct keyval_list *list);

#endif
