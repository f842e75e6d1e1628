/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "monitor/control/doctor/doctor.h"

#define TEXT_COLUMN 26 /* "absent  memory-protection  " */

static const char *const verdict_names[] = {
	[VERDICT_OK] = "ok",
	[VERDICT_WARN] = "warn",
	[VERDICT_FAIL] = "FAIL",
	[VERDICT_ABSENT] = "absent",
};

/* Characters of @text that go on a line of @width: up to a blank. */
static size_t line_break(const char *text, size_t width)
{
	size_t len = strlen(text), cut;

	if (len <= width)
		return len;
	for (cut = width; cut > 0 && text[cut] != ' '; cut--)
		;
	return cut ? cut : width;
}

/* Writes @text from the text column on, the first line where we are. */
static void print_wrapped(const char *text, size_t width, FILE *out)
{
	bool first = true;

	while (*text) {
		size_t n = line_break(text, width);

		(void)fprintf(out, "%*s%.*s\n", first ? 0 : TEXT_COLUMN, "",
			      (int)n, text);
		text += n;
		text += strspn(text, " ");
		first = false;
	}
}

void doctor_print_table(const struct doctor_report *r, int columns, FILE *out)
{
	size_t width = (size_t)(columns < 60 ? 60 : columns) - TEXT_COLUMN;
	unsigned count[ARRAY_SIZE(verdict_names)] = { 0 };

	for (unsigned i = 0; i < r->nr; i++) {
		const struct check *c = &r->checks[i];

		count[c->verdict]++;
		(void)fprintf(out, "%-7s %-17s ", verdict_names[c->verdict],
			      c->name);
		print_wrapped(*c->value ? c->value : "-", width, out);
		if (*c->advice) {
			(void)fprintf(out, "%*s", TEXT_COLUMN, "");
			print_wrapped(c->advice, width, out);
		}
	}
	(void)fprintf(out,
		      "\n%u ok, %u warn, %u fail, %u absent; stock "
		      "guests %s\n",
		      count[VERDICT_OK], count[VERDICT_WARN],
		      count[VERDICT_FAIL], count[VERDICT_ABSENT],
		      r->stock_guests ? "can run here"
				      : "cannot run here: use 'make demo' or "
					"'lab/run -- COMMAND'");
}

static json_t *doctor_print_check_json(const struct check *c)
{
	static const char *const names[] = { "ok", "warn", "fail", "absent" };

	return json_pack("{s:s, s:s, s:s, s:s}", "name", c->name, "verdict",
			 names[c->verdict], "value", c->value, "advice",
			 c->advice);
}

int doctor_print_json(const struct doctor_report *r, FILE *out)
{
	json_t *checks = json_array(), *root;
	int err = 0;

	for (unsigned i = 0; i < r->nr; i++)
		if (json_array_append_new(
			    checks, doctor_print_check_json(&r->checks[i])))
			err = -ENOMEM;
	root = json_pack("{s:i, s:b, s:o}", "version", DOCTOR_JSON_VERSION,
			 "stock_guests", r->stock_guests, "checks", checks);
	if (!root)
		return -ENOMEM;
	if (!err &&
	    (json_dumpf(root, out, JSON_INDENT(2)) || fputc('\n', out) == EOF))
		err = -EIO;
	json_decref(root);
	return err;
}
