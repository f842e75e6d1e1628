/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block device over a real file: every request type, once with io_uring
 * and once without.
 */
#include <string.h>
#include <unistd.h>

#include "tests/unit/virtio/blk_bench.h"

static void identity_and_config(void **state)
{
	struct blk_bench *b = *state;

	assert_int_equal(fake_config_read(&b->h, b->d.slot, 0, 4), 0x10421af4);
	assert_int_equal(driver_read(&b->d, R_DEVICE, 8), BLK_SECTORS);
	assert_int_equal(driver_read(&b->d, R_DEVICE + 20, 4), 512);
	assert_true(driver_offered(&b->d) & BLK_F_FLUSH);
	assert_false(driver_offered(&b->d) & BLK_F_RO);
}

static void read_a_sector(void **state)
{
	struct blk_bench *b = *state;

	blk_file_fill(b, 3, 'r');
	assert_int_equal(blk_rw(b, BLK_IN, 3, 512), BLK_OK);
	assert_int_equal(b->written, 513);
	assert_true(blk_data_is(b, 'r', 512));
	assert_int_equal(fake_host_msis(&b->h, MSG_QUEUE(0)), 1);
}

static void write_a_sector(void **state)
{
	struct blk_bench *b = *state;

	blk_data_fill(b, 'w', 1024);
	assert_int_equal(blk_rw(b, BLK_OUT, 5, 1024), BLK_OK);
	assert_int_equal(b->written, 1);
	assert_true(blk_file_is(b, 5, 'w'));
	assert_true(blk_file_is(b, 6, 'w'));
	assert_true(blk_file_is(b, 4, 0));
	assert_true(blk_file_is(b, 7, 0));
}

/* A raw disk offers neither discard nor write-zeroes, and says so. */
static void zeroing_is_for_cow_disks(void **state)
{
	struct blk_bench *b = *state;

	assert_false(driver_offered(&b->d) & (1ull << 13 | 1ull << 14));
	assert_int_equal(blk_plain(b, 11, 0), BLK_UNSUPP);
	assert_int_equal(blk_plain(b, 13, 0), BLK_UNSUPP);
}

static void flush(void **state)
{
	struct blk_bench *b = *state;

	assert_int_equal(blk_plain(b, BLK_FLUSH, 0), BLK_OK);
	assert_int_equal(b->written, 1);
}

static void get_id(void **state)
{
	struct blk_bench *b = *state;
	char want[20] = "serial-0";

	assert_int_equal(blk_rw(b, BLK_GET_ID, 0, 20), BLK_OK);
	assert_memory_equal(b->data, want, 20);
	assert_int_equal(b->written, 21);
	blk_data_fill(b, 'x', 20);
	assert_int_equal(blk_rw(b, BLK_GET_ID, 0, 4), BLK_OK);
	assert_memory_equal(b->data, "serixx", 6); /* a short buffer */
}

static void unknown_request(void **state)
{
	struct blk_bench *b = *state;

	assert_int_equal(blk_rw(b, 11, 0, 512), BLK_UNSUPP);
	assert_int_equal(blk_plain(b, 0x7fffffff, 0), BLK_UNSUPP);
}

static void last_sector_and_one_past(void **state)
{
	struct blk_bench *b = *state;

	assert_int_equal(blk_rw(b, BLK_IN, BLK_SECTORS - 1, 512), BLK_OK);
	assert_int_equal(blk_rw(b, BLK_IN, BLK_SECTORS, 512), BLK_IOERR);
	assert_int_equal(b->written, 1);
	assert_int_equal(blk_rw(b, BLK_IN, BLK_SECTORS - 1, 1024), BLK_IOERR);
	assert_int_equal(blk_rw(b, BLK_OUT, BLK_SECTORS, 512), BLK_IOERR);
	assert_int_equal(blk_file_bytes(b), BLK_SECTORS * 512);
}

static void sector_numbers_that_overflow(void **state)
{
	static const uint64_t bad[] = { UINT64_MAX, UINT64_MAX / 512,
					UINT64_MAX / 512 + 1, 1ull << 55,
					(1ull << 55) + 1 };
	struct blk_bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(blk_rw(b, BLK_IN, bad[i], 512), BLK_IOERR);
		assert_int_equal(blk_rw(b, BLK_OUT, bad[i], 512), BLK_IOERR);
	}
}

