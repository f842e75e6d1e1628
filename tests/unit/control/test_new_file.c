/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that get their name when they are complete, also where there are no
 * files without a name.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "monitor/control/base/new_file.h"
#include "monitor/control/base/unnamed_file.h"
#include "tests/unit/boot/temp_dir.h"

static bool without; /* files without a name */

/* In place of the product's. */
int unnamed_file_open(const char *dir, int flags, mode_t mode)
{
	int fd;

	if (without)
		return -EOPNOTSUPP;
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | flags, mode);
	return fd < 0 ? -errno : fd;
}

static void check_whole(void)
{
	struct new_file f;
	struct stat st;
	char buf[8];

	(void)umask(022);
	assert_int_equal(new_file_create(&f, "new"), 0);
	assert_int_equal(write(f.fd, "whole", 5), 5);
	assert_int_equal(access("new", F_OK), -1);
	assert_int_equal(new_file_publish(&f), 0);
	assert_int_equal(pread(f.fd, buf, sizeof(buf), 0), 5);
	new_file_close(&f);
	assert_int_equal(count_files("."), 1);
	assert_int_equal(stat("new", &st), 0);
	assert_int_equal(st.st_size, 5);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(unlink("new"), 0);
}

static void check_dropped(void)
{
	struct new_file f;

	assert_int_equal(new_file_create(&f, "new"), 0);
	assert_int_equal(write(f.fd, "half", 4), 4);
	new_file_close(&f);
	assert_int_equal(count_files("."), 0);
}

/* Nothing that is there is replaced, also if it comes in the meantime. */
static void check_existing(void)
{
	struct new_file f;

	assert_int_equal(symlink("nowhere", "new"), 0);
	assert_int_equal(new_file_create(&f, "new"), -EEXIST);
	new_file_close(&f);
	assert_int_equal(unlink("new"), 0);
	assert_int_equal(new_file_create(&f, "new"), 0);
	assert_int_equal(symlink("nowhere", "new"), 0);
	assert_int_equal(new_file_publish(&f), -EEXIST);
	new_file_close(&f);
	assert_int_equal(count_files("."), 1);
	assert_int_equal(unlink("new"), 0);
	assert_int_equal(new_file_create(&f, "none/new"), -ENOENT);
	new_file_close(&f);
}

static void check_signal(int sig)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct new_file f;

		if (new_file_create(&f, "new") == 0 &&
		    write(f.fd, "half", 4) == 4)
			(void)raise(sig);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), sig);
	assert_int_equal(count_files("."), 0);
}

static void check_all(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	(void)state;
	check_whole();
	check_dropped();
	check_existing();
	for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
		check_signal(signals[i]);
}

static void a_file_appears_when_it_is_whole(void **state)
{
	without = false;
	check_all(state);
	check_signal(SIGKILL);
}

static void also_where_every_file_has_a_name(void **state)
{
	without = true;
	check_all(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_appears_when_it_is_whole),
		cmocka_unit_test(also_where_every_file_has_a_name),
	};

	return cmocka_run_group_tests(tests, enter_dir, remove_dir);
}
