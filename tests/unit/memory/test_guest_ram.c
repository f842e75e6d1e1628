/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/guest_ram.h"
#include "tests/unit/support.h"

/* A memfd that is sparse: sizes of several GiB cost nothing. */
static int memfd(uint64_t bytes)
{
	int fd = memfd_create("test-ram", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static void make(struct ram_view *v, uint64_t bytes)
{
	assert_int_equal(ram_view_create(v, memfd(bytes), bytes), 0);
}

static void destroy(struct ram_view *v)
{
	int fd = v->fd;

	ram_view_destroy(v);
	ram_view_destroy(v); /* twice is fine */
	(void)close(fd);
}

static void bad_sizes(void **state)
{
	struct ram_view v = { .fd = 77 };
	int fd = memfd(4096);

	(void)state;
	assert_int_equal(ram_view_create(&v, fd, 0), -EINVAL);
	assert_int_equal(ram_view_create(&v, fd, 4095), -EINVAL);
	assert_int_equal(ram_view_create(&v, -1, 4096), -EBADF);
	assert_int_equal(v.fd, 77); /* untouched on error */
	ram_view_destroy(NULL);
	(void)close(fd);
}

static void small_ram_is_one_slot(void **state)
{
	struct ram_view v;

	(void)state;
	make(&v, MIB(1));
	assert_int_equal(v.nr_slots, 1);
	assert_non_null(ram_at(&v, gpa(0), MIB(1)));
	assert_non_null(ram_at(&v, gpa(MIB(1) - 1), 1));
	assert_null(ram_at(&v, gpa(MIB(1) - 1), 2));
	assert_null(ram_at(&v, gpa(MIB(1)), 1));
	assert_null(ram_at(&v, gpa(0), MIB(1) + 1));
	assert_null(ram_at(&v, gpa(UINT64_MAX), 1));
	assert_null(ram_at(&v, gpa(UINT64_MAX), UINT64_MAX));
	assert_null(ram_at(&v, gpa(16), UINT64_MAX - 8));
	destroy(&v);
}

static void just_up_to_the_hole(void **state)
{
	struct ram_view v;

	(void)state;
	make(&v, RAM_LOW_END);
	assert_int_equal(v.nr_slots, 1);
	assert_non_null(ram_at(&v, gpa(RAM_LOW_END - 1), 1));
	assert_null(ram_at(&v, gpa(RAM_HIGH_START), 1));
	destroy(&v);
}

static void beyond_the_hole(void **state)
{
	uint64_t high = GIB(1) + PAGE_BYTES;
	struct ram_view v;
	uint8_t *low_end, *high_start;

	(void)state;
	make(&v, RAM_LOW_END + high);
	assert_int_equal(v.nr_slots, 2);
	low_end = ram_at(&v, gpa(RAM_LOW_END - 1), 1);
	high_start = ram_at(&v, gpa(RAM_HIGH_START), 1);
	assert_ptr_equal(low_end + 1, high_start); /* dense in the memfd */
	assert_null(ram_at(&v, gpa(RAM_LOW_END), 1));
	assert_null(ram_at(&v, gpa(RAM_HIGH_START - 1), 1));
	assert_null(ram_at(&v, gpa(RAM_LOW_END - 8), 16));
	assert_null(ram_at(&v, gpa(RAM_LOW_END - 8), GIB(1) + 16));
	assert_non_null(ram_at(&v, gpa(RAM_HIGH_START), high));
	assert_null(ram_at(&v, gpa(RAM_HIGH_START), high + 1));
	destroy(&v);
}

static void copies_check_the_whole_range(void **state)
{
	struct ram_view v;
	char buf[8] = "unread";

	(void)state;
	make(&v, PAGE_BYTES);
	assert_int_equal(ram_write(&v, gpa(PAGE_BYTES - 4), "abcd", 4), 0);
	assert_int_equal(ram_read(&v, gpa(PAGE_BYTES - 4), buf, 4), 0);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(ram_write(&v, gpa(PAGE_BYTES - 4), "ABCDE", 5),
			 -EFAULT);
	assert_int_equal(ram_read(&v, gpa(PAGE_BYTES - 3), buf, 4), -EFAULT);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(ram_read(&v, gpa(PAGE_BYTES - 4), buf, 4), 0);
	assert_memory_equal(buf, "abcd", 4);
	destroy(&v);
}

static void there_and_back(void **state)
{
	const uint64_t at[] = { 0, 1, RAM_LOW_END - 1, RAM_HIGH_START,
				RAM_HIGH_START + PAGE_BYTES - 1 };
	struct ram_view v;

	(void)state;
	make(&v, RAM_LOW_END + PAGE_BYTES);
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
		assert_int_equal(ram_gpa(&v, ram_at(&v, gpa(at[i]), 1)).v,
				 at[i]);
	destroy(&v);
}

static void fill_copies_a_piece(void **state)
{
	static char text[] = "in the file";
	struct ram_view v;
	int fd = memfd(8192);
	char back[sizeof(text)];

	(void)state;
	make(&v, MIB(1));
	assert_int_equal(pwrite(fd, text, sizeof(text), 4090), sizeof(text));
	assert_int_equal(ram_fill(&v, gpa(100), sizeof(text), fd, 4090), 0);
	assert_int_equal(ram_read(&v, gpa(100), back, sizeof(back)), 0);
	assert_string_equal(back, text);
	assert_int_equal(ram_fill(&v, gpa(MIB(1) - 1), 2, fd, 0), -EFAULT);
	assert_int_equal(ram_fill(&v, gpa(0), 8193, fd, 0), -EIO);
	assert_int_equal(ram_fill(&v, gpa(0), 1, -1, 0), -EBADF);
	(void)close(fd);
	destroy(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_sizes),
		cmocka_unit_test(small_ram_is_one_slot),
		cmocka_unit_test(just_up_to_the_hole),
		cmocka_unit_test(beyond_the_hole),
		cmocka_unit_test(copies_check_the_whole_range),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(fill_copies_a_piece),
	};

	return cmocka_run_group_tests_name("guest_ram", tests, NULL, NULL);
}
