/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads through the cache, while the agent does what it should. */
#include <errno.h>

#include "tests/unit/cache/cache_bench.h"

/* --- hits --- */

static void hits_are_copied_at_once(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->near, 10, 20);
	hit(b, BLK(10), BLK(20), NEAR);
	hit(b, BLK(12), PAGE_BYTES, NEAR);
	hit(b, BLK(12) + 512, 512, NEAR);
	hit(b, BLK(12) + 4000, 200, NEAR);
	hit(b, BLK(29) + 1, 4095, NEAR);
	assert_int_equal(stats(b).hit_blocks, 20 + 1 + 1 + 2 + 1);
	assert_int_equal(stats(b).asked + stats(b).direct_blocks, 0);
	assert_false(readable(b->io->event_fd, 0));
}

static void runs_go_across_nodes(void **state)
{
	struct bench *b = *state;
	uint8_t *to = malloc(BLK(30));
	struct request q;

	assert_non_null(to);
	agent_fill(&b->far, 0, 30);
	agent_fill(&b->near, 3, 5);
	agent_fill(&b->near, 20, 1);
	start(b, &q, IO_BASE, 100, to, BLK(30) - 100);
	assert_int_equal(q.done, 1);
	for (unsigned i = 0; i < 30; i++) {
		bool near = (i >= 3 && i < 8) || i == 20;
		uint64_t at = i ? BLK(i) : 100;

		assert_bytes(to + at - 100, near ? NEAR : FAR, at,
			     BLK(i + 1) - at);
	}
	free(to);
}

/* Longer than one lookup. */
static void long_runs(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->near, 0, BLOCKS);
	hit(b, 0, BYTES, NEAR);
	hit(b, BYTES - 512, 512, NEAR); /* in the short last block */
	hit(b, BYTES - 5000, 5000, NEAR);
}

static void pieces_of_any_size(void **state)
{
	struct bench *b = *state;
	static uint8_t to[8][3 * PAGE_BYTES];
	const size_t sizes[] = { 1, 0, 511, 4096, 0, 8191, 100, 0 };
	struct request q = { 0 };
	uint64_t at = BLK(5) + 77;

	agent_fill(&b->near, 4, 4);
	agent_fill(&b->far, 8, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(to[i], 0xee, sizeof(to[i]));
		q.iov[i] = (struct iovec){ to[i] + i, sizes[i] };
	}
	q.r = (struct io_req){ .file = IO_BASE,
			       .offset = at,
			       .iov = q.iov,
			       .nr_iov = ARRAY_SIZE(sizes),
			       .done = done };
	b->io->ops->read(b->io, &q.r);
	assert_int_equal(q.done, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (unsigned k = 0; k < sizes[i]; k++, at++)
			assert_int_equal(
				to[i][i + k],
				agent_byte(at < BLK(8) ? NEAR : FAR, at));
		assert_int_equal(to[i][i + sizes[i]], 0xee);
		assert_int_equal(to[i][i ? i - 1 : 9000], 0xee);
	}
}

/* --- what is not the cache's --- */

static int run(struct bench *b, void (*op)(struct io *io, struct io_req *r),
	       struct request *q, enum io_file file, uint64_t at, void *buf,
	       size_t bytes)
{
	q->done = 0;
	q->iov[0] = (struct iovec){ buf, bytes };
	q->r = (struct io_req){ .file = file,
				.offset = at,
				.bytes = bytes,
				.iov = q->iov,
				.nr_iov = 1,
				.done = done };
	op(b->io, &q->r);
	wait_done(b, q);
	return q->err;
}

static void other_operations_pass(void **state)
{
	struct bench *b = *state;
	const struct block_ops *ops = b->io->ops;
	uint8_t buf[PAGE_BYTES];
	struct request q;

	agent_fill(&b->near, 0, 10);
	start(b, &q, IO_COW, BLK(1), buf, PAGE_BYTES);
	wait_done(b, &q);
	assert_bytes(buf, 9, BLK(1), PAGE_BYTES);
	memset(buf, 'w', sizeof(buf));
	assert_int_equal(run(b, ops->write, &q, IO_COW, BLK(1), buf, 4096), 0);
	assert_int_equal(run(b, ops->sync, &q, IO_COW, 0, NULL, 0), 0);
	assert_int_equal(run(b, ops->punch, &q, IO_COW, BLK(2), NULL, 4096), 0);
	assert_int_equal(pread(b->files[IO_COW], buf, 4096, BLK(1)), 4096);
	assert_int_equal(buf[0], 'w');
	assert_int_equal(pread(b->files[IO_COW], buf, 4096, BLK(2)), 4096);
	assert_int_equal(buf[4095], 0);
	assert_int_equal(stats(b).direct_blocks, 0);
}

