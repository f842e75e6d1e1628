/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams over a file in memory, whose requests end when the test says so. A
 * direct read brings, sector by sector, what was there when it began or when
 * it ended.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cowdisk/base/io_stream.h"
#include "tests/unit/support.h"

#define SECTOR	  512u
#define BYTES	  MIB(8)
#define SECTORS	  (BYTES / SECTOR)
#define UNDER_WAY 256u
#define GUEST_MAX 8u

/* Versions of sectors; a sector's bytes are its version, again and again. */
typedef uint32_t version_t;

struct guest;

struct under {
	struct io_req *r;
	uint8_t *then; /* a direct read: what was there when it began */
	uint64_t offset;
};

struct bench {
	struct io io; /* the file */
	struct io *stream;
	uint8_t *file;
	struct under under[UNDER_WAY];
	unsigned nr_under, nr_direct, nr_file_reads;
	uint64_t left; /* asked for ahead, and left to the file */
	unsigned nr_ends, fail_direct;
	uint32_t seed;
	version_t last[SECTORS]; /* written and done */
	version_t newest;
	uint64_t writing[SECTORS / 64]; /* a write or punch is under way */
	struct guest *guests;
};

/* What a guest has under way. */
struct guest {
	struct io_req r;
	struct iovec iov[3];
	struct bench *b;
	bool busy;
	uint64_t offset, bytes;
	version_t least[MIB(1) / SECTOR]; /* of each sector it may see */
	version_t version;
	uint8_t buf[MIB(1)];
	bool done;
	int err;
};

static uint32_t draw(struct bench *b, uint32_t below)
{
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 17;
	b->seed ^= b->seed << 5;
	return b->seed % below;
}

/* --- the file --- */

static uint64_t bytes_of(const struct io_req *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->nr_iov; i++)
		n += r->iov[i].iov_len;
	return n;
}

static void add(struct io *io, struct io_req *r, enum io_op op)
{
	struct bench *b = container_of(io, struct bench, io);
	struct under *u = &b->under[b->nr_under++];

	assert_true(b->nr_under < UNDER_WAY);
	r->op = op;
	*u = (struct under){ .r = r, .offset = r->offset };
	if (op == IO_READ && r->file >= IO_FILES) {
		uint64_t bytes = bytes_of(r);

		b->nr_direct++;
		assert_int_equal(r->nr_iov, 1);
		assert_int_equal((uintptr_t)r->iov->iov_base % 4096, 0);
		assert_true(bytes <= STREAM_PIECE_BYTES);
		u->then = malloc(bytes);
		assert_non_null(u->then);
		memcpy(u->then, b->file + r->offset, bytes);
	} else if (op == IO_READ) {
		b->nr_file_reads++;
	}
}

static void f_read(struct io *io, struct io_req *r)
{
	add(io, r, IO_READ);
}

static void f_write(struct io *io, struct io_req *r)
{
	add(io, r, IO_WRITE);
}

static void f_punch(struct io *io, struct io_req *r)
{
	add(io, r, IO_PUNCH);
}

static uint64_t f_ahead(struct io *io, enum io_file file, uint64_t offset,
			uint64_t bytes, uint64_t run)
{
	(void)file;
	(void)offset;
	assert_true(run >= bytes);
	container_of(io, struct bench, io)->left += bytes;
	return bytes;
}

static void f_ahead_end(struct io *io)
{
	container_of(io, struct bench, io)->nr_ends++;
}

static void move_bytes(struct bench *b, struct io_req *r)
{
	uint64_t at = r->offset;

	for (unsigned i = 0; i < r->nr_iov; i++) {
		if (r->op == IO_READ)
			memcpy(r->iov[i].iov_base, b->file + at,
			       r->iov[i].iov_len);
		else
			memcpy(b->file + at, r->iov[i].iov_base,
			       r->iov[i].iov_len);
		at += r->iov[i].iov_len;
	}
}

static void direct_bytes(struct bench *b, const struct under *u)
{
	uint8_t *to = u->r->iov->iov_base;

	for (uint64_t i = 0; i < u->r->iov->iov_len; i += SECTOR)
		memcpy(to + i,
		       draw(b, 2) ? u->then + i : b->file + u->offset + i,
		       SECTOR);
}

