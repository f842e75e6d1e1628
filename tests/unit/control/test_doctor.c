/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "monitor/control/doctor/doctor.h"
#include "monitor/sandbox/sandbox.h"
#include "numa/bind.h"
#include "numa/region.h"
#include "tests/unit/deny_calls.h"
#include "tests/unit/support.h"

static const struct {
	struct kvm_facts facts;
	enum verdict verdict;
	const char *value, *advice;
} cases[] = {
	{ { 0, 12, true, false, false, 1 }, VERDICT_OK, "yes: svm", "" },
	{ { 0, 12, false, true, false, 1 }, VERDICT_OK, "yes: vmx", "" },
	{ { 0, 12, false, true, false, -1 }, VERDICT_OK, "yes: vmx", "" },
	{ { 0, 12, true, false, false, 0 },
	  VERDICT_WARN,
	  "yes, slowly",
	  "npt=1" },
	{ { 0, 12, false, false, true, -1 },
	  VERDICT_FAIL,
	  "neither svm nor vmx (kvm_pvm)",
	  "lab/run" },
	{ { 0, 12, false, false, false, -1 },
	  VERDICT_FAIL,
	  "neither svm nor vmx (a software backend",
	  "make demo" },
	{ { ENOENT, -1, true, false, false, -1 },
	  VERDICT_FAIL,
	  "No such file",
	  "load kvm_amd or kvm_intel" },
	{ { EACCES, -1, true, false, false, 1 },
	  VERDICT_FAIL,
	  "Permission denied",
	  "get access" },
	{ { EACCES, -1, false, false, true, -1 },
	  VERDICT_FAIL,
	  "(Permission denied), and the CPU has neither svm nor vmx",
	  "use the lab" },
	{ { 0, 11, true, false, false, 1 },
	  VERDICT_FAIL,
	  "API version 11",
	  "lab/run" },
};

static void judges_stock_guests(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct check c = { 0 };

		kvm_judge(&cases[i].facts, &c);
		if (c.verdict != cases[i].verdict ||
		    !strstr(c.value, cases[i].value) ||
		    !strstr(c.advice, cases[i].advice))
			fail_msg("case %zu: %d '%s' '%s'", i, (int)c.verdict,
				 c.value, c.advice);
	}
}

static const struct {
	struct views_facts facts;
	enum verdict verdict;
	const char *value, *advice;
} views_cases[] = {
	{ { 0, true, true, true, true }, VERDICT_OK, "yes", "" },
	{ { 0, true, true, true, false },
	  VERDICT_WARN,
	  "yes, without a reliable clock",
	  "does not trust the TSC" },
	{ { 0, true, true, false, true },
	  VERDICT_ABSENT,
	  "KVM_VCPU_TSC_CTRL",
	  "Linux 5.16" },
	{ { 0, true, false, true, true },
	  VERDICT_ABSENT,
	  "KVM_CAP_SYNC_REGS",
	  "Linux 5.16" },
	{ { 0, false, false, false, true },
	  VERDICT_ABSENT,
	  "KVM_CAP_SPLIT_IRQCHIP",
	  "Linux 5.16" },
	{ { ENOENT, false, false, false, true },
	  VERDICT_ABSENT,
	  "No such file",
	  "" },
};

static void judges_views(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(views_cases); i++) {
		struct check c = { 0 };

		views_judge(&views_cases[i].facts, &c);
		if (c.verdict != views_cases[i].verdict ||
		    !strstr(c.value, views_cases[i].value) ||
		    !strstr(c.advice, views_cases[i].advice))
			fail_msg("case %zu: %d '%s' '%s'", i, (int)c.verdict,
				 c.value, c.advice);
	}
}

static void every_probe_finds_something(void **state)
{
	struct doctor_report r;

	(void)state;
	doctor_run(&r);
	assert_true(r.nr >= 20 && r.nr < DOCTOR_MAX_CHECKS);
	for (unsigned i = 0; i < r.nr; i++) {
		if (!*r.checks[i].value)
			fail_msg("%s found nothing", r.checks[i].name);
		if (r.checks[i].verdict == VERDICT_FAIL && !*r.checks[i].advice)
			fail_msg("%s fails without advice", r.checks[i].name);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(r.checks[i].name,
						r.checks[k].name);
	}
}

