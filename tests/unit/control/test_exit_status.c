/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of disco(1) is the one of the code. Runs from the tree's top. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "disco/base.h"
#include "disco/exit_status.h"

static const struct {
	int value;
	const char *text;
} rows[] = {
#define ROW(name, value, text) { value, text },
	EXIT_STATUS_TABLE(ROW)
#undef ROW
};

static void manual_has_every_row(void **state)
{
	static char page[65536];
	char row[256];
	FILE *f = fopen("docs/disco.1.in", "r");

	(void)state;
	assert_non_null(f);
	assert_true(fread(page, 1, sizeof(page) - 1, f) > 0);
	assert_int_equal(fclose(f), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)snprintf(row, sizeof(row), "\n.It %d\n%s\n",
			       rows[i].value, rows[i].text);
		if (!strstr(page, row))
			fail_msg("docs/disco.1.in has no '%d %s'",
				 rows[i].value, rows[i].text);
	}
}

static void values_are_different_and_fit(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_in_range(rows[i].value, 0, 125);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(rows[i].value, rows[k].value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manual_has_every_row),
		cmocka_unit_test(values_are_different_and_fit),
	};

	return cmocka_run_group_tests_name("exit_status", tests, NULL, NULL);
}
