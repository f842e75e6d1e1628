/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/crash/crash_io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "disco/mix.h"
#include "tests/must.h"

struct crash_write {
	uint64_t offset, bytes;
	uint8_t *data; /* NULL: a hole */
};

uint64_t crash_rand(struct crash_random *r, uint64_t below)
{
	uint64_t z = mix_u64(r->state += MIX_STEP);

	return below ? z % below : z;
}

void crash_pattern(uint64_t sector, uint64_t v, uint8_t out[CRASH_SECTOR])
{
	uint64_t word[2] = { sector + 1, v };

	for (size_t at = 0; at < CRASH_SECTOR; at += sizeof(word))
		memcpy(out + at, word, sizeof(word));
}

static uint8_t *zeroes(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(p != MAP_FAILED);
	return p;
}

/* --- requests --- */

static uint64_t bytes_of(const struct io_req *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->nr_iov; i++)
		n += r->iov[i].iov_len;
	return r->op == IO_PUNCH ? r->bytes : n;
}

static void base_read(uint64_t offset, uint8_t *to, uint64_t bytes)
{
	uint8_t sector[CRASH_SECTOR];

	while (bytes) {
		uint64_t in = offset % CRASH_SECTOR;
		uint64_t part = min_u64(CRASH_SECTOR - in, bytes);

		crash_pattern(offset / CRASH_SECTOR, 0, sector);
		memcpy(to, sector + in, part);
		to += part;
		offset += part;
		bytes -= part;
	}
}

static void fetch(const struct io_req *r, const uint8_t *from)
{
	for (unsigned i = 0; i < r->nr_iov; i++) {
		memcpy(r->iov[i].iov_base, from, r->iov[i].iov_len);
		from += r->iov[i].iov_len;
	}
}

static void do_read(struct crash_io *c, struct io_req *r)
{
	uint64_t bytes = bytes_of(r);
	uint8_t *buf = malloc(bytes + 1);

	must(buf);
	must(range_fits(r->offset, bytes,
			r->file == IO_BASE ? c->layout.disk_bytes
					   : c->layout.file_bytes));
	if (r->file == IO_BASE)
		base_read(r->offset, buf, bytes);
	else
		memcpy(buf, c->now + r->offset, bytes);
	fetch(r, buf);
	free(buf);
}

static struct crash_write entry_of(const struct crash_io *c,
				   const struct io_req *r)
{
	struct crash_write w = { r->offset, bytes_of(r), NULL };
	uint64_t at = 0;

	must(r->file == IO_COW);
	must(range_fits(w.offset, w.bytes, c->layout.file_bytes));
	if (r->op == IO_PUNCH)
		return w;
	w.data = malloc(w.bytes + 1);
	must(w.data);
	for (unsigned i = 0; i < r->nr_iov; i++) {
		memcpy(w.data + at, r->iov[i].iov_base, r->iov[i].iov_len);
		at += r->iov[i].iov_len;
	}
	return w;
}

static void apply(uint8_t *to, const struct crash_write *w)
{
	if (w->data)
		memcpy(to + w->offset, w->data, w->bytes);
	else
		memset(to + w->offset, 0, w->bytes);
}

static void do_change(struct crash_io *c, struct io_req *r, bool half)
{
	struct crash_write w = entry_of(c, r);

	if (half)
		w.bytes = align_down(w.bytes / 2, CRASH_SECTOR);
	if (c->nr_log == c->max_log) {
		c->max_log = c->max_log * 2 + 64;
		c->log = realloc(c->log, c->max_log * sizeof(*c->log));
		must(c->log);
	}
	apply(c->now, &w);
	c->log[c->nr_log++] = w;
}

/*
 * The first @n entries are on disk, or (a failed sync) gone for good, though
 * they can be read until the machine stops.
 */
static void settle(struct crash_io *c, unsigned n, bool lost)
{
	for (unsigned i = 0; i < n; i++) {
		if (!lost)
			apply(c->disk, &c->log[i]);
		free(c->log[i].data);
	}
	memmove(c->log, c->log + n, (c->nr_log - n) * sizeof(*c->log));
	c->nr_log -= n;
	for (unsigned i = 0; i < c->nr_queue; i++)
		c->queue_log[i] -= (unsigned)min_u64(n, c->queue_log[i]);
}

