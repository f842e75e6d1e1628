/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Splits requests into runs of blocks that are present, being read, or absent,
 * and reads the absent ones, from the start to the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cowdisk/store/store_internal.h"

enum block_state { BLOCK_ABSENT, BLOCK_FILLING, BLOCK_THERE };

static enum block_state store_fill_state_of(const struct store *s,
					    uint64_t block)
{
	if (bits_test(s->filling, block))
		return BLOCK_FILLING;
	/* Left over is as good as absent. */
	if (bit_tree_test(&s->held, block) && presence_test(s->presence, block))
		return BLOCK_THERE;
	return BLOCK_ABSENT;
}

/* Number of blocks from @block on in the same state as it; at most @max. */
static uint32_t run_of(const struct store *s, uint64_t block, uint32_t max)
{
	enum block_state state = store_fill_state_of(s, block);
	uint32_t n = 1;

	while (n < max && store_fill_state_of(s, block + n) == state)
		n++;
	return n;
}

/* --- requests that wait --- */

static bool wait_over(const struct store_wait *w)
{
	uint64_t any = 0;

	for (size_t i = 0; i < ARRAY_SIZE(w->pending); i++)
		any |= w->pending[i];
	return !any && !w->starting;
}

static void wait_unlink(struct store *s, struct store_wait *w)
{
	LIST_REMOVE(w, link);
	s->pool->nr_waits--;
}

static void wait_end(struct store *s, struct store_wait *w)
{
	wait_unlink(s, w);
	w->done(w->arg, w->tag, w->there, w->there < w->nr ? w->err : 0);
	free(w);
}

/* @block is not present because of @err. NULL: no request waits. */
static void wait_fail(struct store_wait *w, uint64_t block, int err)
{
	if (w && block - w->first < w->there) {
		w->there = (uint32_t)(block - w->first);
		w->err = err;
	}
}

static void store_fill_wait_for(struct store_wait *w, uint64_t first,
				uint32_t nr)
{
	for (uint64_t b = first; w && b < first + nr; b++)
		bits_set(w->pending, b - w->first);
}

/* These blocks were read, or failed: update the requests that wait for them. */
static void store_fill_tell(struct store *s, uint64_t first, uint32_t nr,
			    int err)
{
	struct store_wait *w, *next;

	for (w = LIST_FIRST(&s->waits); w; w = next) {
		uint64_t from = max_u64(first, w->first);
		uint64_t to = min_u64(first + nr, w->first + w->nr);

		next = LIST_NEXT(w, link);
		for (uint64_t b = from; b < to; b++) {
			if (!bits_test(w->pending, b - w->first))
				continue;
			bits_clear(w->pending, b - w->first);
			if (err)
				wait_fail(w, b, err);
		}
		if (from < to && wait_over(w))
			wait_end(s, w);
	}
}

void store_drop_waits(struct store *s, const struct store_reader *r)
{
	struct store_wait *w, *next;

	for (w = LIST_FIRST(&s->waits); w; w = next) {
		next = LIST_NEXT(w, link);
		if (r && w->reader != r)
			continue;
		wait_unlink(s, w);
		free(w);
	}
}

/* --- reads --- */

/*
 * Zero the last block's part beyond the image's end: the file may have grown
 * since, and another agent's copy may contain anything.
 */
void store_clear_tail(struct store *s, uint64_t last)
{
	uint64_t end = (last + 1) * PAGE_BYTES;

	if (end > s->bytes)
		memset(s->base + s->bytes, 0, end - s->bytes);
}

/* The read of these blocks has ended: publish them, or discard them. */
static void blocks_over(struct store *s, uint64_t first, uint32_t nr, int err)
{
	for (uint64_t b = first; b < first + nr; b++)
		bits_clear(s->filling, b);
	s->pool->stats.filling_blocks -= nr;
	if (err) {
		s->pool->stats.failed_reads++;
		store_discard(s, first, nr);
	} else {
		store_clear_tail(s, first + nr - 1);
		for (uint64_t b = first; b < first + nr; b++)
			bit_tree_set(&s->held, b);
		s->pool->stats.present_blocks += nr;
		presence_set(s->presence, first, nr);
	}
	store_fill_tell(s, first, nr, err);
}