/* The @i-th that is under way. */
static void end_one(struct bench *b, unsigned i)
{
	struct under u = b->under[i];
	int err = 0;

	b->under[i] = b->under[--b->nr_under];
	if (u.then && b->fail_direct) {
		b->fail_direct--;
		err = -EIO;
	} else if (u.then) {
		direct_bytes(b, &u);
	} else if (u.r->op == IO_PUNCH) {
		memset(b->file + u.r->offset, 0, u.r->bytes);
	} else {
		move_bytes(b, u.r);
	}
	free(u.then);
	u.r->done(u.r, err);
}

static void end_all(struct bench *b)
{
	while (b->nr_under)
		end_one(b, 0);
}

static void f_complete(struct io *io)
{
	struct bench *b = container_of(io, struct bench, io);

	if (b->nr_under)
		end_one(b, draw(b, b->nr_under));
}

static void f_destroy(struct io *io)
{
	struct bench *b = container_of(io, struct bench, io);

	assert_int_equal(b->nr_under, 0);
	(void)close(io->event_fd);
}

static const struct block_ops file_ops = { .read = f_read,
					   .write = f_write,
					   .punch = f_punch,
					   .ahead = f_ahead,
					   .ahead_end = f_ahead_end,
					   .complete = f_complete,
					   .destroy = f_destroy };

/* --- a guest --- */

static void put_version(uint8_t *to, version_t v)
{
	for (unsigned i = 0; i < SECTOR; i += sizeof(v))
		memcpy(to + i, &v, sizeof(v));
}

/* A sector is of one version, and of one it may see. */
static void check_sectors(struct guest *g)
{
	for (uint64_t i = 0; i < g->bytes / SECTOR; i++) {
		version_t v, again;

		memcpy(&v, g->buf + i * SECTOR, sizeof(v));
		memcpy(&again, g->buf + (i + 1) * SECTOR - sizeof(v),
		       sizeof(v));
		assert_int_equal(v, again);
		if (v < g->least[i])
			fail_msg("sector %llu: version %u, not %u or later",
				 (unsigned long long)(g->offset / SECTOR + i),
				 v, g->least[i]);
	}
}

static void set_writing(struct guest *g, bool on)
{
	for (uint64_t i = 0; i < g->bytes / SECTOR; i++) {
		uint64_t s = g->offset / SECTOR + i;
		uint64_t bit = 1ull << s % 64;

		if (on)
			g->b->writing[s / 64] |= bit;
		else
			g->b->writing[s / 64] &= ~bit;
	}
}

static bool is_writing(const struct bench *b, uint64_t offset, uint64_t bytes)
{
	for (uint64_t s = offset / SECTOR; s < (offset + bytes) / SECTOR; s++)
		if (b->writing[s / 64] >> s % 64 & 1)
			return true;
	return false;
}

static void guest_done(struct io_req *r, int err)
{
	struct guest *g = container_of(r, struct guest, r);

	assert_false(g->done);
	g->done = true;
	g->busy = false;
	g->err = err;
	assert_int_equal(err, 0);
	if (r->op == IO_READ) {
		check_sectors(g);
		return;
	}
	set_writing(g, false);
	for (uint64_t i = 0; i < g->bytes / SECTOR; i++)
		g->b->last[g->offset / SECTOR + i] = g->version;
}

/* Three pieces of memory, of which one may be empty. */
static void cut(struct guest *g)
{
	uint64_t a = draw(g->b, (uint32_t)g->bytes + 1);
	uint64_t c = a + draw(g->b, (uint32_t)(g->bytes - a) + 1);

	g->iov[0] = (struct iovec){ g->buf, a };
	g->iov[1] = (struct iovec){ g->buf + a, c - a };
	g->iov[2] = (struct iovec){ g->buf + c, g->bytes - c };
}

static void begin_of(struct guest *g, enum io_file file, enum io_op op,
		     uint64_t offset, uint64_t bytes)
{
	const struct block_ops *ops = g->b->stream->ops;

	g->offset = offset;
	g->bytes = bytes;
	g->busy = true;
	g->done = false;
	cut(g);
	g->r = (struct io_req){ .op = op,
				.file = file,
				.offset = offset,
				.bytes = bytes,
				.iov = g->iov,
				.nr_iov = 3,
				.done = guest_done };
	if (op == IO_READ) {
		for (uint64_t i = 0; i < bytes / SECTOR; i++)
			g->least[i] = file == IO_BASE
					      ? 0
					      : g->b->last[offset / SECTOR + i];
		ops->read(g->b->stream, &g->r);
		return;
	}
	g->version = op == IO_PUNCH ? 0 : ++g->b->newest;
	for (uint64_t i = 0; op == IO_WRITE && i < bytes; i += SECTOR)
		put_version(g->buf + i, g->version);
	set_writing(g, true);
	if (op == IO_WRITE)
		ops->write(g->b->stream, &g->r);
	else
		ops->punch(g->b->stream, &g->r);
}

