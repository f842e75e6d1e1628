/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files of a disk under a cache, with an agent that is stepped by hand:
 * over plain files or over io_uring.
 */
#ifndef TESTS_UNIT_COWDISK_CACHE_BENCH_H
#define TESTS_UNIT_COWDISK_CACHE_BENCH_H

#include <poll.h>

#include "cowdisk/base/io_ring.h"
#include "tests/unit/cache/cache_agent.h"

#define BLOCKS 600u
#define BYTES  (BLOCKS * PAGE_BYTES - 1536u)
#define FILES  (2 * BLOCKS * PAGE_BYTES) /* the image is only the front */
#define NEAR   1u			 /* where: node 0, home */
#define FAR    2u			 /* where: node 1 */
#define BLK(n) ((uint64_t)(n)*PAGE_BYTES)

struct bench {
	struct cache *c;
	struct agent_store near, far;
	struct agent_link link;
	struct io_fd plain;
	struct io *io;
	int files[IO_FILES];
	bool linked;
};

/* Done once, or the test fails. */
struct request {
	struct io_req r;
	struct iovec iov[8];
	unsigned done;
	int err;
};

static inline void done(struct io_req *r, int err)
{
	struct request *q = container_of(r, struct request, r);

	q->done++;
	q->err = err;
}

static inline int make_file(unsigned where)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	agent_write_file(fd, where, FILES);
	return fd;
}

static inline struct bench *make(bool ring)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct io *under;

	assert_non_null(b);
	b->files[IO_BASE] = make_file(IN_FILE);
	b->files[IO_COW] = make_file(9);
	assert_int_equal(cache_create(NULL, &b->c), 0);
	b->c->patience_ns = LONG_NS;
	agent_store_create(&b->near, NEAR, BYTES);
	agent_store_create(&b->far, FAR, BYTES);
	cache_set_home(b->c, 0);
	assert_int_equal(agent_attach(&b->far, b->c, 1), 0);
	assert_int_equal(agent_attach(&b->near, b->c, 0), 0);
	assert_int_equal(agent_link_create(&b->link, b->c), 0);
	b->linked = true;
	io_fd_init(&b->plain, b->files[0], b->files[1]);
	under = &b->plain.io;
	if (ring) {
		const int fds[IO_ALL_FILES] = {
			fcntl(b->files[0], F_DUPFD_CLOEXEC, 0),
			fcntl(b->files[1], F_DUPFD_CLOEXEC, 0), -1, -1
		};

		assert_int_equal(io_ring_create(fds, 512, &under), 0);
	}
	assert_int_equal(cache_io(b->c, AGENT_DISK, under, &b->io), 0);
	assert_true(b->io->event_fd >= 0);
	return b;
}

static inline int setup_ring(void **state)
{
	*state = make(true);
	return 0;
}

static inline int setup_plain(void **state)
{
	*state = make(false);
	return 0;
}

static inline void drop_link(struct bench *b)
{
	if (b->linked)
		agent_link_destroy(&b->link);
	b->linked = false;
}

static inline int teardown(void **state)
{
	struct bench *b = *state;

	assert_int_equal(b->c->nr_waits, 0);
	assert_int_equal(agent_nr_leased(&b->near), 0);
	assert_int_equal(agent_nr_leased(&b->far), 0);
	b->io->ops->destroy(b->io);
	cache_destroy(b->c);
	drop_link(b);
	agent_store_destroy(&b->near);
	agent_store_destroy(&b->far);
	(void)close(b->files[0]);
	(void)close(b->files[1]);
	free(b);
	return 0;
}

static inline struct cache_stats stats(const struct bench *b)
{
	struct cache_stats s;

	cache_get_stats(b->c, &s);
	return s;
}

static inline bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* What a worker's loop does, until nothing is to be done. */
static inline void turn(struct bench *b)
{
	bool again = true;

	while (again) {
		again = false;
		if (readable(cache_event_fd(b->c), 0)) {
			cache_ready(b->c);
			again = true;
		}
		if (readable(b->io->event_fd, 0)) {
			b->io->ops->complete(b->io);
			again = true;
		}
	}
}

static inline void wait_done(struct bench *b, struct request *q)
{
	uint64_t end = wait_end_ns();

	while (!q->done && clock_now_ns() < end)
		turn(b);
	assert_int_equal(q->done, 1);
}

static inline void start(struct bench *b, struct request *q, enum io_file file,
			 uint64_t at, void *to, size_t bytes)
{
	memset(to, 0xee, bytes);
	q->done = 0;
	q->iov[0] = (struct iovec){ to, bytes };
	q->r = (struct io_req){ .file = file,
				.offset = at,
				.iov = q->iov,
				.nr_iov = 1,
				.done = done };
	b->io->ops->read(b->io, &q->r);
}

/* Is there at once, from @where. */
static inline void hit(struct bench *b, uint64_t at, size_t bytes,
		       unsigned where)
{
	struct request q;
	uint8_t *to = malloc(bytes);

	assert_non_null(to);
	start(b, &q, IO_BASE, at, to, bytes);
	assert_int_equal(q.done, 1);
	assert_int_equal(q.err, 0);
	assert_bytes(to, where, at, bytes);
	free(to);
}

/* Does not wait for the agent: the file's. */
static inline void direct(struct bench *b, uint64_t at, size_t bytes)
{
	struct request q;
	uint8_t *to = malloc(bytes);
	uint64_t before = stats(b).direct_blocks;
	unsigned waiting = b->c->nr_waits;

	assert_non_null(to);
	start(b, &q, IO_BASE, at, to, bytes);
	assert_int_equal(b->c->nr_waits, waiting);
	wait_done(b, &q);
	assert_int_equal(q.err, 0);
	assert_bytes(to, IN_FILE, at, bytes);
	assert_true(stats(b).direct_blocks > before);
	free(to);
}

/* A read of one block that waits. */
struct miss {
	struct request q;
	uint8_t to[PAGE_BYTES];
	uint64_t block;
	uint32_t tag;
};

static inline void miss(struct bench *b, struct miss *m, uint64_t block)
{
	m->block = block;
	start(b, &m->q, IO_BASE, BLK(block), m->to, PAGE_BYTES);
	assert_int_equal(m->q.done, 0);
	m->tag = agent_expect(&b->link, block, 1);
}

static inline void assert_missed(struct bench *b, struct miss *m,
				 unsigned where)
{
	wait_done(b, &m->q);
	assert_int_equal(m->q.err, 0);
	assert_bytes(m->to, where, BLK(m->block), PAGE_BYTES);
}

#define BOTH(f)                                                                \
	{ "ring/" #f, f, setup_ring, teardown, NULL },                         \
	{                                                                      \
		"plain/" #f, f, setup_plain, teardown, NULL                    \
	}

#endif
