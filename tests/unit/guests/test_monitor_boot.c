/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor as a process of its own, with fake workers: guests that are
 * started one by one share boot images when, and only when, nothing says that
 * their kernels differ. The kernels are files, and never read.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disco/worker_spec.h"
#include "monitor/boot/boot_key.h"
#include "tests/unit/boot/temp_dir.h"
#include "tests/unit/guests/monitor_calls.h"

/* In temp_dir, where we are. */
static void write_name(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

/* @more: other members of the VM's configuration, with a comma before. */
static void start(const char *vm, const char *kernel, const char *more)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/%s", temp_dir, kernel);
	start_vm_with(vm, path, "%s", more);
}

/* Until the file is old enough to have a key; those before it are, too. */
static void settle(const char *name)
{
	WAIT_UNTIL(boot_key_make(name, NULL, false).known);
}

static ino_t image_of(const char *vm)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid_of(vm),
		       WORKER_FD_BOOT);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* "obey.a" and so on, up to @last: they would outlive their monitor. */
static void kill_them(char last)
{
	char name[] = "obey.a";

	for (; name[5] <= last; name[5]++) {
		vm_call(name, "kill");
		expect(name, "ended", ST_STOPPED);
	}
}

static void the_same_files_are_one_image(void **state)
{
	char more[128];

	(void)state;
	write_name("k1", "kernel");
	write_name("k2", "kernel");
	write_name("i", "initrd");
	settle("i");
	start("obey.a", "k1", "");
	start("obey.b", "k1", "");
	assert_int_equal(image_of("obey.a"), image_of("obey.b"));
	start("obey.c", "k2", "");
	assert_int_not_equal(image_of("obey.c"), image_of("obey.a"));
	(void)snprintf(more, sizeof(more), ",\"initrd\":\"%s/i\"", temp_dir);
	start("obey.d", "k1", more);
	assert_int_not_equal(image_of("obey.d"), image_of("obey.a"));
	start("obey.e", "k1", more);
	assert_int_equal(image_of("obey.e"), image_of("obey.d"));
	start("obey.f", "k1", ",\"unpack\":false");
	assert_int_not_equal(image_of("obey.f"), image_of("obey.a"));
	/* The image is there as long as one of its guests. */
	vm_call("obey.a", "kill");
	start("obey.g", "k1", "");
	assert_int_equal(image_of("obey.g"), image_of("obey.b"));
	kill_them('g');
}

static void a_changed_file_is_another_image(void **state)
{
	(void)state;
	write_name("k", "kernel");
	settle("k");
	start("obey.a", "k", "");
	write_name("k", "KERNEL");
	start("obey.b", "k", "");
	assert_int_not_equal(image_of("obey.b"), image_of("obey.a"));
	/* It could have been changed again in the same tick. */
	start("obey.c", "k", "");
	assert_int_not_equal(image_of("obey.c"), image_of("obey.b"));
	settle("k");
	start("obey.d", "k", "");
	start("obey.e", "k", "");
	assert_int_equal(image_of("obey.e"), image_of("obey.d"));
	kill_them('e');
}

static unsigned images_open(void)
{
	char path[64], to[64];
	unsigned nr = 0;

	for (int fd = 0; fd < 256; fd++) {
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d",
			       (int)monitor_pid, fd);
		n = readlink(path, to, sizeof(to) - 1);
		to[n < 0 ? 0 : n] = '\0';
		nr += strncmp(to, "/memfd:boot", 11) == 0;
	}
	return nr;
}

/* No descriptor stays open for guests that are gone. */
static void images_end_with_their_guests(void **state)
{
	(void)state;
	write_name("k", "kernel");
	settle("k");
	start("obey.a", "k", "");
	start("obey.b", "k", "");
	start("obey.c", "k", "");
	start_vm("obey.other");
	assert_int_equal(images_open(), 2);
	kill_them('c');
	assert_int_equal(images_open(), 1);
	vm_call("obey.other", "kill");
	expect("obey.other", "ended", ST_STOPPED);
	assert_int_equal(images_open(), 0);
}

static void a_missing_file_has_no_key(void **state)
{
	struct boot_key a = boot_key_make("/bin/sh", NULL, false);
	struct boot_key b = boot_key_make("/bin/sh", "/missing", false);
	struct boot_key c = boot_key_make("/missing", NULL, false);

	(void)state;
	assert_true(boot_key_same(&a, &a));
	assert_false(boot_key_same(&a, &b));
	assert_false(boot_key_same(&b, &b));
	assert_false(boot_key_same(&c, &c));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_same_files_are_one_image,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_changed_file_is_another_image,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(images_end_with_their_guests,
						set_up, tear_down),
		cmocka_unit_test(a_missing_file_has_no_key),
	};
	int failed;

	if (!monitor_calls_begin(argc, argv))
		return EXIT_FAILURE;
	failed = cmocka_run_group_tests_name("monitor_boot", tests, enter_dir,
					     remove_dir);
	monitor_calls_end();
	return failed;
}