static void length_not_of_sectors(void **state)
{
	struct blk_bench *b = *state;

	assert_int_equal(blk_rw(b, BLK_IN, 0, 511), BLK_IOERR);
	assert_int_equal(blk_rw(b, BLK_OUT, 0, 513), BLK_IOERR);
	assert_int_equal(blk_rw(b, BLK_IN, 0, 1), BLK_IOERR);
	assert_true(blk_file_is(b, 0, 0));
}

static void no_data_at_all(void **state)
{
	struct blk_bench *b = *state;

	assert_int_equal(blk_plain(b, BLK_IN, 0), BLK_OK);
	assert_int_equal(blk_plain(b, BLK_OUT, 0), BLK_OK);
}

static void length_beyond_the_disk(void **state)
{
	struct blk_bench *b = *state;

	/* Wholly in guest memory, far more than the disk has. */
	assert_int_equal(blk_rw(b, BLK_IN, 0, 8 << 20), BLK_IOERR);
	assert_int_equal(blk_rw(b, BLK_OUT, 0, 8 << 20), BLK_IOERR);
}

/* 512 pieces over and over the same memory: 4 GiB that fit nowhere. */
static void more_than_4_gib_in_pieces(void **state)
{
	struct blk_bench *b = *state;
	unsigned n = 500;

	desc_at(&b->h, BLK_TABLE, 0, BLK_HEADER, 16, D_NEXT, 1);
	for (unsigned i = 1; i <= n; i++)
		desc_at(&b->h, BLK_TABLE, i, 0, BLK_RAM, D_NEXT | D_WRITE,
			i + 1);
	desc_at(&b->h, BLK_TABLE, n + 1, BLK_STATUS, 1, D_WRITE, 0);
	blk_header(b, BLK_IN, 0);
	ring_desc(&b->d.rings[0], 0, BLK_TABLE, (n + 2) * 16, D_INDIRECT, 0);
	ring_offer(&b->d.rings[0], 0);
	driver_kick(&b->d, 0);
	assert_true(driver_status(&b->d) & VIRTIO_STATUS_NEEDS_RESET);
}

static void many_pieces_of_odd_sizes(void **state)
{
	struct blk_bench *b = *state;
	struct ring *r = &b->d.rings[0];
	uint32_t sizes[] = { 1, 510, 1, 512, 1000, 24 }, at = 0;
	unsigned n = ARRAY_SIZE(sizes);

	for (uint64_t s = 8; s < 12; s++)
		blk_file_fill(b, s, (char)('a' + s));
	blk_header(b, BLK_IN, 8);
	ring_desc(r, 0, BLK_HEADER, 5, D_NEXT, 1); /* a header in two pieces */
	ring_desc(r, 1, BLK_HEADER + 5, 11, D_NEXT, 2);
	for (unsigned i = 0; i < n; at += sizes[i++])
		ring_desc(r, 2 + i, DATA_GPA + at, sizes[i], D_NEXT | D_WRITE,
			  3 + i);
	ring_desc(r, 2 + n, BLK_STATUS, 1, D_WRITE, 0);
	assert_int_equal(blk_run(b), BLK_OK);
	assert_int_equal(b->written, 2049);
	for (unsigned i = 0; i < 2048; i++)
		assert_int_equal(b->data[i], 'a' + 8 + (int)(i / 512));
}

/* The status is the last writable byte, wherever pieces end. */
static void status_byte_shares_a_piece_with_data(void **state)
{
	struct blk_bench *b = *state;
	struct ring *r = &b->d.rings[0];

	blk_file_fill(b, 2, 'd');
	blk_header(b, BLK_IN, 2);
	memset(b->data, 0xee, 1024);
	ring_desc(r, 0, BLK_HEADER, 16, D_NEXT, 1);
	ring_desc(r, 1, DATA_GPA, 513, D_WRITE, 0);
	(void)blk_run(b);
	assert_true(blk_data_is(b, 'd', 512));
	assert_int_equal(b->data[512], BLK_OK);
	assert_int_equal((uint8_t)b->data[513], 0xee);
}

