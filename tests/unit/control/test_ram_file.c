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
	int fd = ram_file_create(SIZE, HUGE_OFF);

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
	int fd = ram_file_create(SIZE, HUGE_THP);

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

/* Only where it was advised; and the whole file says whether there are any. */
static void huge_pages_are_where_they_are_wanted(void **state)
{
	int fd = ram_file_create(MIB(8), HUGE_AUTO);
	struct stat st;
	char *p, *at;

	(void)state;
	assert_true(fd >= 0);
	p = mmap(NULL, MIB(8), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	at = (char *)align_up((uintptr_t)p, MIB(2));
	at[0] = 1;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_blocks * 512, PAGE_BYTES);
	assert_int_equal(madvise(at + MIB(2), MIB(2), MADV_HUGEPAGE), 0);
	at[MIB(2)] = 1;
	assert_int_equal(fstat(fd, &st), 0);
	if (ram_file_gives_huge())
		assert_int_equal(st.st_blocks * 512, PAGE_BYTES + MIB(2));
	else
		assert_int_equal(st.st_blocks * 512, 2 * PAGE_BYTES);
	(void)munmap(p, MIB(8));
	(void)close(fd);
}

/* All of it is there, in pages of whatever size. */
static void reserved_memory_may_be_huge(void **state)
{
	int fd = ram_file_create(MIB(8), HUGE_AUTO);
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	if (node_bind_probe(0))
		SKIP("memory cannot be bound here");
	assert_int_equal(ram_file_reserve(fd, MIB(8), 0, HUGE_AUTO), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_blocks * 512, MIB(8));
	(void)close(fd);
}

static void reserved_memory_is_on_its_node(void **state)
{
	uint64_t touched = 0, local = 0;
	struct stat st;
	int fd = ram_file_create(SIZE, HUGE_OFF);
	char *p;

	(void)state;
	if (node_bind_probe(0))
		SKIP("memory cannot be bound here");
	assert_int_equal(ram_file_reserve(fd, SIZE, 0, HUGE_OFF), 0);
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
	int fd = ram_file_create(bytes, HUGE_OFF);

	(void)state;
	assert_true(fd >= 0);
	if (node_bind_probe(0))
		SKIP("memory cannot be bound here");
	assert_int_equal(ram_file_reserve(fd, bytes, 0, HUGE_OFF), -ENOMEM);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_blocks, 0);
	assert_true(ram_file_reserve(fd, bytes, 1023, HUGE_OFF) < 0);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_pages_keep_their_size),
		cmocka_unit_test(huge_pages_are_huge),
		cmocka_unit_test(huge_pages_are_where_they_are_wanted),
		cmocka_unit_test(reserved_memory_may_be_huge),
		cmocka_unit_test(reserved_memory_is_on_its_node),
		cmocka_unit_test(a_full_node_reserves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
