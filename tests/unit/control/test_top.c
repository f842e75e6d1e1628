/* SPDX-License-Identifier: BSD-2-Clause */
/* The lines of `disco top`, of what the API says. */
#include <string.h>

#include "monitor/control/cli/top.h"
#include "tests/unit/support.h"

static json_t *vm_of(const char *text)
{
	json_t *vm = json_loads(text, 0, NULL);

	assert_non_null(vm);
	return vm;
}

static const char plain[] =
	"{\"name\": \"web\", \"state\": \"running\", \"node\": 1, "
	"\"ram_pages\": 512, \"ram_pages_local\": 256, \"views\": null}";
static const char viewed[] =
	"{\"name\": \"wide\", \"state\": \"running\", \"node\": 0, "
	"\"ram_pages\": 25600, \"ram_pages_local\": 25600, \"views\": "
	"{\"count\": 2, \"copies\": {\"limit\": 8192, \"pages\": 9501, "
	"\"collapsed\": 7007, \"views\": []}}}";

/* Each number ends where its title does. */
static void ends_below(const char *title, const char *of, const char *line,
		       const char *number)
{
	const char *t = strstr(title, of), *n = strstr(line, number);

	assert_non_null(t);
	assert_non_null(n);
	assert_int_equal(t + strlen(of) - title, n + strlen(number) - line);
}

static void copies_and_collapses_are_shown(void **state)
{
	const struct top_rates r = { 12.5, 321 };
	char title[TOP_LINE], line[TOP_LINE];
	json_t *vms = json_array();

	(void)state;
	(void)json_array_append_new(vms, vm_of(plain));
	assert_false(top_has_copies(vms));
	(void)json_array_append_new(vms, vm_of(viewed));
	assert_true(top_has_copies(vms));
	top_title(true, title);
	top_vm(json_array_get(vms, 1), &r, true, line);
	ends_below(title, "COPIES", line, "9501");
	ends_below(title, "COLLAPSED", line, "7007");
	ends_below(title, "EXITS/s", line, "321");
	ends_below(title, "CPU %", line, "12.5");
	ends_below(title, "MEMORY", line, "100M");
	/* One without says so, in the same places. */
	top_vm(json_array_get(vms, 0), &r, true, line);
	assert_int_equal(strlen(line), strlen(title));
	assert_string_equal(line + strlen(line) - 2, " -");
	json_decref(vms);
}

static void nobody_has_copies(void **state)
{
	const struct top_rates none = { 0 };
	char title[TOP_LINE], line[TOP_LINE];
	json_t *vm = vm_of(plain), *empty = json_object();

	(void)state;
	top_title(false, title);
	assert_null(strstr(title, "COPIES"));
	top_vm(vm, &none, false, line);
	assert_int_equal(strlen(line), strlen(title));
	/* What the API does not say is no reason to fail. */
	top_vm(empty, &none, true, line);
	assert_non_null(strstr(line, "0M"));
	assert_false(top_has_copies(NULL));
	json_decref(vm);
	json_decref(empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_and_collapses_are_shown),
		cmocka_unit_test(nobody_has_copies),
	};

	return cmocka_run_group_tests_name("top", tests, NULL, NULL);
}
