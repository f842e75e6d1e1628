/* SPDX-License-Identifier: BSD-2-Clause */
/* Files from disks in the cache: by contents, and not more than it holds. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "monitor/boot/kernel_cache.h"
#include "tests/unit/boot/temp_dir.h"
#include "tests/unit/support.h"

static int file_of(const char *text)
{
	int fd = memfd_create("kept", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static int keep(const char *dir, const char *text, char *name)
{
	int fd = file_of(text), err = kernel_cache_keep(dir, fd, name);

	assert_int_equal(close(fd), 0);
	return err;
}

static void holds(const char *dir, const char *name, const char *text)
{
	char path[256], buf[64] = "";
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, buf, sizeof(buf) - 1), strlen(text));
	assert_string_equal(buf, text);
	assert_int_equal(close(fd), 0);
}

static void same_contents_once(void **state)
{
	char a[KERNEL_CACHE_NAME_MAX], b[KERNEL_CACHE_NAME_MAX],
		c[KERNEL_CACHE_NAME_MAX];
	struct stat before, after;
	char path[128];

	(void)state;
	assert_int_equal(mkdir("one", 0700), 0);
	assert_int_equal(keep("one", "kernel", a), 0);
	(void)snprintf(path, sizeof(path), "one/%s", a);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(keep("one", "kernel", b), 0);
	assert_string_equal(a, b);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(keep("one", "another", c), 0);
	assert_string_not_equal(a, c);
	holds("one", a, "kernel");
	holds("one", c, "another");
	assert_int_equal(count_files("one"), 2);
}

/* What is there by that name is not what was asked for: it is not used. */
static void other_contents_are_refused(void **state)
{
	char name[KERNEL_CACHE_NAME_MAX], path[128];
	int fd;

	(void)state;
	assert_int_equal(mkdir("two", 0700), 0);
	assert_int_equal(keep("two", "kernel", name), 0);
	(void)snprintf(path, sizeof(path), "two/%s", name);
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "kernek", 6), 6);
	assert_int_equal(close(fd), 0);
	assert_int_equal(keep("two", "kernel", name), -EEXIST);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(keep("two", "kernel", name), 0);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(keep("two", "kernel", name), -EEXIST);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(keep("two", "kernel", name), -EEXIST);
}

static void oldest_go(void **state)
{
	char name[KERNEL_CACHE_NAME_MAX], first[KERNEL_CACHE_NAME_MAX],
		text[32], path[128];
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

	(void)state;
	assert_int_equal(mkdir("three", 0700), 0);
	assert_int_equal(keep("three", "the oldest", first), 0);
	(void)snprintf(path, sizeof(path), "three/%s", first);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	assert_int_equal(symlink("x", "three/unrelated"), 0);
	for (unsigned i = 0; i < KERNEL_CACHE_FILES + 5; i++) {
		(void)snprintf(text, sizeof(text), "kernel %u", i);
		assert_int_equal(keep("three", text, name), 0);
	}
	assert_int_equal(count_files("three"), KERNEL_CACHE_FILES + 1);
	assert_int_equal(access(path, F_OK), -1);
	holds("three", name, text);
}

static void errors(void **state)
{
	char name[KERNEL_CACHE_NAME_MAX];

	(void)state;
	assert_int_equal(keep("nowhere", "kernel", name), -ENOENT);
	assert_int_equal(mkdir("four", 0700), 0);
	assert_int_equal(keep("four", "", name), -ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_contents_once),
		cmocka_unit_test(other_contents_are_refused),
		cmocka_unit_test(oldest_go),
		cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests(tests, enter_dir, remove_dir);
}
