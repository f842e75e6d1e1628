/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A region over real files, with a "guest" that stores to it and a log as
 * KVM keeps it: a page is in it before the store can be seen.
 */
#ifndef TESTS_UNIT_COWDISK_DAX_BENCH_H
#define TESTS_UNIT_COWDISK_DAX_BENCH_H

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#include "cowdisk/dax/dax.h"
#include "tests/unit/cowdisk/cow_files.h"

#define DAX_LOG_WORDS 1024u /* 256 MiB */

struct dax_bench {
	uint64_t bytes;
	int base, cow; /* -1: none */
	bool ring;
	struct dax *dax;
	struct dax_log log;
	pthread_mutex_t lock; /* the log, and "vCPUs" between fault and store */
	uint64_t bits[DAX_LOG_WORDS];
	unsigned takes;
	int refuse; /* what take() says */
};

/* What a sector of the base holds. */
static inline uint8_t dax_base_byte(uint64_t sector)
{
	return (uint8_t)(sector * 7 + (sector >> 8) + 1);
}

static inline int dax_log_take(struct dax_log *log, uint64_t *bits)
{
	struct dax_bench *b = container_of(log, struct dax_bench, log);

	b->takes++;
	if (b->refuse)
		return b->refuse;
	(void)pthread_mutex_lock(&b->lock);
	for (uint64_t i = 0;
	     i < align_up(b->bytes, DAX_ALIGN) / PAGE_BYTES / 64; i++)
		bits[i] |= b->bits[i];
	memset(b->bits, 0, sizeof(b->bits));
	(void)pthread_mutex_unlock(&b->lock);
	return 0;
}

static inline int dax_base_file(uint64_t bytes)
{
	int fd = cow_temp_file(bytes);
	uint8_t *image = malloc(bytes);

	assert_non_null(image);
	for (uint64_t i = 0; i < bytes / 512; i++)
		memset(image + i * 512, dax_base_byte(i), 512);
	assert_int_equal(pwrite(fd, image, bytes, 0), bytes);
	free(image);
	return fd;
}

static inline int dax_dup(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* The COW disk of a bench, apart from its region. */
static inline struct disk *dax_bench_disk(const struct dax_bench *b)
{
	struct rlimit before, none;
	const int fds[DISK_COW_FDS] = { dax_dup(b->base), dax_dup(b->cow), -1,
					-1 };
	const char *why = "";
	struct disk *d;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0; /* no descriptor, no ring */
	if (!b->ring)
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(disk_open_cow(fds, false, DAX_DEPTH, &d, &why), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	return d;
}

static inline void dax_bench_open(struct dax_bench *b, uint64_t budget)
{
	struct dax_source src = { .bytes = b->bytes,
				  .base = b->base,
				  .cow = b->cow };

	if (b->cow < 0)
		src.base = dax_dup(b->base);
	else
		src.disk = dax_bench_disk(b);
	assert_int_equal(dax_create(&src, budget, &b->dax), 0);
	if (b->cow >= 0)
		dax_set_log(b->dax, &b->log);
}

/* As a process that dies: nothing is flushed. */
static inline void dax_bench_reopen(struct dax_bench *b, uint64_t budget)
{
	dax_destroy(b->dax);
	memset(b->bits, 0, sizeof(b->bits));
	dax_bench_open(b, budget);
}

static inline struct dax_bench *dax_bench_make(uint64_t bytes, bool cow,
					       bool ring)
{
	struct dax_bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->bytes = bytes;
	b->ring = ring;
	b->log.take = dax_log_take;
	(void)pthread_mutex_init(&b->lock, NULL);
	b->base = dax_base_file(bytes);
	b->cow = cow ? cow_temp_cow(b->base, bytes) : -1;
	dax_bench_open(b, 1000);
	return b;
}

static inline void dax_bench_destroy(struct dax_bench *b)
{
	dax_destroy(b->dax);
	(void)close(b->base);
	if (b->cow >= 0)
		(void)close(b->cow);
	free(b);
}

static inline uint8_t *dax_bench_at(const struct dax_bench *b, uint64_t offset)
{
	return dax_window(b->dax)->hva + offset;
}

/* The guest stores @n bytes of @value. */
static inline void dax_guest_set(struct dax_bench *b, uint64_t offset,
				 uint64_t n, uint8_t value)
{
	uint64_t last = (offset + n - 1) / PAGE_BYTES;

	(void)pthread_mutex_lock(&b->lock);
	for (uint64_t p = offset / PAGE_BYTES; p <= last; p++)
		b->bits[p / 64] |= 1ull << (p % 64);
	memset(dax_bench_at(b, offset), value, n);
	(void)pthread_mutex_unlock(&b->lock);
}

/* All of [@offset, @offset + @n) is @value. */
static inline void dax_expect(const struct dax_bench *b, uint64_t offset,
			      uint64_t n, uint8_t value)
{
	const uint8_t *p = dax_bench_at(b, offset);

	for (uint64_t i = 0; i < n; i++)
		if (p[i] != value)
			fail_msg("byte %llu is %u, not %u",
				 (unsigned long long)(offset + i), p[i], value);
}

/* The base's sectors from one to another, and zeroes after the image. */
static inline void dax_expect_base(const struct dax_bench *b, uint64_t from,
				   uint64_t to)
{
	for (uint64_t s = from / 512; s < to / 512; s++)
		dax_expect(b, s * 512, 512, dax_base_byte(s));
}

static inline void dax_expect_tail(const struct dax_bench *b)
{
	uint64_t end = dax_window(b->dax)->bytes;

	dax_expect(b, b->bytes, end - b->bytes, 0);
}

struct dax_done {
	struct dax_req r;
	bool done;
	int err;
};

static inline void dax_is_done(struct dax_req *r, int err)
{
	struct dax_done *f = container_of(r, struct dax_done, r);

	assert_false(f->done);
	f->done = true;
	f->err = err;
}

static inline void dax_wait(struct dax_bench *b, const struct dax_done *f)
{
	while (!f->done) {
		assert_true(wait_readable(dax_event_fd(b->dax)));
		dax_ready(b->dax);
	}
}

static inline int dax_flush_now(struct dax_bench *b)
{
	struct dax_done f = { .r.done = dax_is_done };

	dax_flush(b->dax, &f.r);
	dax_wait(b, &f);
	return f.err;
}

static inline uint64_t dax_written(const struct dax_bench *b)
{
	struct dax_stats s;

	dax_get_stats(b->dax, &s);
	return s.written_pages;
}

#endif