/* In whole blocks, as direct reads require. */
static void store_fill_aim(struct store_read *rd)
{
	struct store *s = rd->store;

	rd->job.offset = rd->first * PAGE_BYTES;
	rd->job.to = s->base + rd->job.offset;
	rd->job.bytes = rd->nr * (size_t)PAGE_BYTES;
}

/*
 * Account for the result of a read. A short read continues at the block that it
 * reached; a read that repeatedly yields no whole block is given up.
 * Return: true: there is more to read.
 */
static bool goes_on(struct store_read *rd)
{
	struct store *s = rd->store;
	int got = rd->job.result, err = got < 0 ? got : -EIO;
	uint32_t n = got > 0 ? (uint32_t)got / PAGE_BYTES : 0;
	bool passing = got == -EINTR || got == -EAGAIN || got > 0;

	if (got > 0) {
		s->pool->stats.read_bytes += (uint64_t)got;
		if (rd->job.offset + (uint64_t)got >= s->bytes)
			n = rd->nr;
	}
	if (n > 0) {
		blocks_over(s, rd->first, n, 0);
		rd->first += n;
		rd->nr -= n;
		rd->tries = 0;
	} else if (!passing || ++rd->tries >= READ_TRIES) {
		blocks_over(s, rd->first, rd->nr, err);
		rd->nr = 0;
	}
	return rd->nr > 0;
}

static void store_fill_retire(struct pool *p, struct store_read *rd)
{
	p->nr_reads--;
	rd->store->nr_reads--;
	free(rd);
}

static void store_fill_launch(struct pool *p, struct store_read *rd)
{
	do {
		store_fill_aim(rd);
		if (p->fetcher->ops->start(p->fetcher, &rd->job))
			return;
	} while (goes_on(rd));
	store_fill_retire(p, rd);
}

static void store_fill_admit(struct pool *p, struct store_read *rd)
{
	p->nr_reads++;
	rd->store->nr_reads++;
	store_fill_launch(p, rd);
}

static void admit_next(struct pool *p)
{
	struct store_read *rd;

	while ((rd = STAILQ_FIRST(&p->queue)) && p->nr_reads < p->depth) {
		STAILQ_REMOVE_HEAD(&p->queue, link);
		store_fill_admit(p, rd);
	}
}

static void store_fill_ended(struct pool *p, struct fetch_job *job)
{
	struct store_read *rd = container_of(job, struct store_read, job);

	if (goes_on(rd))
		store_fill_launch(p, rd);
	else
		store_fill_retire(p, rd);
}

void pool_ready(struct pool *p)
{
	struct fetch_job *job;
	eventfd_t count;

	if (p->fetcher->event_fd < 0 ||
	    eventfd_read(p->fetcher->event_fd, &count) < 0)
		return;
	while ((job = p->fetcher->ops->ended(p->fetcher, false)) != NULL)
		store_fill_ended(p, job);
	admit_next(p);
}

void store_stop_reads(struct store *s)
{
	struct pool *p = s->pool;
	struct store_read *rd, *next;
	struct fetch_job *job;

	for (rd = STAILQ_FIRST(&p->queue); rd; rd = next) {
		next = STAILQ_NEXT(rd, link);
		if (rd->store != s)
			continue;
		STAILQ_REMOVE(&p->queue, rd, store_read, link);
		p->stats.filling_blocks -= rd->nr;
		free(rd);
	}
	while (s->nr_reads &&
	       (job = p->fetcher->ops->ended(p->fetcher, true)) != NULL)
		store_fill_ended(p, job);
	admit_next(p);
}

/* Start to read blocks, for which room was made. */
static int store_fill_start_read(struct store *s, uint64_t first, uint32_t nr)
{
	struct pool *p = s->pool;
	struct store_read *rd = calloc(1, sizeof(*rd));

	if (!rd)
		return -ENOMEM;
	*rd = (struct store_read){ .store = s, .first = first, .nr = nr };
	rd->job.fd = s->image;
	rd->job.direct = s->direct;
	rd->job.memory = s->memory;
	for (uint64_t b = first; b < first + nr; b++) {
		bits_set(s->filling, b);
		if (bit_tree_test(&s->held, b)) { /* left over */
			bit_tree_clear(&s->held, b);
			p->stats.present_blocks--;
		}
	}
	p->stats.filling_blocks += nr;
	if (p->nr_reads < p->depth) {
		store_fill_admit(p, rd);
	} else {
		STAILQ_INSERT_TAIL(&p->queue, rd, link);
	}
	return 0;
}