/* The file is longer than what was attached. */
static void beyond_the_image_is_the_files(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->near, 0, BLOCKS);
	direct(b, BYTES, 512);
	direct(b, BYTES - 512, 1024);
	direct(b, BLK(BLOCKS + 5), PAGE_BYTES);
	assert_int_equal(stats(b).asked, 0);
}

static void errors_are_the_files(void **state)
{
	struct bench *b = *state;
	uint8_t buf[512];
	struct request q;

	assert_int_equal(ftruncate(b->files[IO_BASE], BLK(1)), 0);
	cache_unlink(b->c);
	start(b, &q, IO_BASE, BLK(2), buf, 512);
	wait_done(b, &q);
	assert_int_equal(q.err, -EIO);
}

/* --- misses --- */

static void absent_blocks_are_asked_for(void **state)
{
	struct bench *b = *state;
	uint8_t *to = malloc(BLK(20));
	struct request q;
	uint32_t tag;

	assert_non_null(to);
	agent_fill(&b->near, 0, 5);
	agent_fill(&b->far, 12, 2);
	start(b, &q, IO_BASE, 0, to, BLK(20));
	tag = agent_expect(&b->link, 5, 7);
	turn(b);
	assert_int_equal(q.done, 0);
	agent_fill(&b->near, 5, 7);
	agent_answer(&b->link, tag, 7, 0);
	turn(b);
	assert_int_equal(q.done, 0);
	tag = agent_expect(&b->link, 14, 6);
	agent_fill(&b->near, 14, 6);
	agent_answer(&b->link, tag, 6, 0);
	wait_done(b, &q);
	assert_int_equal(q.err, 0);
	assert_bytes(to, NEAR, 0, BLK(12));
	assert_bytes(to + BLK(12), FAR, BLK(12), BLK(2));
	assert_bytes(to + BLK(14), NEAR, BLK(14), BLK(6));
	assert_int_equal(stats(b).missed_blocks, 13);
	assert_int_equal(stats(b).direct_blocks, 0);
	assert_int_equal(stats(b).asked, 2);
	free(to);
}

/* No more than a request may ask for. */
static void long_misses_are_cut(void **state)
{
	struct bench *b = *state;
	uint8_t *to = malloc(BLK(400));
	struct request q;
	uint32_t tag;

	assert_non_null(to);
	start(b, &q, IO_BASE, BLK(1) + 512, to, BLK(400) - 512);
	tag = agent_expect(&b->link, 1, CACHE_FILL_MAX);
	agent_fill(&b->near, 1, CACHE_FILL_MAX);
	agent_answer(&b->link, tag, CACHE_FILL_MAX, 0);
	turn(b);
	tag = agent_expect(&b->link, 257, 144);
	agent_fill(&b->near, 257, 144);
	agent_answer(&b->link, tag, 144, 0);
	wait_done(b, &q);
	assert_bytes(to, NEAR, BLK(1) + 512, BLK(400) - 512);
	free(to);
}

/* Each answer brings a block: it goes on as long as it gets any. */
static void answers_with_fewer_blocks(void **state)
{
	struct bench *b = *state;
	uint8_t *to = malloc(BLK(6));
	struct request q;

	assert_non_null(to);
	start(b, &q, IO_BASE, 0, to, BLK(6));
	for (unsigned i = 0; i < 6; i++) {
		uint32_t tag = agent_expect(&b->link, i, 6 - i);

		agent_fill(&b->near, i, 1);
		agent_answer(&b->link, tag, 1, 0);
		turn(b);
	}
	assert_int_equal(q.done, 1);
	assert_bytes(to, NEAR, 0, BLK(6));
	free(to);
}

static void no_room_is_read_from_the_file(void **state)
{
	struct bench *b = *state;
	uint8_t *to = malloc(BLK(6));
	struct request q;
	uint32_t tag;

	assert_non_null(to);
	start(b, &q, IO_BASE, 0, to, BLK(6));
	tag = agent_expect(&b->link, 0, 6);
	agent_fill(&b->near, 0, 2);
	agent_answer(&b->link, tag, 2, ENOSPC);
	wait_done(b, &q);
	assert_int_equal(q.err, 0);
	assert_bytes(to, NEAR, 0, BLK(2));
	assert_bytes(to + BLK(2), IN_FILE, BLK(2), BLK(4));
	assert_int_equal(stats(b).direct_blocks, 4);
	assert_int_equal(stats(b).asked, 1);
	free(to);
}

