/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "monitor/control/workers/ram_file.h"
#include "numa/bind.h"
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

static void reserved_memory_is_on_its_node(void **state)
{
	uint64_t touched = 0, local = 0;
	struct stat st;
	int fd = ram_file_create(SIZE, false);
	char *p;

	(void)state;
	if (node_bind_probe(0))
		SKIP("memory cannot be bound here");
	assert_int_equal(ram_file_reserve(fd, SIZE, 0), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_blocks * 512, SIZE);
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		 fd, 0);
	assert_true(p != MAP_FAILED);
	assert_int_equal(node_pages_local(p, SIZE, 0, &touched, &local), 0);
	assert_int_equal(local, SIZE / PAGE_BYTES);
	(void)munmap(p, SIZE);
	(void)close(fd);
}

/* And takes nothing then. */
static void a_full_node_reserves_nothing(void **state)
{
	const uint64_t bytes = GIB(1024) * 64;
	struct stat st;
	int fd = ram_file_create(bytes, false);

	(void)state;
	assert_true(fd >= 0);
	if (node_bind_probe(0))
		SKIP("memory cannot be bound here");
	assert_int_equal(ram_file_reserve(fd, bytes, 0), -ENOMEM);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_blocks, 0);
	assert_true(ram_file_reserve(fd, bytes, 1023) < 0);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_pages_keep_their_size),
		cmocka_unit_test(huge_pages_are_huge),
		cmocka_unit_test(reserved_memory_is_on_its_node),
		cmocka_unit_test(a_full_node_reserves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
