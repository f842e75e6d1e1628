/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest-hints/guest/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest-hints/guest/kinds.h"

int hint_parse_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *unit;
	uint64_t size;
	char *end;

	errno = 0;
	size = strtoull(text, &end, 0);
	if (end == text || errno || *text < '0' || *text > '9')
		return 0;
	if (*end) {
		unit = strchr(units, *end);
		if (!unit || end[1])
			return 0;
		for (const char *u = units; u <= unit; u++) {
			if (size >> 54)
				return 0;
			size <<= 10;
		}
	}
	*out = size;
	return 1;
}

int hint_parse_kind(const char *text, unsigned *vcpu)
{
	const char *equals = strchr(text, '=');
	uint64_t nr;

	*vcpu = 0;
	if (!equals)
		return strcmp(text, "private") == 0 ? 0 : hint_kind_of(text);
	if (strncmp(text, "private=", 8) != 0 ||
	    !hint_parse_size(equals + 1, &nr) || nr > UINT16_MAX)
		return 0;
	*vcpu = (unsigned)nr;
	return DISCO_HINT_PRIVATE;
}

/* Return: whether it is one. It is cut at its colon if so. */
static int hint_parse_rule(char *word, struct hint_rule *r)
{
	char *colon = strrchr(word, ':');

	*r = (struct hint_rule){ .kind = 0 };
	if (!colon)
		return 0;
	r->kind = hint_parse_kind(colon + 1, &r->vcpu);
	if (!r->kind)
		return 0;
	*colon = '\0';
	if (strncmp(word, "size=", 5) == 0 &&
	    hint_parse_size(word + 5, &r->bytes) && r->bytes)
		return 1;
	if (strncmp(word, "file=", 5) == 0 && word[5]) {
		r->bytes = 0;
		r->pattern = word + 5;
		return 1;
	}
	*colon = ':';
	return 0;
}

unsigned hint_parse_rules(char *text, struct hint_rule *out, const char **bad)
{
	unsigned nr = 0;
	struct hint_rule r;
	char *word;

	*bad = NULL;
	while ((word = strsep(&text, ",")) != NULL) {
		if (nr < HINT_RULES_MAX && hint_parse_rule(word, &r))
			out[nr++] = r;
		else if (!*bad)
			*bad = word;
	}
	return nr;
}