static void begin(struct guest *g, enum io_op op, uint64_t offset,
		  uint64_t bytes)
{
	begin_of(g, IO_COW, op, offset, bytes);
}

static uint64_t ask(struct bench *b, uint64_t offset, uint64_t bytes)
{
	return b->stream->ops->ahead(b->stream, IO_COW, offset, bytes,
				     max_u64(bytes, STREAM_RUN_MIN));
}

static int always_ready(void)
{
	int fd = eventfd(1, EFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* @fd: what is in the kernel's cache of the COW file; -1: nothing. */
static void make_stream(struct bench *b, int fd)
{
	const uint64_t bytes[IO_FILES] = { BYTES, BYTES };
	const int fds[IO_ALL_FILES] = { -1, fd, 99, 99 }; /* never used */

	b->io = (struct io){ .ops = &file_ops, .event_fd = always_ready() };
	assert_int_equal(io_stream_create(&b->io, fds, bytes, &b->stream), 0);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->file = calloc(1, BYTES);
	b->guests = calloc(GUEST_MAX, sizeof(*b->guests));
	assert_non_null(b->file);
	assert_non_null(b->guests);
	for (unsigned i = 0; i < GUEST_MAX; i++)
		b->guests[i].b = b;
	b->seed = 42;
	make_stream(b, -1);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	if (b->stream)
		b->stream->ops->destroy(b->stream);
	free(b->file);
	free(b->guests);
	free(b);
	return 0;
}

/* --- tests --- */

static void what_was_asked_for_is_read_once(void **state)
{
	struct bench *b = *state;
	struct guest *g = &b->guests[0];

	ask(b, MIB(1), KIB(160));
	assert_int_equal(b->nr_direct, 3);
	end_all(b);
	begin(g, IO_READ, MIB(1), KIB(64) + SECTOR);
	assert_true(g->done);
	begin(g, IO_READ, MIB(1) + KIB(64) + SECTOR, KIB(96) - SECTOR);
	assert_true(g->done);
	assert_int_equal(b->nr_file_reads, 0);
	/* It was read to its end: it is not kept. */
	begin(g, IO_READ, MIB(1), KIB(4));
	assert_int_equal(b->nr_file_reads, 1);
	end_all(b);
	assert_true(g->done);
}

static void who_comes_early_waits(void **state)
{
	struct bench *b = *state;
	struct guest *g = b->guests;

	ask(b, 0, KIB(128));
	begin(&g[0], IO_READ, 0, KIB(32));
	begin(&g[1], IO_READ, KIB(32), KIB(64));
	assert_false(g[0].done || g[1].done);
	end_one(b, 0);
	assert_true(g[0].done);
	assert_false(g[1].done); /* half of it is still on its way */
	end_all(b);
	assert_true(g[1].done);
	assert_int_equal(b->nr_file_reads, 0);
}

/* Two files, one place in each. */
static void files_are_told_apart(void **state)
{
	struct bench *b = *state;
	struct guest *g = b->guests;

	b->stream->ops->ahead(b->stream, IO_BASE, 0, KIB(64), KIB(64));
	assert_int_equal(b->under[0].r->file, IO_BASE_DIRECT);
	ask(b, KIB(64), KIB(64));
	assert_int_equal(b->under[1].r->file, IO_COW_DIRECT);
	end_all(b);
	begin(&g[0], IO_READ, 0, KIB(64));
	assert_int_equal(b->nr_file_reads, 1);
	/* A write to the COW file does not change the base. */
	begin(&g[1], IO_WRITE, 0, KIB(64));
	end_all(b);
	begin_of(&g[0], IO_BASE, IO_READ, 0, KIB(64));
	assert_true(g[0].done);
	assert_int_equal(b->nr_file_reads, 1);
}

/* The direct read began before the write: its bytes may be the old ones. */
static void a_write_makes_it_stale(void **state)
{
	struct bench *b = *state;
	struct guest *g = b->guests;

	ask(b, 0, KIB(64));
	begin(&g[0], IO_WRITE, KIB(8), KIB(4));
	end_one(b, 1); /* the write; the read goes on */
	assert_true(g[0].done);
	begin(&g[1], IO_READ, 0, KIB(64));
	end_all(b);
	assert_true(g[1].done);
	assert_int_equal(b->nr_file_reads, 1);
	/* The same with one that was read already, and with a punch. */
	ask(b, 0, KIB(64));
	end_all(b);
	begin(&g[0], IO_PUNCH, KIB(8), KIB(4));
	end_all(b);
	begin(&g[1], IO_READ, 0, KIB(64));
	end_all(b);
	assert_true(g[1].done);
	assert_int_equal(b->nr_file_reads, 2);
}

static void one_that_fails_is_read_from_the_file(void **state)
{
	struct bench *b = *state;
	struct guest *g = b->guests;

	b->fail_direct = 1;
	ask(b, 0, KIB(64));
	begin(&g[0], IO_READ, 0, KIB(4));
	begin(&g[1], IO_READ, KIB(4), KIB(4));
	end_all(b);
	assert_true(g[0].done && g[1].done);
	assert_int_equal(b->nr_file_reads, 2);
}

/* The kernel reads long ones well, and short ones would take all the room. */
static void runs_that_do_not_fit_are_left(void **state)
{
	struct bench *b = *state;
	const struct block_ops *ops = b->stream->ops;

	assert_int_equal(
		ops->ahead(b->stream, IO_COW, 0, KIB(64), AHEAD_RUN + KIB(4)),
		KIB(64));
	assert_int_equal(ops->ahead(b->stream, IO_COW, MIB(1), KIB(4),
				    STREAM_RUN_MIN - KIB(4)),
			 KIB(4));
	assert_int_equal(b->nr_direct, 0);
	assert_int_equal(b->left, KIB(68));
	assert_int_equal(ops->ahead(b->stream, IO_COW, 0, KIB(64), AHEAD_RUN),
			 KIB(64));
	assert_int_equal(b->nr_direct, 1);
	end_all(b);
}

/* A base that others use. */
static void a_file_that_was_not_given_is_left(void **state)
{
	const uint64_t bytes[IO_FILES] = { BYTES, BYTES };
	const int fds[IO_ALL_FILES] = { -1, -1, -1, 99 };
	struct bench *b = *state;

	b->stream->ops->destroy(b->stream);
	b->io.event_fd = always_ready();
	assert_int_equal(io_stream_create(&b->io, fds, bytes, &b->stream), 0);
	b->stream->ops->ahead(b->stream, IO_BASE, 0, KIB(64), KIB(64));
	assert_int_equal(b->nr_direct, 0);
	assert_int_equal(b->left, KIB(64));
	ask(b, 0, KIB(64));
	assert_int_equal(b->nr_direct, 1);
	end_all(b);
}

static void room_is_bounded(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < STREAM_PIECES; i++)
		assert_int_equal(ask(b, i * (uint64_t)KIB(64), KIB(64)),
				 KIB(64));
	assert_int_equal(b->nr_direct, STREAM_PIECES);
	assert_int_equal(ask(b, MIB(7), KIB(100)), 0);
	end_all(b);
	/* What was passed by makes room. */
	begin(&b->guests[0], IO_READ, KIB(64), KIB(4));
	assert_int_equal(ask(b, MIB(7), KIB(100)), KIB(64));
	assert_int_equal(b->nr_direct, STREAM_PIECES + 1);
	assert_int_equal(b->left, 0);
	end_all(b);
}

/* Pages of the buffer that have memory. */
static unsigned resident(void *buffer)
{
	unsigned char pages[STREAM_PIECES * STREAM_PIECE_BYTES / PAGE_BYTES];
	unsigned n = 0;

	assert_int_equal(mincore(buffer, sizeof(pages) * PAGE_BYTES, pages), 0);
	for (size_t i = 0; i < sizeof(pages); i++)
		n += pages[i] & 1;
	return n;
}

static void memory_goes_back_after_some_jumps(void **state)
{
	struct bench *b = *state;
	void *buffer;

	for (unsigned i = 0; i < STREAM_PIECES; i++)
		ask(b, i * (uint64_t)KIB(64), KIB(64));
	buffer = b->under[0].r->iov->iov_base;
	end_all(b);
	assert_int_equal(resident(buffer), MIB(4) / PAGE_BYTES);
	for (unsigned i = 1; i < STREAM_JUMPS; i++)
		b->stream->ops->ahead_end(b->stream);
	assert_int_equal(resident(buffer), MIB(4) / PAGE_BYTES);
	b->stream->ops->ahead_end(b->stream);
	assert_int_equal(resident(buffer), 0);
}

static void a_jump_ends_it(void **state)
{
	struct bench *b = *state;
	struct guest *g = b->guests;

	ask(b, 0, KIB(64));
	end_one(b, 0);
	ask(b, KIB(64), KIB(64));
	b->stream->ops->ahead_end(b->stream);
	assert_int_equal(b->nr_ends, 1);
	begin(&g[0], IO_READ, 0, KIB(128));
	assert_int_equal(b->nr_file_reads, 1);
	end_all(b);
	assert_true(g[0].done);
	/* It can begin anew. */
	ask(b, 0, KIB(64));
	end_all(b);
	begin(&g[0], IO_READ, 0, KIB(64));
	assert_true(g[0].done);
	assert_int_equal(b->nr_file_reads, 1);
}

/* A file that the kernel has in its cache, and then has not. */
static void what_is_cached_is_left_alone(void **state)
{
	struct bench *b = *state;
	int fd = memfd_create("cow", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	assert_int_equal(pwrite(fd, "x", 1, KIB(64)), 1);
	b->stream->ops->destroy(b->stream);
	make_stream(b, fd);
	ask(b, 0, KIB(192));
	assert_int_equal(b->nr_direct, 2);
	assert_int_equal(b->under[1].offset, KIB(128));
	assert_int_equal(b->left, KIB(64));
	end_all(b);
	ask(b, BYTES, KIB(64)); /* not the file's: nobody knows */
	assert_int_equal(b->nr_direct, 2);
	(void)close(fd);
}

static void destroying_waits_for_reads(void **state)
{
	struct bench *b = *state;

	ask(b, 0, KIB(640));
	assert_int_equal(b->nr_under, 10);
	b->stream->ops->destroy(b->stream);
	b->stream = NULL;
	assert_int_equal(b->nr_under, 0);
}

static void step(struct bench *b, uint64_t *at)
{
	struct guest *g = &b->guests[draw(b, GUEST_MAX)];
	uint64_t bytes = (1 + draw(b, 300)) * SECTOR, offset;
	unsigned what = draw(b, 100);

	if (what < 40 && b->nr_under) {
		end_one(b, draw(b, b->nr_under));
	} else if (what < 60) {
		offset = align_up(*at, KIB(4)) + draw(b, 64) * KIB(4);
		bytes = align_up(bytes, KIB(4));
		if (offset + bytes <= BYTES && !is_writing(b, offset, bytes))
			ask(b, offset, bytes);
	} else if (what == 60) {
		b->stream->ops->ahead_end(b->stream);
		b->fail_direct = draw(b, 3);
	} else if (what == 61) {
		*at = draw(b, SECTORS / 2) * (uint64_t)SECTOR;
	} else if (g->busy) {
		return;
	} else if (what < 85) {
		*at = *at + bytes > BYTES ? 0 : *at;
		begin(g, IO_READ, *at, bytes);
		*at += bytes;
	} else {
		offset = min_u64(*at + draw(b, 512) * SECTOR, BYTES - bytes);
		if (!is_writing(b, offset, bytes))
			begin(g, IO_WRITE, offset, bytes);
	}
}

static void no_read_is_older_than_a_write(void **state)
{
	struct bench *b = *state;
	uint64_t at = 0;

	for (unsigned i = 0; i < 200000; i++)
		step(b, &at);
	end_all(b);
	for (unsigned i = 0; i < GUEST_MAX; i++)
		assert_false(b->guests[i].busy);
	assert_true(b->nr_direct > 1000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_was_asked_for_is_read_once),
		TEST(who_comes_early_waits),
		TEST(files_are_told_apart),
		TEST(a_write_makes_it_stale),
		TEST(one_that_fails_is_read_from_the_file),
		TEST(runs_that_do_not_fit_are_left),
		TEST(a_file_that_was_not_given_is_left),
		TEST(room_is_bounded),
		TEST(memory_goes_back_after_some_jumps),
		TEST(a_jump_ends_it),
		TEST(what_is_cached_is_left_alone),
		TEST(destroying_waits_for_reads),
		TEST(no_read_is_older_than_a_write),
	};

	return cmocka_run_group_tests_name("io_stream", tests, NULL, NULL);
}
