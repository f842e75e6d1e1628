/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of hints, for the command and for the preloaded library. */
#ifndef DISCO_HINT_KINDS_H
#define DISCO_HINT_KINDS_H

#include <stddef.h>
#include <string.h>

#include "guest-hints/guest/disco_hint.h"

static const struct hint_kind_name {
	const char *name;
	int kind;
} hint_kind_names[] = {
	{ "read-mostly", DISCO_HINT_READ_MOSTLY },
	{ "private", DISCO_HINT_PRIVATE },
	{ "rewrite", DISCO_HINT_REWRITE },
	{ "cold", DISCO_HINT_COLD },
	{ "pin", DISCO_HINT_PIN },
	{ "pin-off", DISCO_HINT_PIN_OFF },
	{ "merge", DISCO_HINT_MERGE },
	{ "forget", DISCO_HINT_FORGET },
	{ NULL, 0 },
};

/* Return: the kind; 0: there is none of that name. */
static inline int hint_kind_of(const char *name)
{
	for (const struct hint_kind_name *k = hint_kind_names; k->name; k++)
		if (strcmp(k->name, name) == 0)
			return k->kind;
	return 0;
}

#endif
