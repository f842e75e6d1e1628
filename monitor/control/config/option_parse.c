/* SPDX-License-Identifier: BSD-2-Clause */
/* Values as text of a command line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/base/size.h"
#include "monitor/control/config/keyval.h"
#include "monitor/control/config/option.h"

/* on, off, or nothing for on. */
static int parse_switch(const struct option_entry *o, void *obj,
			const char *text, const struct config_at *at)
{
	bool on = !text || strcmp(text, "on") == 0;

	if (!on && strcmp(text, "off") != 0)
		return config_fail(at, EINVAL, "%s must be on or off, not '%s'",
				   o->name, text);
	option_set_switch(o, obj, on);
	return 0;
}

static int parse_number(const struct option_entry *o, void *obj,
			const char *text, const struct config_at *at)
{
	char *end;
	long long v;

	if (o->type == OPTION_NODE && strcmp(text, "auto") == 0) {
		option_set_default(o, obj);
		return 0;
	}
	errno = 0;
	v = strtoll(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno)
		return config_fail(at, EINVAL, "'%s' is not a number", text);
	return option_set_number(o, obj, v, at);
}

static int parse_size(const struct option_entry *o, void *obj, const char *text,
		      const struct config_at *at)
{
	uint64_t bytes = 0;

	if (size_parse(text, &bytes))
		return config_fail(at, EINVAL, "'%s' is not " SIZE_SYNTAX,
				   text);
	return option_set_size(o, obj, bytes, at);
}

/* In a list, @at names the option and not the key. */
static int parse_choice(const struct option_entry *o, void *obj,
			const char *text, const struct config_at *at)
{
	if (strcmp(text, o->arg) != 0 && strcmp(text, o->unset) != 0)
		return config_fail(at, EINVAL, "%s must be %s or %s, not '%s'",
				   o->name, o->arg, o->unset, text);
	return option_set_choice(o, obj, text, at);
}

static int parse_word(const struct option_entry *o, void *obj, const char *text,
		      const struct config_at *at)
{
	if (o->of && option_find_word(o, text) < 0)
		return config_fail(at, EINVAL, "%s must be one of %s, not '%s'",
				   o->name, o->arg, text);
	return option_set_choice(o, obj, text, at);
}

int option_parse(const struct option_entry *o, void *obj, const char *text,
		 const struct config_at *at)
{
	switch (o->type) {
	case OPTION_SWITCH:
		return parse_switch(o, obj, text, at);
	case OPTION_CHOICE:
		return parse_choice(o, obj, text, at);
	case OPTION_WORD:
		return parse_word(o, obj, text, at);
	case OPTION_NUMBER:
	case OPTION_NODE:
		return parse_number(o, obj, text, at);
	case OPTION_SIZE:
		return parse_size(o, obj, text, at);
	default:
		return option_set_text(o, obj, NULL, text, at);
	}
}

/* --- lists --- */

static int unknown_key(const struct option_entry *table, const char *of,
		       const char *key, const struct config_at *at)
{
	char known[OPTION_ARG_MAX] = "";
	size_t len = 0;

	for (const struct option_entry *o = table; o->name; o++)
		if (!of == !o->of && (!of || strcmp(of, o->of) == 0) &&
		    len < sizeof(known))
			len += (size_t)snprintf(known + len,
						sizeof(known) - len, "%s%s",
						len ? ", " : "", o->name);
	return config_fail(at, EINVAL, "unknown key '%s'; known: %s", key,
			   known);
}

static int parse_item(const struct option_entry *table, const char *of,
		      void *obj, const struct keyval *kv,
		      const struct config_at *at)
{
	const struct option_entry *o = option_find(table, of, kv->key);

	if (!o)
		return unknown_key(table, of, kv->key, at);
	if (o->type != OPTION_SWITCH && (!kv->value || !*kv->value))
		return config_fail(at, EINVAL, "'%s' needs a value, %s=...",
				   kv->key, kv->key);
	return option_parse(o, obj, kv->value, at);
}

int option_parse_list(const struct option_entry *table,
		      const struct option_entry *first, void *obj,
		      const char *text, const struct config_at *at)
{
	const char *of = first ? first->name : NULL;
	struct keyval_list list;
	int err = keyval_parse(text, first != NULL, at->where, &list, at->d);

	if (err)
		return err;
	for (unsigned i = 0; i < list.nr && !err; i++) {
		const struct keyval *kv = &list.items[i];

		/* keyval_parse() refuses one without a key if @first is NULL. */
		if (kv->key)
			err = parse_item(table, of, obj, kv, at);
		else if (first)
			err = option_parse(first, obj, kv->value, at);
	}
	keyval_destroy(&list);
	return err;
}

/* --- printing --- */

static void print_escaped(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == ',' || *text == '\\')
			(void)fputc('\\', out);
		(void)fputc(*text, out);
	}
}

void option_print(const struct option_entry *o, const void *obj, FILE *out)
{
	char word[OPTION_ARG_MAX];
	int64_t v;

	if (option_is_text(o)) {
		print_escaped(option_text(o, obj), out);
		return;
	}
	v = option_value(o, obj);
	if (o->type == OPTION_SWITCH)
		(void)fputs(v ? "on" : "off", out);
	else if (o->type == OPTION_CHOICE || o->type == OPTION_WORD)
		(void)fputs(option_word(o, obj, word), out);
	else if (o->type == OPTION_NODE && v == NODE_AUTO)
		(void)fputs("auto", out);
	else
		(void)fprintf(out, "%lld", (long long)v);
}
