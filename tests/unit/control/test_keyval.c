/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/control/config/keyval.h"

static void parse(const char *text, bool first, struct keyval_list *l)
{
	struct diag d = { 0 };

	if (keyval_parse(text, first, "--opt", l, &d))
		fail_msg("'%s': %s", text, d.text);
	assert_int_equal(d.status, ST_OK);
}

static void refuse(const char *text, bool first, const char *why)
{
	struct keyval_list l = { .nr = 77 };
	struct diag d = { 0 };

	assert_int_equal(keyval_parse(text, first, "--opt", &l, &d), -EINVAL);
	assert_int_equal(d.status, ST_USAGE);
	assert_non_null(strstr(d.text, "--opt: "));
	if (!strstr(d.text, why))
		fail_msg("'%s' gave '%s', without '%s'", text, d.text, why);
	assert_int_equal(l.nr, 77);
}

static void splits_first_keys_and_flags(void **state)
{
	struct keyval_list l;

	(void)state;
	parse("256M,node=auto,strict,huge=thp", true, &l);
	assert_int_equal(l.nr, 4);
	assert_null(l.items[0].key);
	assert_string_equal(l.items[0].value, "256M");
	assert_string_equal(l.items[1].key, "node");
	assert_string_equal(l.items[1].value, "auto");
	assert_string_equal(l.items[2].key, "strict");
	assert_null(l.items[2].value);
	assert_string_equal(l.items[3].value, "thp");
	keyval_destroy(&l);
	assert_null(l.text);
}

static void first_may_hold_an_equals_sign(void **state)
{
	struct keyval_list l;

	(void)state;
	parse("a=b/vmlinuz,unpack=off", true, &l);
	assert_string_equal(l.items[0].value, "a=b/vmlinuz");
	assert_string_equal(l.items[1].key, "unpack");
	keyval_destroy(&l);
}

static void value_keeps_later_equals_signs(void **state)
{
	struct keyval_list l;

	(void)state;
	parse("path=a=b,serial=", false, &l);
	assert_string_equal(l.items[0].value, "a=b");
	assert_string_equal(l.items[1].value, "");
	keyval_destroy(&l);
}

static void escapes_commas_and_backslashes(void **state)
{
	struct keyval_list l;

	(void)state;
	parse("path=a\\,b\\\\,ro", false, &l);
	assert_int_equal(l.nr, 2);
	assert_string_equal(l.items[0].value, "a,b\\");
	assert_string_equal(l.items[1].key, "ro");
	keyval_destroy(&l);
	parse("path=c:\\x\\", false, &l);
	assert_string_equal(l.items[0].value, "c:\\x\\");
	keyval_destroy(&l);
	parse("\\,", true, &l);
	assert_string_equal(l.items[0].value, ",");
	keyval_destroy(&l);
}

static void refuses_what_is_no_list(void **state)
{
	(void)state;
	refuse("", true, "empty value");
	refuse(",strict", true, "empty value");
	refuse("", false, "nothing between two commas");
	refuse("256M,", true, "nothing between two commas");
	refuse("path=a,,ro", false, "nothing between two commas");
	refuse("=a", false, "'' is not a key");
	refuse("Path=a", false, "'Path' is not a key");
	refuse("path=a,b c", false, "'b c' is not a key");
	refuse("ro,ro", false, "'ro' is given twice");
	refuse("1M,node=1,node=2", true, "'node' is given twice");
	refuse("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", false, "more than 16");
}

static void destroys_nothing_too(void **state)
{
	struct keyval_list l = { 0 };

	(void)state;
	keyval_destroy(NULL);
	keyval_destroy(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_first_keys_and_flags),
		cmocka_unit_test(first_may_hold_an_equals_sign),
		cmocka_unit_test(value_keeps_later_equals_signs),
		cmocka_unit_test(escapes_commas_and_backslashes),
		cmocka_unit_test(refuses_what_is_no_list),
		cmocka_unit_test(destroys_nothing_too),
	};

	return cmocka_run_group_tests_name("keyval", tests, NULL, NULL);
}
