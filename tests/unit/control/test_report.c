/* SPDX-License-Identifier: BSD-2-Clause */
/* Summary, report file, and reading cpuinfo. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/control/workers/kvm_open.h"
#include "monitor/control/run/report.h"
#include "tests/unit/support.h"

static struct vm_watch vms[2];

static int set_up(void **state)
{
	(void)state;
	vms[0].name = "a-long-name";
	vms[0].node = 3;
	vms[0].figures = (struct vm_figures){ .mark_ns = 1234567890,
					      .wall_ns = 2000000000,
					      .cpu_ns_before_first_run = 5,
					      .cpu_ns = 6,
					      .ram_pages = 1000,
					      .ram_pages_local = 1000,
					      .private_bytes = 1u << 20,
					      .exits = 12 };
	vms[1].name = "b";
	vms[1].figures.status = ST_GUEST_PANIC;
	return 0;
}

static void shares_round_down(void **state)
{
	static const struct {
		uint64_t part, whole;
		const char *text;
	} cases[] = {
		{ 0, 0, "-" },
		{ 5, 0, "-" },
		{ 0, 7, "0.0 %" },
		{ 1, 3, "33.3 %" },
		{ 997, 1000, "99.7 %" },
		{ 9999, 10000, "99.9 %" },
		{ 99999999, 100000000, "99.9 %" },
		{ 1, 1, "100 %" },
		{ 1u << 30, 1u << 30, "100 %" },
		{ UINT64_MAX - 1, UINT64_MAX, "99.9 %" },
	};
	char out[16];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		report_share(cases[i].part, cases[i].whole, out, sizeof(out));
		assert_string_equal(out, cases[i].text);
	}
}

static void the_summary_is_a_table(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	report_summary(vms, 2, f);
	(void)fclose(f);
	assert_string_equal(
		text,
		"VM           node  ms to user space  local memory  exit "
		"status\n"
		"a-long-name     3              1235         100 %  0 ok\n"
		"b               0                 -             -  21 "
		"guest-panic\n");
	free(text);
}

static void check_first(const json_t *vm)
{
	assert_string_equal(json_string_value(json_object_get(vm, "name")),
			    "a-long-name");
	assert_int_equal(json_integer_value(json_object_get(vm, "node")), 3);
	assert_int_equal(json_integer_value(json_object_get(vm, "status")), 0);
	assert_int_equal(json_integer_value(json_object_get(vm, "exits")), 12);
	assert_int_equal(
		json_integer_value(json_object_get(vm, "private_bytes")),
		1 << 20);
	assert_true(json_real_value(json_object_get(vm, "mark_ms")) > 1234.5);
	assert_true(json_real_value(json_object_get(vm, "wall_ms")) == 2000.0);
}

static void the_report_has_every_figure(void **state)
{
	char dir[] = "/tmp/disco-report.XXXXXX", path[64];
	struct diag d = { .status = ST_OK };
	json_t *root, *list;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/r.json", dir);
	(void)umask(022);
	assert_int_equal(report_write(vms, 2, path, &d), 0);
	assert_int_equal(report_write(vms, 2, path, &d), 0); /* again */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	root = json_load_file(path, 0, NULL);
	assert_non_null(root);
	assert_int_equal(json_integer_value(json_object_get(root, "version")),
			 REPORT_FORMAT);
	assert_true(json_is_string(json_object_get(root, "host_kernel")));
	list = json_object_get(root, "vms");
	assert_int_equal(json_array_size(list), 2);
	check_first(json_array_get(list, 0));
	assert_true(json_is_null(
		json_object_get(json_array_get(list, 1), "mark_ms")));
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(list, 1), "status_word")),
			    "guest-panic");
	json_decref(root);
	/* No temporary file is left: the directory is empty after this. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void a_directory_that_is_not_there_is_named(void **state)
{
	struct diag d = { .status = ST_OK };

	(void)state;
	assert_int_equal(report_write(vms, 2, "/dev/null/r.json", &d),
			 -ENOTDIR);
	assert_int_equal(d.status, ST_HOST);
	assert_string_equal(d.text, "report /dev/null/r.json was not written: "
				    "Not a directory");
}

static void flags_are_whole_words(void **state)
{
	static const char svm[] = "processor\t: 0\nflags\t\t: fpu svm\nbugs: x";
	static const char vmx[] = "a: b\nflags\t\t: vmx fpu\n";
	static const char none[] =
		"a: svm\nflags\t\t: svm_lock xsvm vmxnet\nvmx flags: vmx\n";

	(void)state;
	assert_true(cpuinfo_has_flag(svm, "svm"));
	assert_false(cpuinfo_has_flag(svm, "vmx"));
	assert_true(cpuinfo_has_flag(vmx, "vmx"));
	assert_false(cpuinfo_has_flag(none, "svm"));
	assert_false(cpuinfo_has_flag(none, "vmx"));
	assert_false(cpuinfo_has_flag("", "svm"));
	assert_true(cpuinfo_has_flag("\nflags : svm", "svm"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_round_down),
		cmocka_unit_test(the_summary_is_a_table),
		cmocka_unit_test(the_report_has_every_figure),
		cmocka_unit_test(a_directory_that_is_not_there_is_named),
		cmocka_unit_test(flags_are_whole_words),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