static bool fits_fault(const struct crash_io *c, const struct io_req *r)
{
	if (c->fault == FAULT_SYNC)
		return r->op == IO_SYNC;
	if (c->fault == FAULT_EIO)
		return r->op != IO_SYNC;
	if (c->fault == FAULT_SHORT)
		return r->op == IO_WRITE;
	return r->op == IO_WRITE || r->op == IO_PUNCH;
}

/* Return: -errno of the fault that came; 0. */
static int try_fault(struct crash_io *c, struct io_req *r, unsigned covers)
{
	if (c->fault == FAULT_NONE || c->nr_faults ||
	    c->nr_done < c->fault_at || !fits_fault(c, r))
		return 0;
	c->nr_faults++;
	if (c->fault == FAULT_SYNC)
		settle(c, covers, true);
	if (c->fault == FAULT_SHORT)
		do_change(c, r, true);
	return c->fault == FAULT_EIO || c->fault == FAULT_SYNC ? -EIO : -ENOSPC;
}

static void do_one(struct crash_io *c, struct io_req *r, unsigned covers)
{
	int err;

	err = try_fault(c, r, covers);
	c->nr_done++;
	if (err) {
		r->done(r, err);
		return;
	}
	if (r->op == IO_READ)
		do_read(c, r);
	else if (r->op == IO_SYNC)
		settle(c, covers, false);
	else
		do_change(c, r, false);
	r->done(r, 0);
}

bool crash_io_one(struct crash_io *c)
{
	unsigned i = 0, covers;
	struct io_req *r;

	if (!c->nr_queue)
		return false;
	if (c->order == CRASH_NEWEST)
		i = c->nr_queue - 1;
	if (c->order == CRASH_ANY)
		i = (unsigned)crash_rand(&c->rand, c->nr_queue);
	r = c->queue[i];
	covers = c->queue_log[i];
	/* It stays queued while before() looks: it is under way. */
	if (r->op != IO_READ && c->before)
		c->before(c, c->arg);
	c->nr_queue--;
	memmove(&c->queue[i], &c->queue[i + 1],
		(c->nr_queue - i) * sizeof(c->queue[0]));
	memmove(&c->queue_log[i], &c->queue_log[i + 1],
		(c->nr_queue - i) * sizeof(c->queue_log[0]));
	do_one(c, r, covers);
	return true;
}

static void start(struct io *io, struct io_req *r, enum io_op op)
{
	struct crash_io *c = container_of(io, struct crash_io, io);

	r->op = op;
	if (c->at_once) {
		do_one(c, r, c->nr_log);
		return;
	}
	must(c->nr_queue < ARRAY_SIZE(c->queue));
	c->queue_log[c->nr_queue] = c->nr_log;
	c->queue[c->nr_queue++] = r;
}

static void c_read(struct io *io, struct io_req *r)
{
	start(io, r, IO_READ);
}

static void c_write(struct io *io, struct io_req *r)
{
	start(io, r, IO_WRITE);
}

static void c_sync(struct io *io, struct io_req *r)
{
	start(io, r, IO_SYNC);
}

static void c_punch(struct io *io, struct io_req *r)
{
	start(io, r, IO_PUNCH);
}

static void c_complete(struct io *io)
{
	(void)crash_io_one(container_of(io, struct crash_io, io));
}

static void c_destroy(struct io *io)
{
	(void)io;
}

static const struct block_ops crash_ops = { .read = c_read,
					    .write = c_write,
					    .sync = c_sync,
					    .punch = c_punch,
					    .complete = c_complete,
					    .destroy = c_destroy };

void crash_io_init(struct crash_io *c, const struct cow_layout *l,
		   enum crash_order order, uint64_t seed)
{
	memset(c, 0, sizeof(*c));
	c->io = (struct io){ .ops = &crash_ops, .event_fd = -1 };
	c->layout = *l;
	c->order = order;
	c->rand.state = seed;
	c->now = zeroes(l->file_bytes);
	c->disk = zeroes(l->file_bytes);
}

void crash_io_free(struct crash_io *c)
{
	settle(c, c->nr_log, true);
	free(c->log);
	(void)munmap(c->now, c->layout.file_bytes);
	(void)munmap(c->disk, c->layout.file_bytes);
}

/* --- after the crash --- */

#define VIEW_PAGE 4096u

