/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files of a disk, behind its cache. A read proceeds from front to back, by
 * whole runs:
 *
 *	present		shown or copied, at once
 *	absent		requested from the agent, then looked up again
 *	otherwise	this block and all after it are read from the file
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cowdisk/cache/cache_internal.h"

static struct cache_io *cache_io_from_io(struct io *io)
{
	return container_of(io, struct cache_io, io);
}

static uint64_t bytes_left(const struct io_req *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->nr_iov; i++)
		n += r->iov[i].iov_len;
	return n;
}

/* Number of blocks that [@at, @at + @bytes) touches; @bytes is not 0. */
static uint64_t blocks_of(uint64_t at, uint64_t bytes)
{
	return (at + bytes - 1) / PAGE_BYTES - at / PAGE_BYTES + 1;
}

/* --- guest memory --- */

static bool cache_io_whole_pages(const void *to, uint64_t offset,
				 uint64_t bytes)
{
	return ((uintptr_t)to | offset) % PAGE_BYTES == 0 &&
	       bytes >= PAGE_BYTES;
}

/* Prepare guest memory for a request that comes from the file as a whole. */
static void overwrite_all(const struct cache_io *f, const struct io_req *r)
{
	for (unsigned i = 0; f->c->pm && i < r->nr_iov; i++)
		pmap_overwrite(f->c->pm, r->iov[i].iov_base, r->iov[i].iov_len);
}

/*
 * Prepare the pieces that will be copied, because they are not aligned. Whole
 * pieces, since their pages may straddle two blocks.
 */
static void overwrite_unaligned(const struct cache_io *f,
				const struct io_req *r)
{
	uint64_t at = r->offset;

	for (unsigned i = 0; f->c->pm && i < r->nr_iov; i++) {
		const struct iovec *v = &r->iov[i];

		if (!cache_io_whole_pages(v->iov_base, at, v->iov_len))
			pmap_overwrite(f->c->pm, v->iov_base, v->iov_len);
		at += v->iov_len;
	}
}

/* Return: number of pages shown; the pmap has their uses now. */
static uint64_t cache_io_show(struct cache_io *f, struct cache_source *s,
			      void *to, uint64_t offset, uint64_t bytes)
{
	uint64_t nr = bytes / PAGE_BYTES;

	if (!s->id || nr < f->c->run_min ||
	    !cache_io_whole_pages(to, offset, bytes) ||
	    pmap_show(f->c->pm, to, nr, s->id, offset / PAGE_BYTES))
		return 0;
	f->c->stats.overlaid_blocks += nr;
	return nr;
}

static void cache_io_copy(struct cache_io *f, const struct cache_source *s,
			  void *to, uint64_t offset, size_t bytes)
{
	if (f->c->pm && cache_io_whole_pages(to, offset, bytes))
		pmap_overwrite(f->c->pm, to, bytes);
	memcpy(to, (const uint8_t *)s->memory.base + offset, bytes);
}

/* --- hits --- */

/* Deliver the next @bytes of @r from @nr blocks that are taken. */
static void cache_io_deliver(struct cache_io *f, struct cache_source *s,
			     struct io_req *r, unsigned nr, uint64_t bytes)
{
	uint64_t ours = r->offset / PAGE_BYTES, end = ours + nr;

	while (bytes) {
		struct iovec *v = &r->iov[0];
		size_t part = min_u64(bytes, v->iov_len);
		uint64_t shown =
			cache_io_show(f, s, v->iov_base, r->offset, part);

		if (shown) {
			part = shown * PAGE_BYTES;
			source_put(s, ours,
				   (unsigned)(r->offset / PAGE_BYTES - ours));
			ours = r->offset / PAGE_BYTES + shown;
		} else {
			cache_io_copy(f, s, v->iov_base, r->offset, part);
		}
		bytes -= part;
		if (part)
			(void)io_account(r, (int)part);
		else
			r->iov++, r->nr_iov--; /* an empty piece */
	}
	source_put(s, ours, (unsigned)(end - ours));
}

/* Deliver present blocks. Return: bytes still missing, from r->offset on. */
static uint64_t take_hits(struct cache_io *f, struct io_req *r)
{
	uint64_t left = bytes_left(r), bytes, nr;
	struct cache_source *s;
	unsigned n;

	while (left) {
		nr = min_u64(blocks_of(r->offset, left), LEASE_RUN_MAX);
		n = cache_take(f->c, f->q.disk, r->offset / PAGE_BYTES,
			       (unsigned)nr, &s);
		if (!n)
			break;
		bytes = (r->offset / PAGE_BYTES + n) * PAGE_BYTES - r->offset;
		bytes = min_u64(bytes, left);
		cache_io_deliver(f, s, r, n, bytes);
		left -= bytes;
	}
	return left;
}

/* --- misses --- */

static void cache_io_read_file(struct cache_io *f, struct io_req *r)
{
	uint64_t left = bytes_left(r);

	if (left)
		f->c->stats.direct_blocks += blocks_of(r->offset, left);
	overwrite_all(f, r);
	f->under->ops->read(f->under, r);
}

/* Return: true: the agent was asked, *@w waits. */
static bool cache_io_ask(struct cache_io *f, struct cache_wait **w,
			 struct io_req *r, uint64_t left)
{
	uint64_t first = r->offset / PAGE_BYTES;
	uint64_t nr = min_u64(blocks_of(r->offset, left), CACHE_FILL_MAX);

