/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/keyval.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Ends the item at *@s, in place, taking escapes out. *@s moves past the
 * comma. Returns false when this was the last item.
 */
static bool cut_item(char **s)
{
	char *in = *s, *out = *s;
	bool more;

	while (*in && *in != ',') {
		if (in[0] == '\\' && (in[1] == ',' || in[1] == '\\'))
			in++;
		*out++ = *in++;
	}
	more = *in == ',';
	*s = more ? in + 1 : in;
	*out = '\0';
	return more;
}

static bool good_key(const char *key)
{
	return *key >= 'a' && *key <= 'z' &&
	       key[strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789-")] ==
		       '\0';
}

static int split_item(char *text, const char *what, struct keyval_list *l,
		      struct diag *d)
{
	struct keyval kv = { .key = text };
	char *equals = strchr(text, '=');

	if (equals) {
		*equals = '\0';
		kv.value = equals + 1;
	}
	if (!*text && !equals)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "%s: nothing between two commas or at the "
				 "end; write a comma in a value as '\\,'",
				 what);
	if (!good_key(text))
		return diag_fail(d, ST_USAGE, EINVAL,
				 "%s: '%s' is not a key; write a comma in a "
				 "value as '\\,'",
				 what, text);
	for (unsigned i = 0; i < l->nr; i++)
		if (l->items[i].key && strcmp(l->items[i].key, text) == 0)
			return diag_fail(d, ST_USAGE, EINVAL,
					 "%s: '%s' is given twice", what, text);
	l->items[l->nr++] = kv;
	return 0;
}

static int add_item(char *text, bool first, const char *what,
		    struct keyval_list *l, struct diag *d)
{
	if (l->nr == KEYVAL_MAX)
		return diag_fail(d, ST_USAGE, EINVAL, "%s: more than %d values",
				 what, KEYVAL_MAX);
	if (!first)
		return split_item(text, what, l, d);
	if (!*text)
		return diag_fail(d, ST_USAGE, EINVAL, "%s: empty value", what);
	l->items[l->nr++] = (struct keyval){ .value = text };
	return 0;
}

int keyval_parse(const char *text, bool first, const char *what,
		 struct keyval_list *out, struct diag *d)
{
	struct keyval_list l = { .text = strdup(text) };
	char *next = l.text;
	bool more = true;
	int err = 0;

	if (!l.text)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	while (more && !err) {
		char *item = next;

		more = cut_item(&next);
		err = add_item(item, first && l.nr == 0, what, &l, d);
	}
	if (err)
		keyval_destroy(&l);
	else
		*out = l;
	return err;
}

void keyval_destroy(struct keyval_list *list)
{
	if (!list)
		return;
	free(list->text);
	memset(list, 0, sizeof(*list));
}