static void json_can_be_read_back(void **state)
{
	struct doctor_report r;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	json_t *root, *check;

	(void)state;
	assert_non_null(f);
	doctor_run(&r);
	assert_int_equal(doctor_print_json(&r, f), 0);
	assert_int_equal(fclose(f), 0);
	root = json_loads(text, 0, NULL);
	assert_non_null(root);
	assert_int_equal(json_integer_value(json_object_get(root, "version")),
			 DOCTOR_JSON_VERSION);
	assert_true(json_is_boolean(json_object_get(root, "stock_guests")));
	assert_int_equal(json_array_size(json_object_get(root, "checks")),
			 r.nr);
	check = json_array_get(json_object_get(root, "checks"), 0);
	assert_string_equal(json_string_value(json_object_get(check, "name")),
			    r.checks[0].name);
	json_decref(root);
	free(text);
}

static void table_fits_the_terminal(void **state)
{
	struct doctor_report r = { .nr = 1 };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	assert_non_null(f);
	r.checks[0].name = "a-check";
	check_value(&r.checks[0], VERDICT_WARN, "%s",
		    "one two three four five six seven eight nine ten eleven");
	check_advice(&r.checks[0], "do this");
	doctor_print_table(&r, 60, f);
	assert_int_equal(fclose(f), 0);
	assert_non_null(strstr(
		text,
		"warn    a-check           one two three four five six seven\n"
		"                          eight nine ten eleven\n"
		"                          do this\n"));
	assert_non_null(strstr(text, "0 ok, 1 warn, 0 fail, 0 absent; "));
	free(text);
}

/* --- doctor and a start agree --- */

static const struct check *check_of(const struct doctor_report *r,
				    const char *name)
{
	for (unsigned i = 0; i < r->nr; i++)
		if (strcmp(r->checks[i].name, name) == 0)
			return &r->checks[i];
	_exit(100);
}

/* Return: the exit status of a child in which @nr is forbidden. */
static int in_container(int nr, const char *name, enum verdict verdict,
			int (*start)(void))
{
	static struct doctor_report r;
	const struct check *c;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (deny_call(nr))
			_exit(101);
		doctor_run(&r);
		c = check_of(&r, name);
		if (c->verdict != verdict || !c->advice[0])
			_exit(102);
		_exit(start() ? 103 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* What else of a start binds memory. */
static int start_binding(void)
{
	struct region r = { .base = NULL };
	int fd = -1, err = region_create(&r, "test", PAGE_BYTES, 0, 0);

	if (!err)
		err = region_prepare("test", PAGE_BYTES, 0, &fd);
	return err || !node_bind_optional(node_bind_probe(0));
}

static int start_sandbox(void)
{
	return sandbox_drop();
}

static void what_doctor_allows_starts(void **state)
{
	(void)state;
	assert_int_equal(in_container(SYS_landlock_create_ruleset, "landlock",
				      VERDICT_ABSENT, start_sandbox),
			 0);
	assert_int_equal(in_container(SYS_landlock_restrict_self, "landlock",
				      VERDICT_ABSENT, start_sandbox),
			 0);
	if (node_bind_probe(0))
		SKIP("memory cannot be bound here anyway");
	assert_int_equal(in_container(SYS_mbind, "bind-memory", VERDICT_WARN,
				      start_binding),
			 0);
	assert_int_equal(in_container(SYS_set_mempolicy, "bind-memory",
				      VERDICT_WARN, start_binding),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_stock_guests),
		cmocka_unit_test(judges_views),
		cmocka_unit_test(every_probe_finds_something),
		cmocka_unit_test(json_can_be_read_back),
		cmocka_unit_test(table_fits_the_terminal),
		cmocka_unit_test(what_doctor_allows_starts),
	};

	return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
