/* SPDX-License-Identifier: BSD-2-Clause */
/* What a disk that is read from front to back asks its files for. */
#include <string.h>

#include "tests/unit/cowdisk/cow_files.h"

#define BYTES	  (MIB(16) + KIB(4))
#define NR_BLOCKS (BYTES / COW_BLOCK_BYTES)
#define AT_ONCE	  KIB(64)

/* A disk over files that read and write nothing. */
struct bench {
	struct io io;
	struct io_fd files;
	struct cow *c;
	struct cow_layout layout;
	uint64_t at;		    /* being read */
	uint8_t asked[NR_BLOCKS];   /* how often */
	uint64_t longest[IO_FILES]; /* bytes at once */
	uint64_t room;		    /* for what is asked for: bytes */
	uint64_t longest_run;
	unsigned nr_ends;
	bool hold;
	struct io_req *held; /* a write that has not ended */
	int base, cow;
};

static void nothing(struct io *io, struct io_req *r)
{
	(void)io;
	r->done(r, 0);
}

static void write_nothing(struct io *io, struct io_req *r)
{
	struct bench *b = container_of(io, struct bench, io);

	if (b->hold)
		b->held = r;
	else
		r->done(r, 0);
}

static void ended(struct io *io)
{
	container_of(io, struct bench, io)->nr_ends++;
}

static uint64_t asked(struct io *io, enum io_file file, uint64_t offset,
		      uint64_t bytes, uint64_t run)
{
	struct bench *b = container_of(io, struct bench, io);
	uint64_t at = offset - (file == IO_COW ? b->layout.data_offset : 0);

	assert_true(run >= bytes && run <= AHEAD_RUN + COW_BLOCK_BYTES);
	b->longest_run = max_u64(b->longest_run, run);
	bytes = min_u64(bytes, b->room - b->room % COW_BLOCK_BYTES);
	b->room -= bytes;
	assert_int_equal(at % COW_BLOCK_BYTES, 0);
	assert_int_equal(bytes % COW_BLOCK_BYTES, 0);
	assert_true(at > b->at);
	assert_true(at + bytes <= b->at + AT_ONCE + MIB(8));
	assert_true(at + bytes <= BYTES);
	b->longest[file] = max_u64(b->longest[file], bytes);
	for (uint64_t i = at; i < at + bytes; i += COW_BLOCK_BYTES) {
		b->asked[i / COW_BLOCK_BYTES]++;
		assert_int_equal(
			cow_map_has(cow_map(b->c), i / COW_BLOCK_BYTES),
			file == IO_COW);
	}
	return bytes;
}

static const struct block_ops ops = { .read = nothing,
				      .write = write_nothing,
				      .sync = nothing,
				      .punch = nothing,
				      .ahead = asked,
				      .ahead_end = ended };

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	const char *why = "";

	assert_non_null(b);
	b->base = cow_temp_file(BYTES);
	b->cow = cow_temp_cow(b->base, BYTES);
	assert_int_equal(cow_layout_of(BYTES, &b->layout), 0);
	io_fd_init(&b->files, b->base, b->cow);
	assert_int_equal(
		cow_open(&b->files.io, b->layout.file_bytes, 2, 0, &b->c, &why),
		0);
	b->io = (struct io){ .ops = &ops, .event_fd = -1 };
	b->room = UINT64_MAX;
	cow_set_io(b->c, &b->io);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	cow_close(b->c);
	(void)close(b->base);
	(void)close(b->cow);
	free(b);
	return 0;
}

static void done(struct disk_req *r, int err)
{
	(void)r;
	assert_int_equal(err, 0);
}

static void request(struct bench *b, enum disk_op op, uint64_t at,
		    uint64_t bytes)
{
	static uint8_t buf[MIB(1)];
	struct iovec iov = { buf, bytes };
	struct disk_req r = {
		.op = op, .offset = at, .iov = &iov, .nr_iov = 1, .done = done
	};

	b->at = at;
	assert_int_equal(cow_submit(b->c, &r), 0);
}

/* Every second @bytes into the overlay. */
static void overlay(struct bench *b, uint64_t bytes)
{
	for (uint64_t at = 0; at + bytes <= BYTES; at += 2 * bytes)
		request(b, DISK_WRITE, at, bytes);
}

static void read_all_of(struct bench *b, uint64_t from, uint64_t end)
{
	for (uint64_t at = from; at < end; at += AT_ONCE)
		request(b, DISK_READ, at, min_u64(AT_ONCE, end - at));
}

static void read_all(struct bench *b, uint64_t from)
{
	read_all_of(b, from, BYTES);
}

/* Return: the first block that was asked for; all behind it were, once. */
static uint64_t all_asked_once(const struct bench *b)
{
	uint64_t first = 0;

	while (first < NR_BLOCKS && !b->asked[first])
		first++;
	for (uint64_t i = first; i < NR_BLOCKS; i++)
		assert_int_equal(b->asked[i], 1);
	return first;
}

static void each_piece_once_and_whole(void **state)
{
	struct bench *b = *state;

	overlay(b, KIB(512));
	read_all(b, 0);
	/* 256 KiB in a row are believed. */
	assert_int_equal(all_asked_once(b), KIB(256) / COW_BLOCK_BYTES);
	/* The last one has the disk's odd end. */
	assert_int_equal(b->longest[IO_BASE], KIB(512 + 4));
	assert_int_equal(b->longest[IO_COW], KIB(512));
}

