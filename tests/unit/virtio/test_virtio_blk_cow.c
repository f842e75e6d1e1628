/* SPDX-License-Identifier: BSD-2-Clause */
/* The block device over a copy-on-write disk: what only that one has. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cowdisk/disk/cow_format.h"
#include "tests/unit/cowdisk/cow_files.h"
#include "tests/unit/virtio/blk_bench.h"

#define DISCARD	 11u
#define ZEROES	 13u
#define F_ZERO	 (1ull << 13 | 1ull << 14)
#define BYTES	 (BLK_SECTORS * 512)
#define MAX_ZERO (1u << 21)

struct range {
	uint64_t sector;
	uint32_t nr_sectors, flags;
};

static int setup(void **state)
{
	struct blk_bench *b = calloc(1, sizeof(*b));
	struct cow_base id = { .bytes = BYTES };
	const char *why = "";
	struct cow_layout l;
	struct disk *disk;
	struct io_fd f;
	int fds[DISK_COW_FDS];

	must(b);
	fake_host_create(&b->h, BLK_RAM);
	must(cow_layout_of(BYTES, &l) == 0);
	b->file = blk_temp_file(BYTES);
	cow_disk_fds(fcntl(b->file, F_DUPFD_CLOEXEC, 0),
		     blk_temp_file(l.file_bytes), fds);
	io_fd_init(&f, fds[DISK_BASE], fds[DISK_COW]);
	must(cow_format(&f.io, &id) == 0);
	must(disk_open_cow(fds, false, VIRTIO_BLK_DEPTH, &disk, &why) == 0);
	must(virtio_blk_create(&b->h.host, disk, BYTES, false, "cow", 1,
			       &b->blk) == 0);
	driver_attach(&b->d, &b->h, virtio_blk_dev(b->blk));
	driver_start(&b->d, BLK_F_FLUSH | F_ZERO, 1, 16);
	b->data = fake_guest(&b->h, DATA_GPA, BLK_RAM - DATA_GPA);
	*state = b;
	return 0;
}

/* A request with @bytes of ranges, of which one is filled in. */
static int zero(struct blk_bench *b, uint32_t type, uint64_t sector,
		uint32_t nr, uint32_t flags, uint32_t bytes)
{
	struct range g = { sector, nr, flags };
	struct ring *r = &b->d.rings[0];

	memset(b->data, 0, 64);
	memcpy(b->data, &g, sizeof(g));
	blk_header(b, type, 0);
	ring_desc(r, 0, BLK_HEADER, 16, D_NEXT, 1);
	ring_desc(r, 1, DATA_GPA, bytes, D_NEXT, 2);
	ring_desc(r, 2, BLK_STATUS, 1, D_WRITE, 0);
	return blk_run(b);
}

static bool reads_as(struct blk_bench *b, uint64_t sector, char c)
{
	assert_int_equal(blk_rw(b, BLK_IN, sector, 512), BLK_OK);
	return blk_data_is(b, c, 512);
}

static void config_says_what_is_offered(void **state)
{
	struct blk_bench *b = *state;

	assert_true((driver_offered(&b->d) & F_ZERO) == F_ZERO);
	assert_int_equal(driver_read(&b->d, R_DEVICE + 24, 1), 3);
	assert_int_equal(driver_read(&b->d, R_DEVICE + 36, 4), MAX_ZERO);
	assert_int_equal(driver_read(&b->d, R_DEVICE + 40, 4), 1);
	assert_int_equal(driver_read(&b->d, R_DEVICE + 44, 4), 8);
	assert_int_equal(driver_read(&b->d, R_DEVICE + 48, 4), MAX_ZERO);
	assert_int_equal(driver_read(&b->d, R_DEVICE + 52, 4), 1);
	assert_int_equal(driver_read(&b->d, R_DEVICE + 56, 1), 1);
}

static void writes_leave_the_base_alone(void **state)
{
	struct blk_bench *b = *state;

	blk_file_fill(b, 9, 'b');
	blk_data_fill(b, 'w', 512);
	assert_int_equal(blk_rw(b, BLK_OUT, 8, 512), BLK_OK);
	assert_true(reads_as(b, 8, 'w'));
	assert_true(reads_as(b, 9, 'b'));
	assert_int_equal(blk_plain(b, BLK_FLUSH, 0), BLK_OK);
	assert_true(blk_file_is(b, 8, 0));
}

static void zeroed_and_discarded_read_as_zero(void **state)
{
	struct blk_bench *b = *state;

	for (unsigned i = 0; i < 32; i++)
		blk_file_fill(b, i, 'b');
	assert_int_equal(zero(b, ZEROES, 3, 10, 0, 16), BLK_OK);
	assert_true(reads_as(b, 2, 'b'));
	assert_true(reads_as(b, 3, 0));
	assert_true(reads_as(b, 12, 0));
	assert_true(reads_as(b, 13, 'b'));
	assert_int_equal(zero(b, ZEROES, 13, 1, 1, 16), BLK_OK);
	assert_true(reads_as(b, 13, 0));
	/* Only whole blocks of a discard. */
	assert_int_equal(zero(b, DISCARD, 15, 10, 0, 16), BLK_OK);
	assert_true(reads_as(b, 15, 'b'));
	assert_true(reads_as(b, 16, 0));
	assert_true(reads_as(b, 23, 0));
	assert_true(reads_as(b, 24, 'b'));
	assert_int_equal(virtio_blk_settle(b->blk), 0);
}

static void bad_ranges_are_refused(void **state)
{
	struct blk_bench *b = *state;

	assert_int_equal(zero(b, DISCARD, 0, 8, 1, 16), BLK_UNSUPP);
	assert_int_equal(zero(b, ZEROES, 0, 8, 2, 16), BLK_UNSUPP);
	assert_int_equal(zero(b, DISCARD, BLK_SECTORS, 8, 1, 16), BLK_UNSUPP);
	assert_int_equal(zero(b, ZEROES, UINT64_MAX, 8, 6, 16), BLK_UNSUPP);
	assert_int_equal(zero(b, ZEROES, 0, MAX_ZERO + 1, 1u << 31, 16),
			 BLK_UNSUPP);
	assert_int_equal(zero(b, ZEROES, BLK_SECTORS, 1, 1, 16), BLK_IOERR);
	assert_int_equal(zero(b, ZEROES, BLK_SECTORS, 1, 0, 16), BLK_IOERR);
	assert_int_equal(zero(b, ZEROES, UINT64_MAX, 2, 0, 16), BLK_IOERR);
	assert_int_equal(zero(b, DISCARD, 0, MAX_ZERO + 1, 0, 16), BLK_IOERR);
	assert_int_equal(zero(b, DISCARD, 0, 8, 0, 32), BLK_IOERR);
	assert_int_equal(zero(b, DISCARD, 0, 8, 0, 15), BLK_IOERR);
	assert_int_equal(blk_plain(b, ZEROES, 0), BLK_IOERR);
	assert_int_equal(zero(b, DISCARD, 0, 0, 0, 16), BLK_OK);
	assert_true(reads_as(b, 0, 0));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, blk_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(config_says_what_is_offered),
		T(writes_leave_the_base_alone),
		T(zeroed_and_discarded_read_as_zero),
		T(bad_ranges_are_refused),
	};

	return cmocka_run_group_tests_name("blk_cow", tests, NULL, NULL);
}
