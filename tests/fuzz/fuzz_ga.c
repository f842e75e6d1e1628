/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest agent answers: any bytes, in pieces of any length. Checked: a
 * line is what lies between two newlines, memory is bounded, and a reply that is
 * accepted has the one form that clients rely on.
 */
#include <string.h>

#include "monitor/control/cli/base64.h"
#include "monitor/control/exec/ga_line.h"
#include "tests/fuzz/bytes.h"
#include "tests/must.h"

static void check_reply(const char *line, size_t len)
{
	json_t *root = NULL, *error;

	if (ga_reply_parse(line, len, &root)) {
		must(!root);
		must(!ga_reply_is_sync(line, len, 1));
		return;
	}
	error = json_object_get(root, "error");
	must(!error == (json_object_get(root, "return") != NULL));
	must(!error || json_string_value(json_object_get(error, "desc")));
	json_decref(root);
}

static void check_request(const char *line, size_t len)
{
	const char *why = NULL;
	json_t *root = NULL, *args;

	if (ga_request_check(line, len, &root, &why)) {
		must(why && !root);
		return;
	}
	args = json_object_get(root, "arguments");
	must(json_string_value(json_object_get(root, "execute")));
	must(!args || json_is_object(args));
	json_decref(root);
}

static void check_base64(const char *line)
{
	char *out = malloc(strlen(line) + 1), *back;
	size_t n = 0;

	must(out);
	if (base64_decode(line, out, &n) == 0) {
		must(n <= strlen(line) / 4 * 3);
		back = base64_encode(out, n);
		must(back && strlen(back) == strlen(line));
		free(back);
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ga_line l = { .skip = size && data[0] & 1 };
	struct bytes b = { data, size };
	size_t piece, used;
	int ret;

	while (b.n) {
		piece = 1 + take(&b, 1) % 64;
		piece = piece < b.n ? piece : b.n;
		while (piece) {
			ret = ga_line_feed(&l, b.p, piece, &used);
			must(ret >= 0 && used >= 1 && used <= piece);
			must(l.len <= size && l.room <= GA_REPLY_MAX);
			b.p += used;
			b.n -= used;
			piece -= used;
			if (ret == 0)
				continue;
			must(!memchr(l.bytes, '\n', l.len));
			check_reply(l.bytes, l.len);
			check_request(l.bytes, l.len);
			check_base64(l.bytes);
			ga_line_clear(&l);
		}
	}
	ga_line_destroy(&l);
	return 0;
}
