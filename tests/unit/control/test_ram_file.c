/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "monitor/control/workers/ram_file.h"
#include "tests/unit/support.h"

#define SIZE MIB(6)

static void is_memory(int fd)
{
	struct stat st;
	char *p;

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_int_equal(st.st_blocks, 0);
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	p[SIZE - 1] = 1;
	assert_int_equal(p[0], 0);
	assert_int_equal(munmap(p, SIZE), 0);
}

static void small_pages_keep_their_size(void **state)
{
	int fd = ram_file_create(SIZE, false);

	(void)state;
	is_memory(fd);
	assert_int_equal(ftruncate(fd, SIZE / 2), -1);
	assert_int_equal(ftruncate(fd, SIZE * 2), -1);
	(void)close(fd);
}

/* Of one touched byte: a whole huge page is there. */
static void huge_pages_are_huge(void **state)
{
	struct stat st;
	int fd = ram_file_create(SIZE, true);

	(void)state;
	is_memory(fd);
	assert_int_equal(fstat(fd, &st), 0);
	if (fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK) {
		print_message("# skip: no right to mount a tmpfs\n");
		skip();
	}
	assert_true(st.st_blocks * 512 >= (blkcnt_t)MIB(2));
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_pages_keep_their_size),
		cmocka_unit_test(huge_pages_are_huge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
