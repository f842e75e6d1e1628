/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A store and what is around it: an image with a pattern, the two memfds that
 * outlive an agent, workers that lease, and a fetcher that a test commands.
 */
#ifndef TESTS_UNIT_COWDISK_STORE_WORLD_H
#define TESTS_UNIT_COWDISK_STORE_WORLD_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cowdisk/store/store_internal.h"
#include "tests/unit/support.h"

#define WORKERS_MAX 8u

struct worker {
	struct region lease;
	struct store_reader *reader;
};

struct world {
	uint64_t bytes, nr_blocks;
	int image, memory, presence; /* the store has copies */
	uint8_t *content;	     /* of the image, padded with zeroes */
	const uint8_t *seen;	     /* the memory, as a worker maps it */
	const lease_word *there;     /* the presence map, the same */
	struct pool *pool;
	struct store *store;
	struct worker workers[WORKERS_MAX];
	unsigned nr_workers;
};

/* What done() was told last, and how often. */
struct heard {
	unsigned calls;
	uint32_t tag, nr;
	int err;
};

static inline void hear(void *arg, uint32_t tag, uint32_t nr, int err)
{
	struct heard *h = arg;

	*h = (struct heard){ h->calls + 1, tag, nr, err };
}

static inline int copy_fd(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	assert_true(copy >= 0);
	return copy;
}

/* Every 8 bytes of the image are different, and none is zero. */
static inline void world_image(struct world *w, int flags)
{
	char path[] = "build/disco-test.XXXXXX";
	uint64_t padded = w->nr_blocks * PAGE_BYTES;
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	w->content = calloc(1, padded);
	assert_non_null(w->content);
	for (uint64_t i = 0; i < w->bytes / 8; i++) {
		uint64_t v = i * 0x9e3779b97f4a7c15ull | 1;

		memcpy(w->content + 8 * i, &v, sizeof(v));
	}
	assert_int_equal(write(fd, w->content, w->bytes), w->bytes);
	w->image = open(path, O_RDONLY | O_CLOEXEC | flags);
	if (w->image < 0) /* no O_DIRECT on this file system */
		w->image = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(w->image >= 0);
	assert_int_equal(unlink(path), 0);
	(void)close(fd);
}

