/* SPDX-License-Identifier: BSD-2-Clause */
/* Summary, report file, and reading cpuinfo. */
#include <errno.h>
#include <fcntl.h>
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

/* --- where a report may go --- */

static char where[] = "/tmp/disco-where.XXXXXX";

static const char *in_where(const char *name)
{
	static char path[4][96];
	static unsigned next;
	char *out = path[next++ % ARRAY_SIZE(path)];

	(void)snprintf(out, sizeof(path[0]), "%s/%s", where, name);
	return out;
}

static int leave_where(void **state)
{
	char cmd[64];

	(void)state;
	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", where);
	return system(cmd);
}

static void write_to(const char *path, int err)
{
	struct diag d = { .status = ST_OK };

	assert_int_equal(report_write(vms, 2, path, &d), -err);
	assert_int_equal(d.status, err ? ST_HOST : ST_OK);
}

static void is_report(const char *path)
{
	json_t *root = json_load_file(path, 0, NULL);

	assert_int_equal(json_array_size(json_object_get(root, "vms")), 2);
	json_decref(root);
}

static mode_t type_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & S_IFMT;
}

static void links_stay_and_lead_to_the_report(void **state)
{
	const char *dir, *old, *link, *far;

	(void)state;
	assert_non_null(mkdtemp(where));
	dir = in_where("dir");
	assert_int_equal(mkdir(dir, 0700), 0);
	link = in_where("link");
	assert_int_equal(symlink("dir/file", link), 0);
	write_to(link, 0); /* there was nothing yet */
	old = in_where("dir/file");
	is_report(old);
	assert_int_equal(type_of(old), S_IFREG);
	assert_int_equal(truncate(old, 3), 0);
	far = in_where("dir/far");
	assert_int_equal(symlink("../link", far), 0);
	write_to(far, 0);
	is_report(old);
	assert_int_equal(type_of(far), S_IFLNK);
	assert_int_equal(type_of(link), S_IFLNK);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("link", link), 0);
	write_to(link, ELOOP);
	write_to(dir, EISDIR);
}

/* As root, a device would have been replaced, too. */
static void devices_are_written_to(void **state)
{
	struct stat before, after;
	const char *link = in_where("full");

	(void)state;
	assert_int_equal(symlink("/dev/full", link), 0);
	write_to(link, ENOSPC);
	assert_int_equal(type_of(link), S_IFLNK);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("/dev/null", link), 0);
	assert_int_equal(stat(link, &before), 0);
	write_to(link, 0);
	assert_int_equal(type_of(link), S_IFLNK);
	assert_int_equal(stat(link, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(after.st_mode & S_IFMT, S_IFCHR);
	assert_int_equal(unlink(link), 0);
}

static void a_fifo_gets_the_report_if_it_is_read(void **state)
{
	const char *fifo = in_where("fifo"), *copy = in_where("copy");
	char text[8192];
	ssize_t n;
	int fd;

	(void)state;
	assert_int_equal(mkfifo(fifo, 0600), 0);
	write_to(fifo, ENXIO);
	fd = open(fifo, O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	write_to(fifo, 0);
	assert_int_equal(type_of(fifo), S_IFIFO);
	n = read(fd, text, sizeof(text));
	assert_true(n > 0);
	(void)close(fd);
	fd = open(copy, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, text, (size_t)n), n);
	(void)close(fd);
	is_report(copy);
}

/* "disco run --report /dev/stdout >file": behind what was printed. */
static void an_open_file_gets_the_report_at_its_end(void **state)
{
	const char *file = in_where("out");
	char path[64], text[16];
	int fd = open(file, O_RDWR | O_CREAT, 0600);

	(void)state;
	assert_int_equal(write(fd, "console\n", 8), 8);
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	write_to(path, 0);
	assert_int_equal(pread(fd, text, 9, 0), 9);
	assert_memory_equal(text, "console\n{", 9);
	(void)close(fd);
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
		cmocka_unit_test(links_stay_and_lead_to_the_report),
		cmocka_unit_test(devices_are_written_to),
		cmocka_unit_test(a_fifo_gets_the_report_if_it_is_read),
		cmocka_unit_test(an_open_file_gets_the_report_at_its_end),
		cmocka_unit_test(a_directory_that_is_not_there_is_named),
		cmocka_unit_test(flags_are_whole_words),
	};

	return cmocka_run_group_tests(tests, set_up, leave_where);
}
