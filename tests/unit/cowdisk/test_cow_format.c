/* SPDX-License-Identifier: BSD-2-Clause */
/* Header, bitmap and identity of a COW file. */
#include <errno.h>
#include <string.h>

#include "tests/unit/cowdisk/cow_files.h"

static const struct cow_header good = { .base = { MIB(5) + 512, -7,
						  0xabcdef } };

static void layout_follows_from_the_size(void **state)
{
	struct cow_layout l;

	(void)state;
	assert_int_equal(cow_layout_of(MIB(5) + 512, &l), 0);
	assert_int_equal(l.nr_blocks, 1281);
	assert_int_equal(l.map_bytes, 4096);
	assert_int_equal(l.data_offset, MIB(1));
	assert_int_equal(l.file_bytes, MIB(1) + 1281 * 4096);
	assert_int_equal(cow_layout_of(COW_MAX_BYTES, &l), 0);
	assert_int_equal(l.map_bytes, MIB(512));
	assert_int_equal(l.data_offset, MIB(513));
	assert_int_equal(cow_layout_of(0, &l), -EINVAL);
	assert_int_equal(cow_layout_of(511, &l), -EINVAL);
	assert_int_equal(cow_layout_of(COW_MAX_BYTES + 512, &l), -EINVAL);
	assert_int_equal(cow_layout_of(UINT64_MAX, &l), -EINVAL);
	assert_int_equal(l.data_offset, MIB(513)); /* untouched */
}

static void header_comes_back(void **state)
{
	uint8_t page[COW_HEADER_BYTES];
	struct cow_header h;
	struct cow_layout l;
	const char *why = "";

	(void)state;
	assert_int_equal(cow_layout_of(good.base.bytes, &l), 0);
	cow_header_encode(&good, page);
	assert_int_equal(cow_header_decode(page, l.file_bytes, &h, &why), 0);
	assert_int_equal(h.base.bytes, good.base.bytes);
	assert_int_equal(h.base.mtime_ns, good.base.mtime_ns);
	assert_int_equal(h.base.content, good.base.content);
	assert_false(h.committing);
}

/* The bytes of the table in cow_format.c, not of the code that writes them. */
static void bytes_are_those_of_the_table(void **state)
{
	static const uint8_t want[48] = {
		'D', 'I', 'S', 'C', 'O', 'C', 'O',  'W', 1,    0,    0,	   0,
		0,   16,  0,   0,   0,	 2,   0x50, 0,	 0,    0,    0,	   0,
		249, 255, 255, 255, 255, 255, 255,  255, 0xef, 0xcd, 0xab, 0,
		0,   0,	  0,   0,   0,	 0,   0,    0,	 0,    0,    0,	   0,
	};
	uint8_t page[COW_HEADER_BYTES];

	(void)state;
	cow_header_encode(&good, page);
	assert_memory_equal(page, want, sizeof(want));
}

/* Every byte that is flipped is seen. */
static void damage_is_refused(void **state)
{
	uint8_t page[COW_HEADER_BYTES];
	struct cow_header h;
	struct cow_layout l;

	(void)state;
	assert_int_equal(cow_layout_of(good.base.bytes, &l), 0);
	for (unsigned i = 0; i < 512; i++) {
		const char *why = NULL;

		cow_header_encode(&good, page);
		page[i] ^= 0x10;
		assert_int_equal(
			cow_header_decode(page, l.file_bytes, &h, &why),
			-EBADMSG);
		assert_non_null(why);
	}
}

static void other_lengths_are_refused(void **state)
{
	uint8_t page[COW_HEADER_BYTES];
	struct cow_header h;
	struct cow_layout l;
	const char *why = "";

	(void)state;
	assert_int_equal(cow_layout_of(good.base.bytes, &l), 0);
	cow_header_encode(&good, page);
	assert_int_equal(cow_header_decode(page, l.file_bytes - 1, &h, &why),
			 -EBADMSG);
	assert_non_null(strstr(why, "truncated"));
	assert_int_equal(cow_header_decode(page, l.file_bytes + 1, &h, &why),
			 -EBADMSG);
	assert_int_equal(cow_header_decode(page, 0, &h, &why), -EBADMSG);
}