static inline int world_memfd(uint64_t bytes, const void **mapped)
{
	int fd = memfd_create("store", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	*mapped = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(*mapped != MAP_FAILED);
	return fd;
}

static inline void world_init(struct world *w, uint64_t bytes, int flags)
{
	const void *p;

	memset(w, 0, sizeof(*w));
	w->bytes = bytes;
	w->nr_blocks = align_up(bytes, PAGE_BYTES) / PAGE_BYTES;
	world_image(w, flags);
	w->memory = world_memfd(w->nr_blocks * PAGE_BYTES, &p);
	w->seen = p;
	w->presence = world_memfd(lease_map_bytes(w->nr_blocks), &p);
	w->there = p;
}

static inline struct worker *world_worker(struct world *w)
{
	struct worker *k = &w->workers[w->nr_workers++];

	if (!k->lease.base)
		assert_int_equal(region_create(&k->lease, "lease",
					       lease_map_bytes(w->nr_blocks),
					       NODE_AUTO, 0),
				 0);
	assert_int_equal(
		store_reader_add(w->store, copy_fd(k->lease.fd), &k->reader),
		0);
	return k;
}

/* A new agent over what is there, with the pool that it has. */
static inline void world_open(struct world *w, struct pool *p)
{
	w->pool = p;
	assert_int_equal(store_open(p, copy_fd(w->image), w->bytes,
				    copy_fd(w->memory), copy_fd(w->presence),
				    &w->store),
			 0);
}

static inline void world_close(struct world *w)
{
	pool_destroy(w->pool);
	w->pool = NULL;
	w->nr_workers = 0;
}

static inline void world_end(struct world *w)
{
	if (w->pool)
		world_close(w);
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		region_destroy(&w->workers[i].lease);
	(void)munmap((void *)(uintptr_t)w->seen, w->nr_blocks * PAGE_BYTES);
	(void)munmap((void *)(uintptr_t)w->there,
		     lease_map_bytes(w->nr_blocks));
	(void)close(w->image);
	(void)close(w->memory);
	(void)close(w->presence);
	free(w->content);
}

static inline bool block_right(const struct world *w, uint64_t block)
{
	return memcmp(w->seen + block * PAGE_BYTES,
		      w->content + block * PAGE_BYTES, PAGE_BYTES) == 0;
}

/* Blocks that the memory has pages for: what the limit is about. */
static inline uint64_t memory_blocks(const struct world *w)
{
	struct stat st;

	assert_int_equal(fstat(w->memory, &st), 0);
	return (uint64_t)st.st_blocks * 512 / PAGE_BYTES;
}

/* Invariants 1 and 4. Return: blocks that are there. */
static inline uint64_t world_check(const struct world *w)
{
	struct pool_stats st;
	uint64_t n = 0;

	for (uint64_t b = 0; b < w->nr_blocks; b++) {
		if (!presence_test(w->there, b))
			continue;
		n++;
		assert_true(block_right(w, b));
	}
	pool_get_stats(w->pool, &st);
	assert_true(st.present_blocks >= n);
	assert_true(st.present_blocks + st.filling_blocks <= st.limit_blocks);
	assert_true(memory_blocks(w) <= st.limit_blocks);
	return n;
}

/* pool_ready() until @h was called @calls times, if it does not hang. */
static inline void world_wait(const struct world *w, const struct heard *h,
			      unsigned calls)
{
	uint64_t end = wait_end_ns();

	while (h->calls < calls && clock_now_ns() < end) {
		pool_ready(w->pool);
		(void)usleep(100);
	}
	assert_int_equal(h->calls, calls);
}

/* Have it there, and wait. */
static inline struct heard world_fill(struct world *w, struct worker *k,
				      uint64_t first, uint32_t nr)
{
	struct heard h = { 0 };

	assert_int_equal(store_fill(k->reader, first, nr, hear, &h, 7), 0);
	world_wait(w, &h, 1);
	assert_int_equal(h.tag, 7);
	return h;
}

/* --- a fetcher that a test commands --- */

#define FAKE_JOBS 64u

struct fake {
	struct fetcher fetcher;
	bool later;	     /* reads wait for fake_finish() */
	uint64_t nr;	     /* reads started */
	uint64_t spoil;	     /* the one, from 1 on, that gets this result: */
	int result;	     /* 0 and more: so many bytes at most */
	uint64_t spoilt_for; /* so many reads */
	bool interrupted;    /* every other one of them */
	struct fetch_job *jobs[FAKE_JOBS];
	unsigned nr_jobs, nr_over; /* the first nr_over are over */
};

static inline struct fake *fake_of(struct fetcher *f)
{
	return container_of(f, struct fake, fetcher);
}

static inline void fake_read(struct fake *k, struct fetch_job *job)
{
	bool bad = k->spoil && k->nr >= k->spoil &&
		   k->nr < k->spoil + k->spoilt_for;
	size_t bytes = job->bytes;

	if (bad && k->interrupted && k->nr % 2) {
		job->result = -EINTR;
		return;
	}
	if (bad && k->result < 0) {
		/* A part of it may have come. */
		memset(job->to, 0xee, bytes / 2 + 1);
		job->result = k->result;
		return;
	}
	if (bad)
		bytes = min_u64(bytes, (uint64_t)k->result);
	job->result = (int)pread(job->fd, job->to, bytes, (off_t)job->offset);
}

static inline bool fake_start(struct fetcher *f, struct fetch_job *job)
{
	struct fake *k = fake_of(f);

	k->nr++;
	if (!k->later) {
		fake_read(k, job);
		return false;
	}
	assert_true(k->nr_jobs < FAKE_JOBS);
	/* As a device does: page by page, garbage first. */
	memset(job->to, 0xdd, job->bytes);
	k->jobs[k->nr_jobs++] = job;
	return true;
}

/* End the job at this place of those under way. */
static inline void fake_finish(struct fake *k, unsigned i)
{
	struct fetch_job *job = k->jobs[k->nr_over + i];
	uint64_t one = 1;

	fake_read(k, job);
	k->jobs[k->nr_over + i] = k->jobs[k->nr_over];
	k->jobs[k->nr_over++] = job;
	(void)!write(k->fetcher.event_fd, &one, sizeof(one));
}

static inline struct fetch_job *fake_ended(struct fetcher *f, bool wait)
{
	struct fake *k = fake_of(f);
	struct fetch_job *job;

	if (wait && k->nr_over == 0 && k->nr_jobs)
		fake_finish(k, 0);
	if (k->nr_over == 0)
		return NULL;
	job = k->jobs[--k->nr_over];
	k->jobs[k->nr_over] = k->jobs[--k->nr_jobs];
	return job;
}

static inline void fake_destroy(struct fetcher *f)
{
	assert_int_equal(fake_of(f)->nr_jobs, 0);
	(void)close(f->event_fd);
}

static inline struct pool *fake_pool(struct fake *k, uint64_t limit_blocks,
				     unsigned depth)
{
	static const struct fetch_ops ops = { .start = fake_start,
					      .ended = fake_ended,
					      .destroy = fake_destroy };
	struct pool *p;

	k->fetcher.ops = &ops;
	k->fetcher.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(pool_create_on(&k->fetcher, limit_blocks * PAGE_BYTES,
					depth, &p),
			 0);
	return p;
}

#endif
