/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of a guest agent, requests to it, and base64. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/cli/base64.h"
#include "monitor/control/exec/ga_line.h"
#include "tests/unit/support.h"

static void lines_end_where_their_newlines_are(void **state)
{
	static const char text[] = "one\n\ntwo";
	struct ga_line l = { .bytes = NULL };
	size_t used;

	(void)state;
	assert_int_equal(ga_line_feed(&l, text, 8, &used), 1);
	assert_int_equal(used, 4);
	assert_string_equal(l.bytes, "one");
	ga_line_clear(&l);
	assert_int_equal(ga_line_feed(&l, text + 4, 4, &used), 1);
	assert_int_equal(used, 1);
	assert_string_equal(l.bytes, "");
	ga_line_clear(&l);
	assert_int_equal(ga_line_feed(&l, text + 5, 3, &used), 0);
	assert_int_equal(used, 3);
	assert_int_equal(ga_line_feed(&l, "\n", 1, &used), 1);
	assert_string_equal(l.bytes, "two");
	ga_line_destroy(&l);
}

static void what_is_skipped_takes_no_memory(void **state)
{
	struct ga_line l = { .skip = true };
	size_t used;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(ga_line_feed(&l, "noise\nnoise\n", 12, &used),
				 0);
	assert_null(l.bytes);
	assert_int_equal(ga_line_feed(&l,
				      "x\xff"
				      "a\n",
				      4, &used),
			 0);
	assert_int_equal(used, 2);
	assert_int_equal(ga_line_feed(&l, "a\n", 2, &used), 1);
	assert_string_equal(l.bytes, "a");
	ga_line_destroy(&l);
}

static void a_line_has_a_longest_length(void **state)
{
	static char text[65536];
	struct ga_line l = { .bytes = NULL };
	size_t used, n = 0;
	int ret = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	for (; !ret; n += sizeof(text))
		ret = ga_line_feed(&l, text, sizeof(text), &used);
	assert_int_equal(ret, -EMSGSIZE);
	assert_in_range(n, GA_REPLY_MAX, GA_REPLY_MAX + 2 * sizeof(text));
	/* And the next one is as good as new. */
	assert_int_equal(ga_line_feed(&l, "a\n", 2, &used), 1);
	ga_line_destroy(&l);
}

static int parse(const char *text)
{
	json_t *root = NULL;
	int err = ga_reply_parse(text, strlen(text), &root);

	json_decref(root);
	return err;
}

static void replies_have_one_form(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"return\": null}"), 0);
	assert_int_equal(parse("{\"return\": 1, \"id\": 2}"), 0);
	assert_int_equal(parse("{\"error\": {\"class\": \"a\", \"desc\": "
			       "\"[{,\\\"[{,\"}}"),
			 0);
	assert_int_equal(parse(""), -EPROTO);
	assert_int_equal(parse("7"), -EPROTO);
	assert_int_equal(parse("{\"return\": 1} 2"), -EPROTO);
	assert_int_equal(parse("{\"id\": 2}"), -EPROTO);
	assert_int_equal(parse("{\"return\": 1, \"more\": 2}"), -EPROTO);
	assert_int_equal(parse("{\"error\": {\"class\": \"a\"}}"), -EPROTO);
}

static void a_synchronisation_has_its_number(void **state)
{
	static const char good[] = "{\"return\": 5}", text[] = "{\"return\": "
							       "\"5\"}";

	(void)state;
	assert_true(ga_reply_is_sync(good, strlen(good), 5));
	assert_false(ga_reply_is_sync(good, strlen(good), 6));
	assert_false(ga_reply_is_sync(text, strlen(text), 5));
	assert_false(ga_reply_is_sync("", 0, 0));
}

static int request(const char *text)
{
	const char *why = NULL;
	json_t *root = NULL;
	int err = ga_request_check(text, strlen(text), &root, &why);

	assert_int_equal(err != 0, why != NULL);
	json_decref(root);
	return err;
}

static void requests_are_commands(void **state)
{
	(void)state;
	assert_int_equal(request("{\"execute\": \"a\"}"), 0);
	assert_int_equal(request("{\"execute\": \"a\", \"arguments\": {}}"), 0);
	assert_int_equal(request(""), -EINVAL);
	assert_int_equal(request("{\"execute\": 1}"), -EINVAL);
	assert_int_equal(request("{\"execute\": \"a\", \"id\": 1}"), -EINVAL);
	assert_int_equal(request("{\"execute\": \"a\", \"arguments\": 1}"),
			 -EINVAL);
}

static void base64_of_rfc_4648(void **state)
{
	static const struct {
		const char *plain, *coded;
	} cases[] = { { "", "" },
		      { "f", "Zg==" },
		      { "fo", "Zm8=" },
		      { "foo", "Zm9v" },
		      { "foob", "Zm9vYg==" },
		      { "fooba", "Zm9vYmE=" },
		      { "foobar", "Zm9vYmFy" } };
	char out[16];
	size_t n;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text =
			base64_encode(cases[i].plain, strlen(cases[i].plain));

		assert_non_null(text);
		assert_string_equal(text, cases[i].coded);
		free(text);
		n = 99;
		assert_int_equal(base64_decode(cases[i].coded, out, &n), 0);
		assert_int_equal(n, strlen(cases[i].plain));
		assert_memory_equal(out, cases[i].plain, n);
	}
	assert_int_equal(base64_decode("Zg=", out, &n), -EINVAL);
	assert_int_equal(base64_decode("Z===", out, &n), -EINVAL);
	assert_int_equal(base64_decode("Zm9*", out, &n), -EINVAL);
	assert_int_equal(base64_decode("=m9v", out, &n), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_end_where_their_newlines_are),
		cmocka_unit_test(what_is_skipped_takes_no_memory),
		cmocka_unit_test(a_line_has_a_longest_length),
		cmocka_unit_test(replies_have_one_form),
		cmocka_unit_test(a_synchronisation_has_its_number),
		cmocka_unit_test(requests_are_commands),
		cmocka_unit_test(base64_of_rfc_4648),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
