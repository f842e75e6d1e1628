/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/config_reader.h"

#include <errno.h>
#include <string.h>

const struct config_at *reader_at(struct reader *r)
{
	(void)snprintf(r->where, sizeof(r->where), "%.300s%s%s", r->file,
		       *r->path ? ": " : "", r->path);
	r->at = (struct config_at){ r->where, ST_CONFIG, r->d };
	return &r->at;
}

/* Appends to the path; returns the length to cut it back to. */
size_t reader_enter(struct reader *r, const char *fmt, ...)
{
	size_t len = strlen(r->path);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(r->path + len, sizeof(r->path) - len, fmt, ap);
	va_end(ap);
	return len;
}

void reader_leave(struct reader *r, size_t len)
{
	r->path[len] = '\0';
}

static const char *type_name(const json_t *v)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",  [JSON_INTEGER] = "an integer",
		[JSON_REAL] = "a fraction",  [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",	     [JSON_NULL] = "null",
	};

	return names[json_typeof(v)];
}

int reader_wrong_type(struct reader *r, const json_t *v, const char *want)
{
	return config_fail(reader_at(r), EINVAL, "must be %s, not %s", want,
			   type_name(v));
}

int reader_text(struct reader *r, json_t *v, const char **out)
{
	if (!json_is_string(v))
		return reader_wrong_type(r, v, "a string");
	*out = json_string_value(v);
	return 0;
}

int reader_bool(struct reader *r, json_t *v, bool *out)
{
	if (!json_is_boolean(v))
		return reader_wrong_type(r, v, "true or false");
	*out = json_is_true(v);
	return 0;
}

int reader_int(struct reader *r, json_t *v, int64_t *out)
{
	if (!json_is_integer(v))
		return reader_wrong_type(r, v, "an integer");
	*out = json_integer_value(v);
	return 0;
}

static const struct key_rule *find_rule(const struct key_rule *rules,
					const char *key)
{
	while (rules->key && strcmp(rules->key, key) != 0)
		rules++;
	return rules->key ? rules : NULL;
}

/* Applies @rules (ended by a NULL key) to each member of @v. */
int reader_object(struct reader *r, json_t *v, const struct key_rule *rules,
		  void *obj)
{
	const char *key;
	json_t *member;

	if (!json_is_object(v))
		return reader_wrong_type(r, v, "an object");
	json_object_foreach(v, key, member)
	{
		const struct key_rule *rule = find_rule(rules, key);
		size_t len =
			reader_enter(r, "%s%.40s", *r->path ? "." : "", key);
		int err;

		if (!rule)
			return config_fail(reader_at(r), EINVAL, "unknown key");
		err = rule->set(r, member, obj);
		if (err)
			return err;
		reader_leave(r, len);
	}
	return 0;
}