/* What has no room is asked for again, and again. */
static void what_has_no_room_is_asked_for_later(void **state)
{
	struct bench *b = *state;

	overlay(b, KIB(64));
	for (uint64_t at = 0; at < BYTES; at += AT_ONCE) {
		b->room = KIB(72); /* more than is read */
		request(b, DISK_READ, at, min_u64(AT_ONCE, BYTES - at));
	}
	assert_int_equal(all_asked_once(b), KIB(256) / COW_BLOCK_BYTES);
}

/* Two requests of a row, of which the later one comes first. */
static void a_row_may_be_out_of_order(void **state)
{
	struct bench *b = *state;

	overlay(b, KIB(64));
	b->nr_ends = 0;
	read_all_of(b, 0, MIB(1));
	for (uint64_t at = MIB(1); at < MIB(16); at += 2 * AT_ONCE) {
		request(b, DISK_READ, at + AT_ONCE, AT_ONCE);
		request(b, DISK_READ, at, AT_ONCE);
	}
	assert_int_equal(b->nr_ends, 0);
	assert_int_equal(all_asked_once(b), KIB(256) / COW_BLOCK_BYTES);
}

static void a_jump_starts_anew(void **state)
{
	struct bench *b = *state;

	overlay(b, KIB(64));
	read_all(b, MIB(14));
	assert_int_equal(all_asked_once(b) * COW_BLOCK_BYTES,
			 MIB(14) + KIB(256));
	memset(b->asked, 0, sizeof(b->asked));
	b->nr_ends = 0;
	read_all(b, MIB(1));
	assert_int_equal(b->nr_ends, 1);
	assert_int_equal(all_asked_once(b) * COW_BLOCK_BYTES,
			 MIB(1) + KIB(256));
}

/* Reads that hop forward are asked ahead for less and less, then not at all. */
static void hops_are_no_row(void **state)
{
	struct bench *b = *state;
	uint64_t sum = 0;

	overlay(b, KIB(64));
	read_all_of(b, 0, MIB(2));
	memset(b->asked, 0, sizeof(b->asked));
	for (uint64_t at = MIB(2) + KIB(512); at < MIB(16); at += KIB(512))
		request(b, DISK_READ, at, KIB(4));
	for (uint64_t i = 0; i < NR_BLOCKS; i++)
		sum += b->asked[i];
	assert_true(sum * COW_BLOCK_BYTES <= MIB(2));
}

/* How long a run is does not depend on how much of it is asked for. */
static void runs_are_told_whole(void **state)
{
	struct bench *b = *state;

	request(b, DISK_WRITE, 0, MIB(1));
	read_all_of(b, 0, KIB(320));
	assert_int_equal(b->longest[IO_COW], KIB(256));
	assert_int_equal(b->longest_run, MIB(1) - KIB(256));
	read_all_of(b, KIB(320), MIB(1));
	assert_int_equal(b->longest_run, AHEAD_RUN + COW_BLOCK_BYTES);
}

/* What is read ahead would be what was there before the write, or half. */
static void what_is_being_written_is_not_asked_for(void **state)
{
	static uint8_t buf[KIB(8)];
	struct bench *b = *state;
	struct iovec iov = { buf, sizeof(buf) };
	struct disk_req w = { .op = DISK_WRITE,
			      .offset = MIB(2) + KIB(4),
			      .iov = &iov,
			      .nr_iov = 1,
			      .done = done };
	const uint64_t run = MIB(2) / COW_BLOCK_BYTES;

	overlay(b, KIB(64));
	b->hold = true;
	assert_int_equal(cow_submit(b->c, &w), 0);
	assert_non_null(b->held);
	read_all(b, 0);
	/* Its run of 64 KiB is left out, and nothing else. */
	for (uint64_t i = KIB(256) / COW_BLOCK_BYTES; i < NR_BLOCKS; i++)
		assert_int_equal(b->asked[i], i < run || i >= run + 16);
	b->held->done(b->held, 0);
	memset(b->asked, 0, sizeof(b->asked));
	read_all(b, 0);
	assert_int_equal(b->asked[run], 1);
}

static void scattered_reads_ask_nothing(void **state)
{
	struct bench *b = *state;

	overlay(b, KIB(64));
	for (uint64_t i = 0; i < 4 * NR_BLOCKS; i++)
		request(b, DISK_READ, i * 1237 % (NR_BLOCKS - 1) * KIB(4),
			KIB(4));
	assert_int_equal(b->longest[IO_BASE] + b->longest[IO_COW], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_piece_once_and_whole,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_has_no_room_is_asked_for_later, setup, teardown),
		cmocka_unit_test_setup_teardown(a_row_may_be_out_of_order,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_jump_starts_anew, setup,
						teardown),
		cmocka_unit_test_setup_teardown(hops_are_no_row, setup,
						teardown),
		cmocka_unit_test_setup_teardown(runs_are_told_whole, setup,
						teardown),
		cmocka_unit_test_setup_teardown(scattered_reads_ask_nothing,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_being_written_is_not_asked_for, setup,
			teardown),
	};

	return cmocka_run_group_tests_name("cow_ahead", tests, NULL, NULL);
}
