/* SPDX-License-Identifier: BSD-2-Clause */
/* Agents that are slow, dead, or lie: reads take longer, and are right. */
#include <errno.h>
#include <sys/socket.h>

#include "tests/unit/cache/cache_bench.h"

/* Two reads begin within it, on a busy machine too. */
#define PATIENCE_NS 200000000u

static void patience_ends(void **state)
{
	struct bench *b = *state;
	struct miss m[2];
	struct cache_request q;
	uint64_t before = clock_now_ns();

	b->c->patience_ns = PATIENCE_NS;
	miss(b, &m[0], 1);
	miss(b, &m[1], 2);
	assert_missed(b, &m[0], IN_FILE);
	assert_missed(b, &m[1], IN_FILE);
	assert_true(clock_now_ns() - before >= PATIENCE_NS);
	assert_int_equal(stats(b).late, 2);
	assert_true(stats(b).linked);
	/* Nobody waits again before the agent has said something. */
	b->c->patience_ns = LONG_NS;
	direct(b, BLK(3), PAGE_BYTES);
	assert_true(agent_recv(&b->link, &q));
	assert_int_equal(q.first, 3);
	agent_answer(&b->link, m[0].tag, 1, 0); /* too late: ignored */
	turn(b);
	assert_int_equal(m[0].q.done, 1);
	agent_fill(&b->near, 4, 1);
	miss(b, &m[0], 5);
	agent_answer(&b->link, m[1].tag, 1, 0);
	agent_answer(&b->link, q.tag, 1, 0);
	turn(b);
	assert_int_equal(m[0].q.done, 0);
	assert_false(agent_recv(&b->link, &q)); /* nor looked at again */
	agent_fill(&b->near, 5, 1);
	agent_answer(&b->link, m[0].tag, 1, 0);
	assert_missed(b, &m[0], NEAR);
}

static struct cache_wait *the_one_that_waits(struct bench *b)
{
	struct cache_wait *w = b->c->waits;

	while (w->state != WAIT_ASKED)
		w++;
	return w;
}

/* The time is one read's, not one answer's. */
static void patience_is_of_the_whole_read(void **state)
{
	struct bench *b = *state;
	uint8_t *to = malloc(BLK(10));
	struct request q;
	uint64_t deadline;
	uint32_t tag;

	assert_non_null(to);
	start(b, &q, IO_BASE, 0, to, BLK(10));
	deadline = the_one_that_waits(b)->deadline_ns;
	for (unsigned i = 0; i < 6; i++) {
		tag = agent_expect(&b->link, i, 10 - i);
		assert_int_equal(the_one_that_waits(b)->deadline_ns, deadline);
		if (i == 5)
			the_one_that_waits(b)->deadline_ns = clock_now_ns();
		agent_fill(&b->near, i, 1);
		agent_answer(&b->link, tag, 1, 0);
		turn(b);
	}
	wait_done(b, &q);
	assert_bytes(to, NEAR, 0, BLK(6));
	assert_bytes(to + BLK(6), IN_FILE, BLK(6), BLK(4));
	/* It answers: others go on waiting for it. */
	assert_int_equal(stats(b).late, 0);
	assert_false(b->c->link->silent);
	free(to);
}

static void full_ring(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < CACHE_LINK_SLOTS; i++)
		b->io->ops->ahead(b->io, IO_BASE, BLK(i), PAGE_BYTES,
				  PAGE_BYTES);
	assert_int_equal(stats(b).asked, CACHE_LINK_SLOTS);
	assert_int_equal(stats(b).depth, CACHE_LINK_SLOTS);
	direct(b, BLK(500), PAGE_BYTES);
	assert_int_equal(stats(b).lost, 1);
	assert_true(stats(b).linked);
}

/* The agent takes them and says nothing. */
static void too_many_wait(void **state)
{
	static struct miss m[CACHE_MAX_WAITS];
	struct bench *b = *state;

	for (unsigned i = 0; i < CACHE_MAX_WAITS; i++)
		miss(b, &m[i], i);
	assert_int_equal(stats(b).depth, 0);
	direct(b, BLK(400), PAGE_BYTES);
	cache_unlink(b->c);
	for (unsigned i = 0; i < CACHE_MAX_WAITS; i++)
		assert_missed(b, &m[i], IN_FILE);
}

static void assert_lost(struct bench *b, struct miss *m)
{
	assert_missed(b, m, IN_FILE);
	assert_false(stats(b).linked);
	direct(b, 0, 512);
	agent_fill(&b->near, 7, 1);
	hit(b, BLK(7), 512, NEAR);
	assert_false(readable(cache_event_fd(b->c), 0));
}

static _Atomic(uint32_t) *word(struct bench *b, size_t off)
{
	return (void *)((uint8_t *)b->link.own.base + off);
}

/* More answers than the ring holds. */
static void broken_index_of_answers(void **state)
{
	struct bench *b = *state;
	struct miss m;

	miss(b, &m, 1);
	atomic_store(word(b, CACHE_LINK_RING_OFF), 100000);
	assert_int_equal(send(b->link.wake_tx, "", 1, 0), 1);
	assert_lost(b, &m);
}

