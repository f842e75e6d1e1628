/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cache of unpacked kernels: what is whole comes back, what is not is not
 * there. Everything is in a directory of its own under /tmp, which is the
 * working directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/boot/kernel_cache.h"
#include "tests/unit/boot/temp_dir.h"
#include "tests/unit/support.h"

#define ELF_BYTES 1280 /* any bytes; nobody looks into them here */
#define WRITERS	  6
#define ROUNDS	  30
#define KEY	  0x0123456789abcdefull

static const char entry[] = "vmlinux-0123456789abcdef";

static void path_in(char *out, size_t size, const char *cache)
{
	(void)snprintf(out, size, "%s/%s", cache, entry);
}

static void cache_misses(const char *what, const char *cache, uint64_t key)
{
	uint64_t bytes = 4711;
	int err = kernel_cache_open(cache, key, &bytes);

	if (err != -ENOENT || bytes != 4711)
		fail_msg("%s: %d", what, err);
}

/* The entry is there and holds @bytes of @want. */
static void cache_hits(const char *cache, uint8_t want, uint64_t bytes)
{
	uint8_t buf[ELF_BYTES];
	uint64_t got = 0;
	int fd = kernel_cache_open(cache, KEY, &got);

	assert_true(fd >= 0);
	assert_int_equal(got, bytes);
	assert_int_equal(pread(fd, buf, bytes, 0), bytes);
	for (uint64_t i = 0; i < bytes; i++)
		assert_int_equal(buf[i], want);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(close(fd), 0);
}

static void cache_keeps(void **state)
{
	uint8_t elf[ELF_BYTES];

	(void)state;
	memset(elf, 'a', sizeof(elf));
	cache_misses("no directory", "cache", KEY);
	kernel_cache_store("cache", KEY, elf, sizeof(elf));
	cache_hits("cache", 'a', sizeof(elf));
	cache_misses("another key", "cache", KEY + 1);
	memset(elf, 'b', sizeof(elf));
	kernel_cache_store("cache", KEY, elf, 100);
	cache_hits("cache", 'b', 100);
	assert_int_equal(count_files("cache"), 1);
}

/* An entry to be damaged. */
static void fresh(const char *cache, char *path, size_t size)
{
	uint8_t elf[ELF_BYTES];

	memset(elf, 'a', sizeof(elf));
	path_in(path, size, cache);
	(void)unlink(path);
	kernel_cache_store(cache, KEY, elf, sizeof(elf));
	cache_hits(cache, 'a', sizeof(elf));
}

static void cut_entries_miss(void **state)
{
	char path[64];

	(void)state;
	fresh("cache", path, sizeof(path));
	for (off_t n = ELF_BYTES + 23; n >= 0; n -= n > ELF_BYTES ? 1 : 64) {
		assert_int_equal(truncate(path, n), 0);
		cache_misses("cut", "cache", KEY);
	}
	fresh("cache", path, sizeof(path));
	assert_int_equal(truncate(path, ELF_BYTES + 25), 0);
	cache_misses("longer", "cache", KEY);
}

static void changed_trailers_miss(void **state)
{
	char path[64];
	int fd;

	(void)state;
	for (off_t i = 0; i < 24; i++) {
		fresh("cache", path, sizeof(path));
		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, "!", 1, ELF_BYTES + i), 1);
		assert_int_equal(close(fd), 0);
		cache_misses("trailer", "cache", KEY);
	}
	fresh("cache", path, sizeof(path));
	assert_int_equal(rename(path, "cache/vmlinux-0000000000000001"), 0);
	cache_misses("entry of another kernel", "cache", 1);
	assert_int_equal(unlink("cache/vmlinux-0000000000000001"), 0);
}

