/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bitmap of idle pages, against a file that stands for it, and against this
 * machine's, where there is one.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "disco/pagemap.h"
#include "memory/sampling/page_idle.h"
#include "tests/unit/support.h"

#define WORDS 4u

static char path[] = "/tmp/disco-idle-XXXXXX";
static int file = -1;
static struct diag diag;
static bool keeps_no_mark; /* of the page of the next write */
static int pwrite_error;   /* errno of the next one */
static bool real;	   /* the kernel's own */

/* The kernel ORs, and marks what it can. */
ssize_t pwrite(int fd, const void *buf, size_t bytes, off_t at)
{
	uint64_t word, more;

	if (real)
		return syscall(SYS_pwrite64, fd, buf, bytes, at);
	assert_int_equal(bytes, sizeof(word));
	assert_int_equal(at % 8, 0);
	memcpy(&more, buf, sizeof(more));
	assert_int_equal(__builtin_popcountll(more), 1);
	if (pwrite_error) {
		errno = pwrite_error;
		return -1;
	}
	if (at >= (off_t)(WORDS * sizeof(word))) {
		errno = ENXIO;
		return -1;
	}
	if (keeps_no_mark)
		return sizeof(word);
	assert_int_equal(pread(fd, &word, sizeof(word), at), sizeof(word));
	word |= more;
	assert_int_equal(lseek(fd, at, SEEK_SET), at);
	return write(fd, &word, sizeof(word));
}

static int set_up(void **state)
{
	static const uint64_t none[WORDS];

	(void)state;
	(void)strcpy(path + strlen(path) - 6, "XXXXXX");
	file = mkstemp(path);
	diag = (struct diag){ 0 };
	keeps_no_mark = false;
	pwrite_error = 0;
	return write(file, none, sizeof(none)) == sizeof(none) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	return close(file);
}

static void put_word(unsigned i, uint64_t word)
{
	assert_int_equal(lseek(file, i * 8, SEEK_SET), i * 8);
	assert_int_equal(write(file, &word, 8), 8);
}

static void a_page_is_marked_and_accessed(void **state)
{
	int fd = page_idle_open(path, &diag);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(page_idle_mark(fd, 70), 1);
	assert_int_equal(page_idle_mark(fd, 64), 1); /* the same word */
	assert_int_equal(page_idle_accessed(fd, 70), 0);
	assert_int_equal(page_idle_accessed(fd, 64), 0);
	put_word(1, 1); /* somebody accesses 70 */
	assert_int_equal(page_idle_accessed(fd, 70), 1);
	assert_int_equal(page_idle_accessed(fd, 64), 0);
	(void)close(fd);
}

/* Such a page reads as accessed, and was not. */
static void a_page_without_a_mark_is_none(void **state)
{
	int fd = page_idle_open(path, &diag);

	(void)state;
	keeps_no_mark = true;
	assert_int_equal(page_idle_mark(fd, 3), 0);
	(void)close(fd);
}

static void a_bitmap_that_is_cut(void **state)
{
	int fd = page_idle_open(path, &diag);

	(void)state;
	assert_int_equal(page_idle_mark(fd, WORDS * 64), -EBADMSG);
	assert_int_equal(page_idle_accessed(fd, WORDS * 64), -EBADMSG);
	assert_int_equal(page_idle_mark(fd, UINT64_MAX), -EBADMSG);
	assert_int_equal(page_idle_accessed(fd, 1ull << 52), -EBADMSG);
	assert_int_equal(ftruncate(file, WORDS * 8 - 3), 0);
	assert_int_equal(page_idle_accessed(fd, WORDS * 64 - 1), -EBADMSG);
	assert_int_equal(page_idle_accessed(fd, 0), 1);
	pwrite_error = EPERM;
	assert_int_equal(page_idle_mark(fd, 0), -EPERM);
	(void)close(fd);
	/* From the start. */
	assert_int_equal(ftruncate(file, 5), 0);
	assert_int_equal(page_idle_open(path, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "it is cut"));
}

static void no_bitmap(void **state)
{
	char other[] = "/tmp/disco-idle-link";

	(void)state;
	assert_int_equal(page_idle_open("/tmp/disco-none", &diag), -ENOENT);
	assert_non_null(strstr(diag.text, "CONFIG_IDLE_PAGE_TRACKING"));
	(void)unlink(other);
	assert_return_code(symlink(path, other), errno);
	assert_int_equal(page_idle_open(other, &diag), -ELOOP);
	(void)unlink(other);
	assert_int_equal(page_idle_open("/tmp", &diag), -EISDIR);
}

static uint64_t frame_of(const void *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	assert_int_equal(
		pagemap_read(fd, (uintptr_t)at / PAGE_BYTES, &entry, 1), 1);
	(void)close(fd);
	return entry & ((1ull << 55) - 1);
}

/* A page of this process's, by this machine's bitmap. */
static void this_kernels_bitmap(void **state)
{
	int fd = page_idle_open(PAGE_IDLE_PATH, &diag), ret = 0;
	volatile char *page;
	uint64_t frame, end = wait_end_ns();

	(void)state;
	if (fd < 0)
		SKIP("%s", diag.text);
	page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*page = 1;
	frame = frame_of((const void *)page);
	if (!frame)
		SKIP("pagemap hides frames");
	real = true;
	/* A page that is new is on an LRU list only a moment later. */
	while (!(ret = page_idle_mark(fd, frame)) && clock_now_ns() < end)
		(void)poll(NULL, 0, 1);
	assert_int_equal(ret, 1);
	assert_int_equal(page_idle_accessed(fd, frame), 0);
	/* The CPU may know the old entry for as long as it runs this. */
	do
		*page = 2;
	while (!(ret = page_idle_accessed(fd, frame)) &&
	       (poll(NULL, 0, 1), clock_now_ns() < end));
	assert_int_equal(ret, 1);
	real = false;
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_page_is_marked_and_accessed,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_page_without_a_mark_is_none,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_bitmap_that_is_cut, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(no_bitmap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(this_kernels_bitmap, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