static void v_read(struct io *io, struct io_req *r)
{
	struct crash_view *v = container_of(io, struct crash_view, io);
	uint64_t at = r->offset;

	if (r->file == IO_BASE) {
		uint64_t bytes;

		r->op = IO_READ;
		bytes = bytes_of(r);
		uint8_t *buf = malloc(bytes + 1);

		must(buf);
		base_read(at, buf, bytes);
		fetch(r, buf);
		free(buf);
	}
	for (unsigned i = 0; r->file == IO_COW && i < r->nr_iov; i++) {
		uint8_t *to = r->iov[i].iov_base;
		uint64_t left = r->iov[i].iov_len;

		while (left) {
			uint64_t in = at % VIEW_PAGE;
			uint64_t part = min_u64(left, VIEW_PAGE - in);
			const uint8_t *page = v->pages[at / VIEW_PAGE];

			memcpy(to, page ? page + in : v->of->disk + at, part);
			to += part;
			at += part;
			left -= part;
		}
	}
	r->done(r, 0);
}

static void v_none(struct io *io, struct io_req *r)
{
	(void)io;
	(void)r;
	abort(); /* nothing is written by whoever only opens and reads */
}

static const struct block_ops view_ops = { .read = v_read,
					   .write = v_none,
					   .sync = v_none,
					   .punch = v_none,
					   .complete = c_destroy,
					   .destroy = c_destroy };

void crash_view_init(struct crash_view *v, const struct crash_io *of)
{
	memset(v, 0, sizeof(*v));
	v->io = (struct io){ .ops = &view_ops, .event_fd = -1 };
	v->of = of;
	v->nr_pages = of->layout.file_bytes / VIEW_PAGE;
	v->pages = calloc(v->nr_pages, sizeof(*v->pages));
	v->touched = calloc(v->nr_pages, sizeof(*v->touched));
	must(v->pages && v->touched);
}

static void forget(struct crash_view *v)
{
	while (v->nr_touched) {
		uint64_t p = v->touched[--v->nr_touched];

		free(v->pages[p]);
		v->pages[p] = NULL;
	}
}

void crash_view_free(struct crash_view *v)
{
	forget(v);
	free(v->pages);
	free(v->touched);
}

static void put(struct crash_view *v, const struct crash_write *w, uint64_t at,
		uint64_t bytes)
{
	while (bytes) {
		uint64_t off = w->offset + at, p = off / VIEW_PAGE;
		uint64_t part = min_u64(bytes, VIEW_PAGE - off % VIEW_PAGE);

		if (!v->pages[p]) {
			v->pages[p] = malloc(VIEW_PAGE);
			must(v->pages[p]);
			memcpy(v->pages[p], v->of->disk + p * VIEW_PAGE,
			       VIEW_PAGE);
			v->touched[v->nr_touched++] = p;
		}
		if (w->data)
			memcpy(v->pages[p] + off % VIEW_PAGE, w->data + at,
			       part);
		else
			memset(v->pages[p] + off % VIEW_PAGE, 0, part);
		at += part;
		bytes -= part;
	}
}

static void cut_write(struct crash_view *v, const struct crash_write *w,
		      enum crash_fate fate, struct crash_random *r)
{
	bool map = w->offset < v->of->layout.data_offset;
	uint64_t unit = map ? 1 : CRASH_SECTOR;

	if (fate == CRASH_DROP || (fate == CRASH_TEAR && crash_rand(r, 3) == 0))
		return;
	if (fate == CRASH_KEEP || crash_rand(r, 2) == 0) {
		put(v, w, 0, w->bytes);
		return;
	}
	for (uint64_t at = 0; at < w->bytes; at += unit)
		if (crash_rand(r, 2))
			put(v, w, at, min_u64(unit, w->bytes - at));
}

void crash_view_cut(struct crash_view *v, enum crash_fate fate,
		    struct crash_random *r)
{
	const struct crash_io *c = v->of;

	forget(v);
	for (unsigned i = 0; i < c->nr_log; i++)
		cut_write(v, &c->log[i], fate, r);
	for (unsigned i = 0; i < c->nr_queue; i++) {
		struct crash_write w;

		if (c->queue[i]->op != IO_WRITE && c->queue[i]->op != IO_PUNCH)
			continue;
		w = entry_of(c, c->queue[i]);
		cut_write(v, &w, fate, r);
		free(w.data);
	}
}