/* Others could write to it, or it is no file: not used, and not waited for. */
static void untrusted_entries_miss(void **state)
{
	char path[64];

	(void)state;
	fresh("cache", path, sizeof(path));
	assert_int_equal(chmod(path, 0664), 0);
	cache_misses("group", "cache", KEY);
	assert_int_equal(chmod(path, 0646), 0);
	cache_misses("others", "cache", KEY);
	assert_int_equal(chmod(path, 0600), 0);
	cache_hits("cache", 'a', ELF_BYTES);
	assert_int_equal(rename(path, "cache/real"), 0);
	assert_int_equal(symlink("real", path), 0);
	cache_misses("symbolic link", "cache", KEY);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(unlink("cache/real"), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	cache_misses("directory", "cache", KEY);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	(void)alarm((unsigned)wait_limit_ms(HANG_MS) /
		    1000); /* opening it must not block */
	cache_misses("pipe", "cache", KEY);
	(void)alarm(0);
	assert_int_equal(unlink(path), 0);
}

/* Nothing to see but that there is no entry; nothing half-written is left. */
static void cache_that_cannot_be_written(void **state)
{
	char longest[4200];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(close(creat("file", 0600)), 0);
	kernel_cache_store("file", KEY, (const uint8_t *)"x", 1);
	cache_misses("a file", "file", KEY);
	kernel_cache_store("no/such", KEY, (const uint8_t *)"x", 1);
	cache_misses("no parent", "no/such", KEY);
	kernel_cache_store("/proc", KEY, (const uint8_t *)"x", 1);
	cache_misses("/proc", "/proc", KEY);
	kernel_cache_store(longest, KEY, (const uint8_t *)"x", 1);
	cache_misses("name too long", longest, KEY);
	assert_int_equal(mkdir("full", 0700), 0);
	path_in(longest, sizeof(longest), "full");
	assert_int_equal(mkdir(longest, 0700), 0);
	kernel_cache_store("full", KEY, (const uint8_t *)"x", 1);
	cache_misses("a directory in its place", "full", KEY);
	assert_int_equal(count_files("full"), 1);
}

static void write_some(uint8_t fill)
{
	uint8_t elf[ELF_BYTES];

	memset(elf, fill, sizeof(elf));
	for (int i = 0; i < ROUNDS; i++)
		kernel_cache_store("race", KEY, elf, sizeof(elf));
}

/* Whoever reads meanwhile sees one writer's bytes, whole, or nothing. */
static void read_meanwhile(void)
{
	uint8_t buf[ELF_BYTES];
	uint64_t bytes = 0;
	int fd = kernel_cache_open("race", KEY, &bytes);

	if (fd < 0)
		return;
	assert_int_equal(bytes, ELF_BYTES);
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	assert_in_range(buf[0], 'A', 'A' + WRITERS - 1);
	assert_memory_equal(buf, buf + 1, sizeof(buf) - 1);
	assert_int_equal(close(fd), 0);
}

static void writers_at_once(void **state)
{
	unsigned alive = WRITERS;
	int status;

	(void)state;
	for (unsigned i = 0; i < WRITERS; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			write_some((uint8_t)('A' + i));
			_exit(0);
		}
	}
	while (alive) {
		pid_t pid = waitpid(-1, &status, WNOHANG);

		assert_true(pid >= 0);
		if (pid > 0) {
			assert_int_equal(status, 0);
			alive--;
		}
		read_meanwhile();
	}
	assert_int_equal(count_files("race"), 1);
	cache_misses("another key", "race", KEY + 1);
	read_meanwhile();
}

static void key_changes_with_the_kernel(void **state)
{
	struct stat st = { .st_size = 3 * (off_t)KIB(64) };
	uint8_t *file = calloc(1, (size_t)st.st_size);
	uint64_t key;

	(void)state;
	assert_non_null(file);
	key = kernel_cache_key(&st, file);
	assert_int_equal(kernel_cache_key(&st, file), key);
	st.st_mtim.tv_sec++;
	assert_int_not_equal(kernel_cache_key(&st, file), key);
	st.st_mtim.tv_sec--;
	st.st_mtim.tv_nsec++;
	assert_int_not_equal(kernel_cache_key(&st, file), key);
	st.st_mtim.tv_nsec--;
	for (off_t at = 0; at < st.st_size; at += st.st_size - 1) {
		file[at] = 1;
		assert_int_not_equal(kernel_cache_key(&st, file), key);
		file[at] = 0;
	}
	assert_int_equal(kernel_cache_key(&st, file), key);
	st.st_size--;
	assert_int_not_equal(kernel_cache_key(&st, file), key);
	st.st_size = 1;
	assert_int_not_equal(kernel_cache_key(&st, file), key);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cache_keeps),
		cmocka_unit_test(cut_entries_miss),
		cmocka_unit_test(changed_trailers_miss),
		cmocka_unit_test(untrusted_entries_miss),
		cmocka_unit_test(cache_that_cannot_be_written),
		cmocka_unit_test(writers_at_once),
		cmocka_unit_test(key_changes_with_the_kernel),
	};

	return cmocka_run_group_tests_name("kernel_cache", tests, enter_dir,
					   remove_dir);
}
