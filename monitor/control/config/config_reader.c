/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/config_reader.h"

#include <errno.h>
#include <string.h>

#include "monitor/control/base/size.h"

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

int reader_size(struct reader *r, json_t *v, uint64_t *bytes)
{
	if (json_is_integer(v)) {
		if (json_integer_value(v) < 0)
			return config_fail(reader_at(r), EINVAL, "is negative");
		*bytes = (uint64_t)json_integer_value(v);
	} else if (!json_is_string(v)) {
		return reader_wrong_type(r, v,
					 "a string (\"256M\") or an integer");
	} else if (size_parse(json_string_value(v), bytes)) {
		return config_fail(reader_at(r), EINVAL,
				   "'%s' is not " SIZE_SYNTAX,
				   json_string_value(v));
	}
	return 0;
}

int reader_unknown(struct reader *r)
{
	return config_fail(reader_at(r), EINVAL, "unknown key");
}

int reader_object(struct reader *r, json_t *v,
		  int (*member)(struct reader *r, const char *key, json_t *v,
				void *obj),
		  void *obj)
{
	const char *key;
	json_t *value;

	if (!json_is_object(v))
		return reader_wrong_type(r, v, "an object");
	json_object_foreach(v, key, value)
	{
		size_t len =
			reader_enter(r, "%s%.40s", *r->path ? "." : "", key);
		int err = member(r, key, value, obj);

		if (err)
			return err;
		reader_leave(r, len);
	}
	return 0;
}

/* --- options --- */

static int reader_switch(struct reader *r, const struct option_entry *o,
			 json_t *v, void *obj)
{
	bool on = false;
	int err = reader_bool(r, v, &on);

	if (!err)
		option_set_switch(o, obj, on);
	return err;
}

static int reader_number(struct reader *r, const struct option_entry *o,
			 json_t *v, void *obj)
{
	int64_t nr = 0;
	int err = reader_int(r, v, &nr);

	return err ? err : option_set_number(o, obj, nr, reader_at(r));
}

static int reader_node(struct reader *r, const struct option_entry *o,
		       json_t *v, void *obj)
{
	if (json_is_integer(v))
		return option_set_number(o, obj, json_integer_value(v),
					 reader_at(r));
	if (!json_is_string(v) || strcmp(json_string_value(v), "auto") != 0)
		return reader_wrong_type(r, v, "\"auto\" or an integer");
	option_set_default(o, obj);
	return 0;
}

int reader_option(struct reader *r, const struct option_entry *o, json_t *v,
		  void *obj)
{
	const char *text = NULL;
	uint64_t bytes = 0;
	int err;

	switch (o->type) {
	case OPTION_SWITCH:
		return reader_switch(r, o, v, obj);
	case OPTION_NUMBER:
		return reader_number(r, o, v, obj);
	case OPTION_NODE:
		return reader_node(r, o, v, obj);
	case OPTION_SIZE:
		err = reader_size(r, v, &bytes);
		return err ? err : option_set_size(o, obj, bytes, reader_at(r));
	default:
		break;
	}
	err = reader_text(r, v, &text);
	if (err)
		return err;
	if (o->type == OPTION_CHOICE || o->type == OPTION_WORD)
		return option_set_choice(o, obj, text, reader_at(r));
	return option_set_text(o, obj, r->dir, text, reader_at(r));
}