static void status_only_and_zero_pieces(void **state)
{
	struct blk_bench *b = *state;
	struct ring *r = &b->d.rings[0];

	blk_header(b, BLK_FLUSH, 0);
	ring_desc(r, 0, BLK_HEADER, 16, D_NEXT, 1);
	ring_desc(r, 1, DATA_GPA, 0, D_NEXT | D_WRITE, 2);
	ring_desc(r, 2, BLK_STATUS, 1, D_WRITE, 0);
	assert_int_equal(blk_run(b), BLK_OK);
}

static void needs_reset(struct blk_bench *b)
{
	uint32_t id, written;

	ring_offer(&b->d.rings[0], 0);
	driver_kick(&b->d, 0);
	assert_true(driver_status(&b->d) & VIRTIO_STATUS_NEEDS_RESET);
	assert_false(ring_used(&b->d.rings[0], &id, &written));
	blk_restart(b);
	assert_int_equal(blk_plain(b, BLK_FLUSH, 0), BLK_OK);
}

static void header_too_short(void **state)
{
	struct blk_bench *b = *state;

	ring_desc(&b->d.rings[0], 0, BLK_HEADER, 15, D_NEXT, 1);
	ring_desc(&b->d.rings[0], 1, BLK_STATUS, 1, D_WRITE, 0);
	needs_reset(b);
}

static void no_place_for_the_status(void **state)
{
	struct blk_bench *b = *state;

	blk_header(b, BLK_OUT, 0);
	ring_desc(&b->d.rings[0], 0, BLK_HEADER, 528, 0, 0);
	needs_reset(b);
	assert_true(blk_file_is(b, 0, 0));
}

static void file_cut_short_is_ioerr(void **state)
{
	struct blk_bench *b = *state;

	must(ftruncate(b->file, 512 * 10 + 100) == 0);
	assert_int_equal(blk_rw(b, BLK_IN, 10, 512), BLK_IOERR);
	assert_int_equal(b->written, 1);
	assert_int_equal(blk_rw(b, BLK_IN, 9, 512), BLK_OK);
	assert_int_equal(blk_rw(b, BLK_IN, 100, 512), BLK_IOERR);
}

static void a_queue_full_of_requests(void **state)
{
	struct blk_bench *b = *state;
	uint32_t id, written;
	unsigned done = 0;

	for (unsigned s = 0; s < 85; s++)
		blk_file_fill(b, s, (char)(s + 1));
	driver_start(&b->d, 0, 1, 256);
	blk_offer_reads(b, 85);
	while (done < 85) {
		if (!ring_used(&b->d.rings[0], &id, &written)) {
			assert_true(fake_host_wait(&b->h, 5000) > 0);
			continue;
		}
		assert_int_equal(written, 513);
		done++;
	}
	for (unsigned s = 0; s < 85; s++) {
		const char *at = b->data + (size_t)s * 1024;

		assert_int_equal(at[0], (char)(s + 1));
		assert_int_equal(at[511], (char)(s + 1));
		assert_int_equal(at[512], BLK_OK);
	}
}

int main(void)
{
	return blk_main("virtio_blk",
			(const struct CMUnitTest[]){
				BLK_TEST(identity_and_config),
				BLK_TEST(read_a_sector),
				BLK_TEST(write_a_sector),
				BLK_TEST(zeroing_is_for_cow_disks),
				BLK_TEST(flush),
				BLK_TEST(get_id),
				BLK_TEST(unknown_request),
				BLK_TEST(last_sector_and_one_past),
				BLK_TEST(sector_numbers_that_overflow),
				BLK_TEST(length_not_of_sectors),
				BLK_TEST(no_data_at_all),
				BLK_TEST(length_beyond_the_disk),
				BLK_TEST(more_than_4_gib_in_pieces),
				BLK_TEST(many_pieces_of_odd_sizes),
				BLK_TEST(status_byte_shares_a_piece_with_data),
				BLK_TEST(status_only_and_zero_pieces),
				BLK_TEST(header_too_short),
				BLK_TEST(no_place_for_the_status),
				BLK_TEST(file_cut_short_is_ioerr),
				BLK_TEST(a_queue_full_of_requests),
				BLK_END,
			});
}
