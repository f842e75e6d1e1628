/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What users of disco-hint and of the preloaded library write: sizes, hints and
 * rules; and that what is none is named, and has no effect.
 */
#include <stdlib.h>
#include <string.h>

#include "guest-hints/guest/disco_hint.h"
#include "guest-hints/guest/rules.h"
#include "tests/unit/support.h"

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "0x1000", 4096 },
		{ "64K", 64ull << 10 },
		{ "128M", 128ull << 20 },
		{ "2G", 2ull << 30 },
		{ "1T", 1ull << 40 },
		{ "18446744073709551615", UINT64_MAX },
	};
	static const char *const bad[] = { "",
					   "M",
					   "-1",
					   " 1",
					   "+1",
					   "1m",
					   "1KK",
					   "1 K",
					   "12Q",
					   "abc",
					   "1.5M",
					   "18446744073709551616",
					   "18014398509481984K" };
	uint64_t bytes = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_true(hint_parse_size(good[i].text, &bytes));
		assert_true(bytes == good[i].bytes);
	}
	bytes = 77;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (hint_parse_size(bad[i], &bytes) || bytes != 77)
			fail_msg("'%s' is taken for a size", bad[i]);
}

static void hints(void **state)
{
	static const char *const bad[] = { "",	       "sideways",   "private",
					   "private=", "private=x",  "cold=1",
					   "Cold",     "private=1 ", "cold " };
	unsigned vcpu = 9;

	(void)state;
	assert_int_equal(hint_parse_kind("read-mostly", &vcpu),
			 DISCO_HINT_READ_MOSTLY);
	assert_int_equal(vcpu, 0);
	assert_int_equal(hint_parse_kind("private=3", &vcpu),
			 DISCO_HINT_PRIVATE);
	assert_int_equal(vcpu, 3);
	assert_int_equal(hint_parse_kind("private=65536", &vcpu), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (hint_parse_kind(bad[i], &vcpu))
			fail_msg("'%s' is taken for a hint", bad[i]);
}

static void rules(void **state)
{
	char text[] = "size=64M:read-mostly,file=*/a:b.so:merge,"
		      "size=1K:private=2";
	struct hint_rule r[HINT_RULES_MAX];
	const char *bad;

	(void)state;
	assert_int_equal(hint_parse_rules(text, r, &bad), 3);
	assert_null(bad);
	assert_int_equal(r[0].kind, DISCO_HINT_READ_MOSTLY);
	assert_true(r[0].bytes == 64 << 20);
	assert_null(r[0].pattern);
	assert_int_equal(r[1].kind, DISCO_HINT_MERGE);
	assert_int_equal(r[1].bytes, 0);
	assert_string_equal(r[1].pattern, "*/a:b.so");
	assert_int_equal(r[2].kind, DISCO_HINT_PRIVATE);
	assert_int_equal(r[2].vcpu, 2);
}

static void what_is_no_rule_is_named(void **state)
{
	static const char *const all[] = {
		"",
		"nonsense",
		"size=1M",
		"size=0:cold",
		"size=x:cold",
		"size=1M:sideways",
		"file=:cold",
		"pattern=a:cold",
		"size=1M:private",
		":cold",
		"size=1Mx:cold",
		"file=a:",
	};
	struct hint_rule r[HINT_RULES_MAX];
	const char *bad;
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		(void)snprintf(text, sizeof(text),
			       "size=1M:cold,%s,size=2M:pin", all[i]);
		assert_int_equal(hint_parse_rules(text, r, &bad), 2);
		assert_non_null(bad);
		assert_string_equal(bad, all[i]);
		assert_int_equal(r[1].kind, DISCO_HINT_PIN);
	}
}

static void there_are_not_too_many(void **state)
{
	struct hint_rule r[HINT_RULES_MAX];
	char text[HINT_RULES_MAX * 16 + 32] = "";
	const char *bad;

	(void)state;
	for (unsigned i = 0; i <= HINT_RULES_MAX; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
			       "%ssize=%uK:cold", i ? "," : "", i + 1);
	assert_int_equal(hint_parse_rules(text, r, &bad), HINT_RULES_MAX);
	assert_string_equal(bad, "size=17K:cold");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(hints),
		cmocka_unit_test(rules),
		cmocka_unit_test(what_is_no_rule_is_named),
		cmocka_unit_test(there_are_not_too_many),
	};

	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