/* --- what is asked for --- */

/* Return: number of blocks being read now; fewer than @nr: there is no room. */
static uint32_t fill_run(struct store *s, uint64_t first, uint32_t nr,
			 struct store_wait *w)
{
	uint32_t room = pool_make_room(s->pool, nr);
	int err = room < nr ? -ENOSPC : 0;

	if (room) {
		int failed;

		store_fill_wait_for(w, first, room);
		failed = store_fill_start_read(s, first, room);
		if (failed) {
			store_fill_tell(s, first, room, failed);
			return 0;
		}
	}
	if (err)
		wait_fail(w, first + room, err);
	return room;
}

/*
 * All blocks are marked as referenced first, so that the room made for the
 * later ones is not taken from the earlier ones.
 */
static void store_fill_run(struct store *s, struct store_wait *w)
{
	uint64_t end = w->first + w->nr, b = w->first;
	struct pool_stats *st = &s->pool->stats;

	for (uint64_t i = b; i < end; i++)
		bits_set(s->referenced, i);
	while (b < end) {
		enum block_state state = store_fill_state_of(s, b);
		uint32_t n = run_of(s, b, (uint32_t)(end - b)), got;

		if (state == BLOCK_FILLING) {
			st->joined_blocks += n;
			store_fill_wait_for(w, b, n);
		} else if (state == BLOCK_ABSENT) {
			got = fill_run(s, b, n, w);
			if (got < n) {
				st->refused_blocks += end - b - got;
				return;
			}
		}
		b += n;
	}
}

static void store_fill_ahead(struct store *s, uint64_t first, uint64_t end)
{
	struct pool *p = s->pool;

	/* Not before others, who wait for theirs. */
	for (uint64_t b = first; b < end && STAILQ_EMPTY(&p->queue);) {
		uint32_t n = run_of(s, b, (uint32_t)(end - b)), got;

		if (store_fill_state_of(s, b) == BLOCK_ABSENT) {
			got = fill_run(s, b, n, NULL);
			p->stats.ahead_blocks += got;
			if (got < n)
				return;
		}
		b += n;
	}
}

/*
 * Detect sequential requests and read ahead. Blocks that were read ahead are
 * not requested any more, so the sequence may also continue after them.
 */
static void look_ahead(struct store_reader *r, uint64_t first, uint32_t nr)
{
	bool in_row = first >= r->next && first <= r->ahead;
	uint64_t from = max_u64(first + nr, in_row ? r->ahead : 0), to;

	r->row = (uint32_t)min_u64((in_row ? r->row : 0) + nr, CACHE_FILL_MAX);
	r->next = first + nr;
	r->ahead = from;
	if (!in_row)
		return;
	to = min_u64(r->next + r->row, r->store->nr_blocks);
	if (from >= to)
		return;
	r->ahead = to;
	store_fill_ahead(r->store, from, to);
}

bool store_run_sane(const struct store *s, uint64_t first, uint32_t nr)
{
	return nr != 0 && nr <= CACHE_FILL_MAX &&
	       range_fits(first, nr, s->nr_blocks);
}

int store_fill(struct store_reader *r, uint64_t first, uint32_t nr,
	       void (*done)(void *arg, uint32_t tag, uint32_t nr_there,
			    int err),
	       void *arg, uint32_t tag)
{
	struct store *s = r->store;
	struct store_wait *w;

	if (!store_run_sane(s, first, nr))
		return -EINVAL;
	if (s->pool->nr_waits >= POOL_WAITS_MAX)
		return -EAGAIN;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct store_wait){ .reader = r,
				  .first = first,
				  .nr = nr,
				  .there = nr,
				  .starting = true,
				  .done = done,
				  .arg = arg,
				  .tag = tag };
	LIST_INSERT_HEAD(&s->waits, w, link);
	s->pool->nr_waits++;
	s->pool->stats.asked_blocks += nr;
	store_fill_run(s, w);
	look_ahead(r, first, nr);
	w->starting = false;
	if (wait_over(w))
		wait_end(s, w);
	return 0;
}

int store_ahead(struct store_reader *r, uint64_t first, uint32_t nr)
{
	if (!store_run_sane(r->store, first, nr))
		return -EINVAL;
	store_fill_ahead(r->store, first, first + nr);
	return 0;
}
