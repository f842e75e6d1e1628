/* SPDX-License-Identifier: BSD-2-Clause */
/* Entries of tables, and values in structs: what a single value may be. */
#include "monitor/control/config/option.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "disco/limits.h"
#include "memory/placement/policies.h"
#include "monitor/control/base/size.h"
#include "numa/bind.h"
#include "numa/node_list.h"

#define ALNUM                                                                  \
	"abcdefghijklmnopqrstuvwxyz"                                           \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

int config_fail(const struct config_at *at, int err, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return diag_fail(at->d, at->status, err, "%s: %s", at->where, text);
}

static int option_no_memory(const struct config_at *at)
{
	return diag_fail(at->d, ST_HOST, ENOMEM, "out of memory");
}

/* --- values --- */

static char **option_text_slot(const struct option_entry *o, void *obj)
{
	return (char **)(void *)((char *)obj + o->offset);
}

static int64_t option_load(const struct option_entry *o, const void *obj)
{
	const void *at = (const char *)obj + o->offset;

	if (o->type == OPTION_NODE)
		return *(const nodeid_t *)at;
	if (o->bytes == sizeof(bool))
		return *(const bool *)at;
	if (o->bytes == sizeof(unsigned))
		return *(const unsigned *)at;
	return (int64_t) * (const uint64_t *)at;
}

static void option_store(const struct option_entry *o, void *obj, int64_t v)
{
	void *at = (char *)obj + o->offset;

	if (o->type == OPTION_NODE)
		*(nodeid_t *)at = (nodeid_t)v;
	else if (o->bytes == sizeof(bool))
		*(bool *)at = v != 0;
	else if (o->bytes == sizeof(unsigned))
		*(unsigned *)at = (unsigned)v;
	else
		*(uint64_t *)at = (uint64_t)v;
}

bool option_is_text(const struct option_entry *o)
{
	return o->type >= OPTION_PATH && o->type <= OPTION_TOKEN;
}

static bool option_is_number(const struct option_entry *o)
{
	return o->type >= OPTION_SWITCH && o->type <= OPTION_NODE;
}

void option_set_default(const struct option_entry *o, void *obj)
{
	option_store(o, obj, o->init);
}

void option_defaults(const struct option_entry *table, void *obj)
{
	for (const struct option_entry *o = table; o->name; o++)
		if (option_is_number(o))
			option_set_default(o, obj);
}

int option_own_texts(const struct option_entry *table, void *obj)
{
	int err = 0;

	for (const struct option_entry *o = table; o->name; o++) {
		char **slot;

		if (!option_is_text(o))
			continue;
		slot = option_text_slot(o, obj);
		if (!*slot)
			continue;
		*slot = strdup(*slot);
		if (!*slot)
			err = -ENOMEM;
	}
	return err;
}

void option_free_texts(const struct option_entry *table, void *obj)
{
	for (const struct option_entry *o = table; o->name; o++) {
		if (!option_is_text(o))
			continue;
		free(*option_text_slot(o, obj));
		*option_text_slot(o, obj) = NULL;
	}
}

const char *option_text(const struct option_entry *o, const void *obj)
{
	return *(char *const *)(const void *)((const char *)obj + o->offset);
}

int64_t option_value(const struct option_entry *o, const void *obj)
{
	int64_t v = option_load(o, obj);

	return o->inverted ? !v : v;
}

bool option_is_given(const struct option_entry *o, const void *obj)
{
	if (option_is_text(o))
		return option_text(o, obj) != NULL;
	return option_is_number(o) && option_load(o, obj) != o->init;
}

/* --- setters --- */

static int option_check_path(const char *path, const struct config_at *at)
{
	if (!*path)
		return config_fail(at, EINVAL, "an empty path");
	if (strlen(path) >= PATH_MAX)
		return config_fail(at, EINVAL, "a path longer than %d bytes",
				   PATH_MAX - 1);
	return 0;
}

static int option_check_name(const char *name, const struct config_at *at)
{
	size_t len = strlen(name);

	if (len == 0 || len > VM_NAME_MAX)
		return config_fail(at, EINVAL, "a name has 1 to %d characters",
				   VM_NAME_MAX);
	if (strspn(name, ALNUM "._-") != len || strspn(name, ALNUM) == 0)
		return config_fail(at, EINVAL,
				   "'%s' is not a name: letters, digits and "
				   "'._-', a letter or digit first",
				   name);
	return 0;
}