static void identity_is_compared(void **state)
{
	struct cow_base b = good.base;
	const char *why = "";

	(void)state;
	assert_int_equal(cow_base_check(&good, &b, &why), 0);
	b.mtime_ns++;
	assert_int_equal(cow_base_check(&good, &b, &why), -ESTALE);
	assert_non_null(strstr(why, "mtime"));
	b.content++;
	assert_int_equal(cow_base_check(&good, &b, &why), -ESTALE);
	assert_non_null(strstr(why, "content"));
	b.bytes += 512;
	assert_int_equal(cow_base_check(&good, &b, &why), -ESTALE);
	assert_non_null(strstr(why, "size"));
}

static void content_id_sees_both_ends(void **state)
{
	int fd = cow_temp_file(MIB(4) + 512);
	uint64_t a = 0, b = 0, bytes = MIB(4) + 512;
	struct io_fd f;

	(void)state;
	io_fd_init(&f, fd, -1);
	assert_int_equal(cow_base_content(&f.io, bytes, &a), 0);
	assert_int_equal(pwrite(fd, "x", 1, (off_t)bytes - 1), 1);
	assert_int_equal(cow_base_content(&f.io, bytes, &b), 0);
	assert_true(a != b);
	assert_int_equal(pwrite(fd, "y", 1, 0), 1);
	assert_int_equal(cow_base_content(&f.io, bytes, &a), 0);
	assert_true(a != b);
	assert_int_equal(cow_base_content(&f.io, 512, &a), 0);
	assert_int_equal(cow_base_content(&f.io, bytes + 512, &a), -EIO);
	(void)close(fd);
}

static void bit_past_the_end_is_refused(void **state)
{
	int base = cow_temp_file(MIB(1)), fd = cow_temp_cow(base, MIB(1));
	struct cow_layout l;
	const char *why = "";
	struct cow *c = NULL;
	struct io_fd f;

	(void)state;
	assert_int_equal(cow_layout_of(MIB(1), &l), 0);
	io_fd_init(&f, base, fd);
	assert_int_equal(pwrite(fd, "\x80", 1, COW_HEADER_BYTES + 31), 1);
	assert_int_equal(cow_open(&f.io, l.file_bytes, 1, 0, &c, &why), 0);
	assert_true(cow_map_has(cow_map(c), 255));
	assert_int_equal(cow_map_count(cow_map(c)), 1);
	cow_close(c);
	assert_int_equal(pwrite(fd, "\x01", 1, COW_HEADER_BYTES + 32), 1);
	assert_int_equal(cow_open(&f.io, l.file_bytes, 1, 0, &c, &why),
			 -EBADMSG);
	assert_non_null(strstr(why, "bitmap"));
	(void)close(base);
	(void)close(fd);
}

static void runs_are_found(void **state)
{
	struct cow_layout l;
	struct cow_map m;

	(void)state;
	assert_int_equal(cow_layout_of(MIB(1), &l), 0);
	assert_int_equal(cow_map_create(&m, &l), 0);
	assert_int_equal(cow_map_run(&m, 0, 256), 256);
	cow_map_set(&m, 3, 30);
	assert_int_equal(cow_map_run(&m, 0, 256), 3);
	assert_int_equal(cow_map_run(&m, 3, 256 - 3), 30);
	assert_int_equal(cow_map_run(&m, 3, 5), 5);
	assert_int_equal(cow_map_run(&m, 33, 256 - 33), 223);
	assert_int_equal(cow_map_count(&m), 30);
	assert_int_equal(m.nr_dirty, 1);
	assert_int_equal(cow_map_take(&m), 1);
	cow_map_set(&m, 40, 1);
	assert_int_equal(cow_map_taken(&m, 0)[5], 0); /* came too late */
	cow_map_give_back(&m);
	assert_int_equal(m.nr_dirty, 1);
	assert_int_equal(cow_map_take(&m), 1);
	assert_int_equal(cow_map_taken(&m, 0)[5], 1);
	cow_map_written(&m, 0);
	assert_int_equal(cow_map_take(&m), 0);
	cow_map_destroy(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_follows_from_the_size),
		cmocka_unit_test(header_comes_back),
		cmocka_unit_test(bytes_are_those_of_the_table),
		cmocka_unit_test(damage_is_refused),
		cmocka_unit_test(other_lengths_are_refused),
		cmocka_unit_test(identity_is_compared),
		cmocka_unit_test(content_id_sees_both_ends),
		cmocka_unit_test(bit_past_the_end_is_refused),
		cmocka_unit_test(runs_are_found),
	};

	return cmocka_run_group_tests_name("cow_format", tests, NULL, NULL);
}