static void evicted_before_it_was_looked_at(void **state)
{
	struct bench *b = *state;
	struct miss m;

	miss(b, &m, 50);
	for (unsigned i = 0; i < CACHE_ROUNDS; i++) {
		assert_int_equal(m.q.done, 0);
		agent_fill(&b->near, 50, 1);
		assert_true(agent_evict(&b->near, 50));
		agent_answer(&b->link, m.tag, 1, 0);
		turn(b);
		if (i + 1 < CACHE_ROUNDS)
			m.tag = agent_expect(&b->link, 50, 1);
	}
	assert_missed(b, &m, IN_FILE);
	assert_int_equal(stats(b).asked, CACHE_ROUNDS);
}

/* Two that want the same block, answered in the other order. */
static void several_wait(void **state)
{
	struct bench *b = *state;
	struct miss m[3];

	miss(b, &m[0], 50);
	miss(b, &m[1], 50);
	miss(b, &m[2], 51);
	assert_int_not_equal(m[0].tag, m[1].tag);
	agent_fill(&b->near, 50, 2);
	agent_answer(&b->link, m[2].tag, 1, 0);
	agent_answer(&b->link, m[1].tag, 1, 0);
	turn(b);
	assert_int_equal(m[0].q.done, 0);
	assert_missed(b, &m[2], NEAR);
	assert_missed(b, &m[1], NEAR);
	agent_answer(&b->link, m[0].tag, 1, 0);
	assert_missed(b, &m[0], NEAR);
}

/* cache_ready() may run while somebody else has the disk. */
static void ready_does_not_call_done(void **state)
{
	struct bench *b = *state;
	struct miss m;

	miss(b, &m, 1);
	agent_fill(&b->near, 1, 1);
	assert_false(readable(cache_event_fd(b->c), 0));
	agent_answer(&b->link, m.tag, 1, 0);
	assert_true(readable(cache_event_fd(b->c), 0));
	cache_ready(b->c);
	assert_false(readable(cache_event_fd(b->c), 0));
	assert_int_equal(m.q.done, 0);
	assert_true(readable(b->io->event_fd, 0));
	b->io->ops->complete(b->io);
	assert_int_equal(m.q.done, 1);
	assert_false(readable(b->io->event_fd, 0));
}

static void home_without_the_disk_is_not_asked(void **state)
{
	struct bench *b = *state;

	cache_set_home(b->c, 5);
	direct(b, 0, 512);
	assert_int_equal(stats(b).asked, 0);
}

/* --- ahead --- */

static void ahead_asks_for_what_is_absent(void **state)
{
	struct bench *b = *state;
	struct cache_request q;

	agent_fill(&b->near, 3, 2);
	agent_fill(&b->far, 9, 1);
	b->io->ops->ahead(b->io, IO_BASE, BLK(1) + 1, BLK(10), BLK(10));
	for (unsigned i = 0; i < 3; i++) {
		const unsigned first[] = { 1, 5, 10 }, nr[] = { 2, 4, 2 };

		assert_true(agent_recv(&b->link, &q));
		assert_int_equal(q.kind, CACHE_AHEAD);
		assert_int_equal(q.disk, AGENT_DISK);
		assert_int_equal(q.first, first[i]);
		assert_int_equal(q.nr, nr[i]);
	}
	assert_false(agent_recv(&b->link, &q));
	b->io->ops->ahead(b->io, IO_COW, BLK(1), BLK(10), BLK(10));
	b->io->ops->ahead(b->io, IO_BASE, BYTES - 512, 1024, 1024);
	cache_unlink(b->c);
	b->io->ops->ahead(b->io, IO_BASE, BLK(1), BLK(10), BLK(10));
	assert_int_equal(stats(b).asked, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(hits_are_copied_at_once),
		BOTH(runs_go_across_nodes),
		BOTH(long_runs),
		BOTH(pieces_of_any_size),
		BOTH(other_operations_pass),
		BOTH(beyond_the_image_is_the_files),
		BOTH(errors_are_the_files),
		BOTH(absent_blocks_are_asked_for),
		BOTH(long_misses_are_cut),
		BOTH(answers_with_fewer_blocks),
		BOTH(no_room_is_read_from_the_file),
		BOTH(evicted_before_it_was_looked_at),
		BOTH(several_wait),
		BOTH(ready_does_not_call_done),
		BOTH(home_without_the_disk_is_not_asked),
		BOTH(ahead_asks_for_what_is_absent),
	};

	return cmocka_run_group_tests_name("cache_io", tests, NULL, NULL);
}