static int option_check_token(const struct option_entry *o, const char *text,
			      const struct config_at *at)
{
	size_t len = strlen(text);

	if (len == 0 || len > o->most)
		return config_fail(at, EINVAL, "%s has 1 to %llu characters",
				   o->subject, (unsigned long long)o->most);
	for (const char *s = text; *s; s++)
		if (*s <= ' ' || *s > '~')
			return config_fail(at, EINVAL,
					   "%s is printable ASCII without "
					   "blanks",
					   o->subject);
	return 0;
}

/* One that is built in, with parameters that it has. */
static int option_check_policy(const char *text, const struct config_at *at)
{
	struct policy_choice choice;
	struct diag d = { .status = ST_OK };

	if (strlen(text) >= VM_POLICY_MAX)
		return config_fail(at, EINVAL, "longer than %u bytes",
				   VM_POLICY_MAX - 1);
	if (policy_parse(text, NULL, &choice, &d))
		return config_fail(at, EINVAL, "%s", d.text);
	return 0;
}

static int option_check_nodes(const char *text, const struct config_at *at)
{
	struct node_list l;
	int err = node_list_parse(text, &l);

	if (err == -EEXIST)
		return config_fail(at, EINVAL, "'%s' names a node twice", text);
	if (err == -E2BIG)
		return config_fail(at, EINVAL, "'%s' has more than %d nodes",
				   text, MAX_NODES);
	if (err)
		return config_fail(at, EINVAL,
				   "'%s' is not a list of nodes, as 0-3 or 0+2",
				   text);
	return 0;
}

static int option_check_text(const struct option_entry *o, const char *text,
			     const struct config_at *at)
{
	switch (o->type) {
	case OPTION_PATH:
		return option_check_path(text, at);
	case OPTION_NAME:
		return option_check_name(text, at);
	case OPTION_TOKEN:
		return option_check_token(o, text, at);
	case OPTION_POLICY:
		return option_check_policy(text, at);
	case OPTION_NODES:
		return option_check_nodes(text, at);
	default:
		if (!o->most || strlen(text) <= o->most)
			return 0;
		return config_fail(at, EINVAL, "longer than %llu bytes",
				   (unsigned long long)o->most);
	}
}

int option_set_text(const struct option_entry *o, void *obj, const char *dir,
		    const char *text, const struct config_at *at)
{
	char *copy = NULL, **slot = option_text_slot(o, obj);
	int err = option_check_text(o, text, at);

	if (err)
		return err;
	if (o->type != OPTION_PATH || !dir || *text == '/')
		copy = strdup(text);
	else if (asprintf(&copy, "%s/%s", dir, text) < 0)
		copy = NULL;
	if (!copy)
		return option_no_memory(at);
	free(*slot);
	*slot = copy;
	return 0;
}

int option_set_number(const struct option_entry *o, void *obj, int64_t v,
		      const struct config_at *at)
{
	if (o->type == OPTION_NODE && (v < 0 || v > NODE_ID_MAX))
		return config_fail(at, EINVAL,
				   "must be 'auto' or a node's number, 0 to %d",
				   NODE_ID_MAX);
	if (o->type == OPTION_NUMBER &&
	    (v < (int64_t)o->least || v > (int64_t)o->most))
		return config_fail(
			at, EINVAL, "%s%s%llu to %llu %s, not %lld",
			o->subject ? o->subject : "", o->subject ? " " : "",
			(unsigned long long)o->least,
			(unsigned long long)o->most, o->unit, (long long)v);
	option_store(o, obj, v);
	return 0;
}

int option_set_size(const struct option_entry *o, void *obj, uint64_t bytes,
		    const struct config_at *at)
{
	char min[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX], is[SIZE_TEXT_MAX];

	if (bytes < o->least || bytes > o->most)
		return config_fail(
			at, EINVAL, "%s%s%s to %s %s, not %s",
			o->subject ? o->subject : "", o->subject ? " " : "",
			size_text(o->least, min), size_text(o->most, max),
			o->unit, size_text(bytes, is));
	if (o->multiple && bytes % o->multiple)
		return config_fail(at, EINVAL,
				   "%s is not a multiple of the page size, %u",
				   size_text(bytes, is), (unsigned)o->multiple);
	option_store(o, obj, (int64_t)bytes);
	return 0;
}

void option_set_switch(const struct option_entry *o, void *obj, bool on)
{
	option_store(o, obj, on != o->inverted);
}

int64_t option_find_word(const struct option_entry *o, const char *word)
{
	const char *at = o->arg;
	size_t len = strlen(word);

	for (int64_t i = 0;; i++) {
		size_t n = strcspn(at, "|");

		if (n == len && memcmp(at, word, n) == 0)
			return i;
		if (!at[n])
			return -1;
		at += n + 1;
	}
}