	if (!cache_can_ask(f->c, f->q.disk))
		return false;
	if (!*w)
		*w = link_wait_get(f->c, &f->q, r);
	if (!*w || (*w)->last || (*w)->rounds == CACHE_ROUNDS)
		return false;
	(*w)->rounds++;
	nr = cache_absent(f->c, f->q.disk, first, (unsigned)nr);
	return link_ask(f->c, *w, first, (unsigned)max_u64(nr, 1));
}

/*
 * Continue a read until it has to wait. @w: its wait; NULL: it did not wait
 * yet. Each gain of a block resets the number of rounds, so that a read ends:
 * after CACHE_ROUNDS requests without a gain, cache_io_ask() refuses and the
 * file is read.
 */
static void cache_io_go_on(struct cache_io *f, struct cache_wait *w,
			   struct io_req *r)
{
	uint64_t before = r->offset, left;

	if (w && w->direct) {
		link_wait_put(f->c, w);
		cache_io_read_file(f, r);
		return;
	}
	left = take_hits(f, r);
	if (w && r->offset != before)
		w->rounds = 0;
	if (left && cache_io_ask(f, &w, r, left))
		return;
	if (w)
		link_wait_put(f->c, w);
	if (left)
		cache_io_read_file(f, r);
	else
		r->done(r, 0);
}

/* --- the operations --- */

static void cache_io_read(struct io *io, struct io_req *r)
{
	struct cache_io *f = cache_io_from_io(io);
	uint64_t bytes = bytes_left(r);

	r->op = IO_READ;
	if (r->file != IO_BASE) {
		overwrite_all(f, r);
		f->under->ops->read(f->under, r);
	} else if (!f->c->disks[f->q.disk] || bytes == 0 ||
		   !range_fits(r->offset, bytes, f->c->bytes[f->q.disk])) {
		cache_io_read_file(f, r);
	} else {
		cache_reap(f->c);
		overwrite_unaligned(f, r);
		cache_io_go_on(f, NULL, r);
	}
}

static void cache_io_write(struct io *io, struct io_req *r)
{
	struct io *under = cache_io_from_io(io)->under;

	under->ops->write(under, r);
}

static void cache_io_sync(struct io *io, struct io_req *r)
{
	struct io *under = cache_io_from_io(io)->under;

	under->ops->sync(under, r);
}

static void cache_io_punch(struct io *io, struct io_req *r)
{
	struct io *under = cache_io_from_io(io)->under;

	under->ops->punch(under, r);
}

/* Request blocks that no node has. Return: false: the agent takes no more. */
static bool cache_io_ask_ahead(struct cache_io *f, uint64_t first, uint64_t nr)
{
	while (nr) {
		unsigned most = (unsigned)min_u64(nr, CACHE_FILL_MAX);
		unsigned n = cache_absent(f->c, f->q.disk, first, most);

		if (n && !link_ahead(f->c, f->q.disk, first, n))
			return false;
		n = n ? n : 1;
		first += n;
		nr -= n;
	}
	return true;
}

static uint64_t cache_io_ahead(struct io *io, enum io_file file,
			       uint64_t offset, uint64_t bytes, uint64_t run)
{
	struct cache_io *f = cache_io_from_io(io);

	if (file == IO_BASE && bytes && cache_can_ask(f->c, f->q.disk) &&
	    range_fits(offset, bytes, f->c->bytes[f->q.disk]) &&
	    cache_io_ask_ahead(f, offset / PAGE_BYTES,
			       blocks_of(offset, bytes)))
		return bytes;
	if (f->under->ops->ahead)
		return f->under->ops->ahead(f->under, file, offset, bytes, run);
	return bytes;
}

static void cache_io_ahead_end(struct io *io)
{
	struct io *under = cache_io_from_io(io)->under;

	if (under->ops->ahead_end)
		under->ops->ahead_end(under);
}

static void cache_io_hurry(struct io *io)
{
	struct cache_io *f = cache_io_from_io(io);

	link_give_up(f->c, &f->q);
	if (f->under->ops->hurry)
		f->under->ops->hurry(f->under);
}

static void cache_io_complete(struct io *io)
{
	struct cache_io *f = cache_io_from_io(io);
	struct cache_wait *w;
	eventfd_t count;

	if (f->own_event)
		(void)eventfd_read(io->event_fd, &count);
	f->under->ops->complete(f->under); /* reads it, when it is its own */
	while ((w = link_wait_next(&f->q)))
		cache_io_go_on(f, w, w->what);
}

static void cache_io_destroy(struct io *io)
{
	struct cache_io *f = cache_io_from_io(io);

	if (f->own_event)
		(void)close(io->event_fd);
	f->under->ops->destroy(f->under);
	free(f);
}

static const struct block_ops cache_ops = { .read = cache_io_read,
					    .write = cache_io_write,
					    .sync = cache_io_sync,
					    .punch = cache_io_punch,
					    .ahead = cache_io_ahead,
					    .ahead_end = cache_io_ahead_end,
					    .hurry = cache_io_hurry,
					    .complete = cache_io_complete,
					    .destroy = cache_io_destroy };

int cache_io(struct cache *c, unsigned disk, struct io *under, struct io **out)
{
	struct cache_io *f;

	if (disk >= VM_MAX_DISKS)
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->c = c;
	f->q.disk = disk;
	STAILQ_INIT(&f->q.ready);
	f->under = under;
	f->io = (struct io){ .ops = &cache_ops, .event_fd = under->event_fd };
	if (under->event_fd < 0) {
		f->own_event = true;
		f->io.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (f->io.event_fd < 0) {
			int err = -errno;

			free(f);
			return err;
		}
	}
	f->q.event_fd = f->io.event_fd;
	*out = &f->io;
	return 0;
}
