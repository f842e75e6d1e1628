/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flush: first the data, then the bitmap (I3, I5). There is one round at a
 * time. Requests that come during a round wait for the next one, which serves
 * all of them.
 *
 *   IDLE --begin--> DATA: bitmap pages are taken, then the file is synced
 *   DATA --data_synced--> MAP: each taken page is written
 *        --nothing taken--> end
 *   MAP  --map_written, the last--> MAP_SYNC
 *   MAP_SYNC --> end: requests are acknowledged, next round begins
 *
 * Bits that are set after `begin` are not in the taken pages, because the sync
 * may not cover their data.
 */
#include "cowdisk/disk/cow_internal.h"

#include <errno.h>

static void cow_flush_step(struct cow *c);

static void flush_done(struct io_req *io, int err)
{
	struct cow_flush *f = container_of(io, struct cow_flush, io);
	struct cow *c = container_of(f, struct cow, flush);

	f->err = err;
	if (f->stepping)
		f->ready = true;
	else
		cow_flush_step(c);
}

static void cow_flush_start_sync(struct cow *c, enum flush_phase phase)
{
	c->flush.phase = phase;
	c->flush.io = (struct io_req){ .file = IO_COW, .done = flush_done };
	c->io->ops->sync(c->io, &c->flush.io);
}

static void cow_flush_begin(struct cow *c)
{
	struct cow_flush *f = &c->flush;

	f->round = f->wait;
	f->wait = NULL;
	f->page = 0;
	f->nr_taken = cow_map_take(&c->map);
	cow_flush_start_sync(c, FLUSH_DATA);
}

/* Write the next taken page. Return: false: there is none. */
static bool write_page(struct cow *c)
{
	struct cow_flush *f = &c->flush;

	f->page = cow_map_next_taken(&c->map, f->page);
	if (f->page == c->map.nr_pages)
		return false;
	f->phase = FLUSH_MAP;
	f->iov =
		(struct iovec){ cow_map_taken(&c->map, f->page), COW_MAP_PAGE };
	f->io = (struct io_req){ .file = IO_COW,
				 .offset = COW_HEADER_BYTES +
					   f->page * COW_MAP_PAGE,
				 .iov = &f->iov,
				 .nr_iov = 1,
				 .done = flush_done };
	c->io->ops->write(c->io, &f->io);
	return true;
}

/* Return: true: an operation was started; false: the round has ended. */
static bool data_synced(struct cow *c)
{
	if (c->flush.nr_taken == 0)
		return false;
	return write_page(c);
}

static bool map_written(struct cow *c)
{
	struct cow_flush *f = &c->flush;

	cow_map_written(&c->map, f->page);
	f->page++;
	if (!write_page(c))
		cow_flush_start_sync(c, FLUSH_MAP_SYNC);
	return true;
}

static void cow_flush_end(struct cow *c, int err)
{
	struct cow_flush *f = &c->flush;
	struct cow_slot *s = f->round, *next;

	/*
	 * A page that could not be written is tried again by the next flush;
	 * pages written before it are in the file but not synced: the next
	 * round syncs them, for its first sync comes before any answer.
	 */
	if (err && f->phase != FLUSH_MAP)
		c->failed = true;
	cow_map_give_back(&c->map);
	f->round = NULL;
	f->phase = FLUSH_IDLE;
	for (; s; s = next) {
		next = s->next;
		cow_finish(s, err);
	}
}

/* Start what follows the completed operation. Return: true: it was started. */
static bool cow_flush_follow(struct cow *c)
{
	struct cow_flush *f = &c->flush;

	if (f->err)
		return false;
	switch (f->phase) {
	case FLUSH_DATA:
		return data_synced(c);
	case FLUSH_MAP:
		return map_written(c);
	case FLUSH_MAP_SYNC:
	case FLUSH_IDLE:
		break;
	}
	return false;
}

static void refuse_waiting(struct cow *c)
{
	struct cow_slot *s = c->flush.wait, *next;

	c->flush.wait = NULL;
	for (; s; s = next) {
		next = s->next;
		cow_finish(s, -EIO);
	}
}

/* Continue as long as operations complete at once; no recursion. */
static void cow_flush_step(struct cow *c)
{
	struct cow_flush *f = &c->flush;

	f->stepping = true;
	do {
		f->ready = false;
		if (f->phase != FLUSH_IDLE && cow_flush_follow(c))
			continue;
		if (f->phase != FLUSH_IDLE)
			cow_flush_end(c, f->err);
		if (c->failed)
			refuse_waiting(c);
		if (f->wait) {
			f->err = 0;
			cow_flush_begin(c);
		}
	} while (f->ready);
	f->stepping = false;
}

void cow_flush_add(struct cow_slot *s)
{
	struct cow *c = s->cow;

	if (c->failed) {
		cow_finish(s, -EIO);
		return;
	}
	if (c->flags & COW_TEMPORARY) {
		cow_finish(s, 0);
		return;
	}
	s->next = c->flush.wait;
	c->flush.wait = s;
	if (c->flush.phase == FLUSH_IDLE && !c->flush.stepping)
		cow_flush_step(c);
}