static int option_set_word(const struct option_entry *o, void *obj,
			   const char *word, const struct config_at *at)
{
	int64_t i = option_find_word(o, word);

	if (i < 0)
		return config_fail(at, EINVAL, "must be one of %s, not '%s'",
				   o->arg, word);
	option_store(o, obj, i);
	return 0;
}

const char *option_word(const struct option_entry *o, const void *obj,
			char buf[OPTION_ARG_MAX])
{
	int64_t i = option_value(o, obj);
	const char *at = o->arg;

	if (o->type == OPTION_CHOICE) {
		(void)snprintf(buf, OPTION_ARG_MAX, "%s", i ? at : o->unset);
		return buf;
	}
	while (i-- > 0 && at[strcspn(at, "|")])
		at += strcspn(at, "|") + 1;
	(void)snprintf(buf, OPTION_ARG_MAX, "%.*s", (int)strcspn(at, "|"), at);
	return buf;
}

int option_set_choice(const struct option_entry *o, void *obj, const char *word,
		      const struct config_at *at)
{
	if (o->type == OPTION_WORD)
		return option_set_word(o, obj, word, at);
	if (strcmp(word, o->arg) != 0 && strcmp(word, o->unset) != 0)
		return config_fail(at, EINVAL, "must be '%s' or '%s'", o->arg,
				   o->unset);
	option_store(o, obj, strcmp(word, o->arg) == 0);
	return 0;
}

/* --- entries --- */

const struct option_entry *option_find(const struct option_entry *table,
				       const char *of, const char *name)
{
	for (const struct option_entry *o = table; o->name; o++)
		if (!of == !o->of && (!of || strcmp(of, o->of) == 0) &&
		    strcmp(name, o->name) == 0)
			return o;
	return NULL;
}

const char *option_flag(const struct option_entry *o)
{
	return o->flag ? o->flag : o->name;
}

bool option_has_keys(const struct option_entry *table,
		     const struct option_entry *o)
{
	for (const struct option_entry *k = table; k->name; k++)
		if (k->of && strcmp(k->of, o->name) == 0)
			return true;
	return false;
}

/* Appends what has room. */
PRINTF(2, 3)
static void option_append(char buf[OPTION_ARG_MAX], const char *fmt, ...)
{
	size_t len = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(buf + len, OPTION_ARG_MAX - len, fmt, ap);
	va_end(ap);
}

const char *option_arg(const struct option_entry *table,
		       const struct option_entry *o, char buf[OPTION_ARG_MAX])
{
	buf[0] = '\0';
	option_append(buf, "%s", o->arg ? o->arg : "");
	for (const struct option_entry *k = table; k->name; k++) {
		if (!k->of || strcmp(k->of, o->name) != 0)
			continue;
		if (k->inverted)
			option_append(buf, "[,%s=on|off]", k->name);
		else if (k->arg)
			option_append(buf, "[,%s=%s]", k->name, k->arg);
		else
			option_append(buf, "[,%s]", k->name);
	}
	return buf;
}

const char *option_key(const struct option_entry *o, char buf[OPTION_ARG_MAX])
{
	buf[0] = '\0';
	option_append(buf, "%s", o->name);
	if (o->inverted)
		option_append(buf, "=off");
	else if (o->arg)
		option_append(buf, "=%s", o->arg);
	return buf;
}

static void option_range(const struct option_entry *o, char buf[OPTION_ARG_MAX])
{
	char min[SIZE_TEXT_MAX], max[SIZE_TEXT_MAX];
	unsigned long long least = o->least, most = o->most;

	if (o->type == OPTION_NUMBER)
		option_append(buf, "%llu to %llu", least, most);
	else if (o->type == OPTION_SIZE)
		option_append(buf, "%s to %s", size_text(least, min),
			      size_text(most, max));
	else if (o->type == OPTION_TOKEN)
		option_append(buf, "1 to %llu characters", most);
	else if (o->type == OPTION_TEXT && most)
		option_append(buf, "at most %llu bytes", most);
}

const char *option_facts(const struct option_entry *o, char buf[OPTION_ARG_MAX])
{
	char text[SIZE_TEXT_MAX] = "";
	const char *unset = o->unset;

	buf[0] = '\0';
	option_range(o, buf);
	if (o->type == OPTION_SIZE && o->init)
		unset = size_text((uint64_t)o->init, text);
	if (o->type == OPTION_NUMBER && o->init) {
		(void)snprintf(text, sizeof(text), "%lld", (long long)o->init);
		unset = text;
	}
	if (unset || o->needed)
		option_append(buf, "%s%s%s", *buf ? "; " : "",
			      o->needed ? "needed" : "default: ",
			      o->needed ? "" : unset);
	return buf;
}