/* It has taken more requests than were sent. */
static void broken_index_of_requests(void **state)
{
	struct bench *b = *state;
	struct miss m[2];

	miss(b, &m[0], 1);
	for (unsigned i = 1; i < CACHE_LINK_SLOTS; i++)
		b->io->ops->ahead(b->io, IO_BASE, BLK(i), PAGE_BYTES,
				  PAGE_BYTES);
	atomic_store(word(b, CACHE_LINK_READER_OFF), 77777);
	direct(b, BLK(300), PAGE_BYTES);
	assert_lost(b, &m[0]);
}

static void answers_nobody_asked_for(void **state)
{
	struct bench *b = *state;
	struct miss m;

	miss(b, &m, 1);
	agent_answer(&b->link, m.tag + 1, 1, 0); /* this may be: ignored */
	turn(b);
	assert_int_equal(m.q.done, 0);
	assert_true(stats(b).linked);
	agent_answer(&b->link, m.tag, 1, 0); /* one too many */
	assert_lost(b, &m);
}

static void agent_hangs_up(void **state)
{
	struct bench *b = *state;
	struct miss m[2];

	miss(b, &m[0], 1);
	miss(b, &m[1], 2);
	agent_fill(&b->near, 1, 1);
	agent_answer(&b->link, m[0].tag, 1, 0); /* its last words */
	drop_link(b);
	assert_missed(b, &m[0], NEAR);
	assert_lost(b, &m[1]);
}

static void another_link_while_some_wait(void **state)
{
	struct bench *b = *state;
	struct agent_link old = b->link;
	struct miss m[2], n;
	int kept;

	miss(b, &m[0], 1);
	miss(b, &m[1], 2);
	/* Whoever handed it over has the worker's end open still. */
	kept = fcntl(b->c->link->wake_rx, F_DUPFD_CLOEXEC, 0);
	assert_int_equal(agent_link_create(&b->link, b->c), 0);
	miss(b, &n, 3);
	assert_missed(b, &m[0], IN_FILE);
	assert_missed(b, &m[1], IN_FILE);
	/* The old one's wake-ups are nothing to anybody. */
	assert_int_equal(send(old.wake_tx, "", 1, MSG_NOSIGNAL), 1);
	assert_false(readable(cache_event_fd(b->c), 0));
	/* An answer for one that does not wait any more. */
	agent_answer(&b->link, m[0].tag, 1, 0);
	turn(b);
	assert_int_equal(m[0].q.done, 1);
	assert_int_equal(n.q.done, 0);
	assert_true(stats(b).linked);
	cache_unlink(b->c);
	assert_missed(b, &n, IN_FILE);
	agent_link_destroy(&old);
	(void)close(kept);
}

static void bad_links_are_refused(void **state)
{
	struct bench *b = *state;
	int fds[4];
	struct region taken;

	for (unsigned i = 0; i < 4; i++)
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(cache_link(b->c, fds[0], fds[1], fds[2], fds[3]),
			 -EPROTO);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD), -1);
	assert_false(stats(b).linked);
	direct(b, 0, 512);
	assert_int_equal(
		region_prepare("w", CACHE_LINK_BYTES, NODE_AUTO, &fds[0]), 0);
	fds[1] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
	fds[2] = open("/dev/null", O_RDWR | O_CLOEXEC);
	fds[3] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
	assert_int_equal(region_take(&taken, fds[3], CACHE_LINK_BYTES), 0);
	assert_int_equal(cache_link(b->c, fds[0], fds[1], fds[2], -1), -EPERM);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD), -1);
	region_destroy(&taken);
}

/* Somebody waits for the disk, and nobody for the agent. */
static void hurry(void **state)
{
	struct bench *b = *state;
	struct miss m;

	miss(b, &m, 1);
	b->io->ops->hurry(b->io);
	assert_int_equal(m.q.done, 0);
	assert_true(readable(b->io->event_fd, 0));
	while (!m.q.done) {
		assert_true(readable(b->io->event_fd, 5000));
		b->io->ops->complete(b->io);
	}
	assert_missed(b, &m, IN_FILE);
	/* One that was answered, but has to ask again, does not. */
	miss(b, &m, 2);
	agent_answer(&b->link, m.tag, 1, 0);
	cache_ready(b->c);
	b->io->ops->hurry(b->io);
	assert_missed(b, &m, IN_FILE);
	assert_int_equal(stats(b).asked, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(patience_ends),
		BOTH(patience_is_of_the_whole_read),
		BOTH(full_ring),
		BOTH(too_many_wait),
		BOTH(broken_index_of_answers),
		BOTH(broken_index_of_requests),
		BOTH(answers_nobody_asked_for),
		BOTH(agent_hangs_up),
		BOTH(another_link_while_some_wait),
		BOTH(bad_links_are_refused),
		BOTH(hurry),
	};

	return cmocka_run_group_tests_name("cache_faults", tests, NULL, NULL);
}
