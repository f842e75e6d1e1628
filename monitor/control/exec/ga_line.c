/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/exec/ga_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_ROOM 4096u	 /* at first */
#define LINE_KEEP 65536u /* kept between lines */

static int line_grow(struct ga_line *l, size_t more)
{
	size_t room = l->room ? l->room : LINE_ROOM;
	char *grown;

	if (more > GA_REPLY_MAX - l->len)
		return -EMSGSIZE;
	while (room < l->len + more + 1)
		room *= 2;
	if (room == l->room)
		return 0;
	grown = realloc(l->bytes, room);
	if (!grown)
		return -ENOMEM;
	l->bytes = grown;
	l->room = room;
	return 0;
}

int ga_line_feed(struct ga_line *l, const void *bytes, size_t n, size_t *used)
{
	const char *at = bytes, *end;
	size_t take = n;
	int err;

	if (l->skip) {
		end = memchr(at, GA_MARK, n);
		*used = end ? (size_t)(end - at) + 1 : n;
		l->skip = !end;
		return 0;
	}
	end = memchr(at, '\n', n);
	if (end)
		take = (size_t)(end - at);
	*used = end ? take + 1 : n;
	err = line_grow(l, take);
	if (err) {
		ga_line_clear(l);
		return err;
	}
	memcpy(l->bytes + l->len, at, take);
	l->len += take;
	l->bytes[l->len] = '\0';
	return end != NULL;
}

void ga_line_clear(struct ga_line *l)
{
	l->len = 0;
	if (l->room > LINE_KEEP)
		ga_line_destroy(l);
}

void ga_line_destroy(struct ga_line *l)
{
	free(l->bytes);
	l->bytes = NULL;
	l->len = l->room = 0;
}

/* --- contents --- */

/* Few enough values for jansson, which takes some 100 bytes for each. */
static bool line_is_modest(const char *line, size_t len)
{
	unsigned tokens = 0;
	bool text = false;

	for (size_t i = 0; i < len; i++) {
		if (text && line[i] == '\\')
			i++;
		else if (line[i] == '"')
			text = !text;
		else if (!text &&
			 (line[i] == ',' || line[i] == '[' || line[i] == '{'))
			tokens++;
	}
	return tokens <= GA_TOKENS_MAX;
}

static json_t *line_load(const char *line, size_t len)
{
	json_t *root;

	if (!line_is_modest(line, len))
		return NULL;
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(root))
		return root;
	json_decref(root);
	return NULL;
}

static bool reply_is_sane(json_t *root)
{
	json_t *error = json_object_get(root, "error");
	size_t nr = 1 + (json_object_get(root, "id") != NULL);

	if (json_object_size(root) != nr)
		return false;
	if (json_object_get(root, "return"))
		return true;
	return json_is_object(error) && json_object_size(error) == 2 &&
	       json_is_string(json_object_get(error, "class")) &&
	       json_is_string(json_object_get(error, "desc"));
}

int ga_reply_parse(const char *line, size_t len, json_t **out)
{
	json_t *root = line_load(line, len);

	if (!root)
		return -EPROTO;
	if (!reply_is_sane(root)) {
		json_decref(root);
		return -EPROTO;
	}
	*out = root;
	return 0;
}

bool ga_reply_is_sync(const char *line, size_t len, uint64_t id)
{
	json_t *root = NULL, *value;
	bool is;

	if (ga_reply_parse(line, len, &root))
		return false;
	value = json_object_get(root, "return");
	is = json_is_integer(value) &&
	     (uint64_t)json_integer_value(value) == id;
	json_decref(root);
	return is;
}

int ga_request_check(const char *text, size_t len, json_t **out,
		     const char **why)
{
	json_t *root = line_load(text, len), *args;
	size_t nr = 1;

	if (!root) {
		*why = "it is not a JSON object, or too large";
		return -EINVAL;
	}
	args = json_object_get(root, "arguments");
	nr += args != NULL;
	if (json_is_string(json_object_get(root, "execute")) &&
	    json_object_size(root) == nr && (!args || json_is_object(args))) {
		*out = root;
		return 0;
	}
	*why = "it wants the string \"execute\", and perhaps the object "
	       "\"arguments\"";
	json_decref(root);
	return -EINVAL;
}
