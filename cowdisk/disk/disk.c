/* SPDX-License-Identifier: BSD-2-Clause */
#include "cowdisk/disk/disk_internal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cowdisk/disk/cow.h"
#include "cowdisk/base/io_ring.h"
#include "cowdisk/base/io_stream.h"

/* A request on a raw file. */
struct raw_req {
	struct io_req io;
	struct disk *disk;
	struct disk_req *r;
	struct raw_req *next_free;
};

static int make_raw(struct disk *d, unsigned depth)
{
	d->raw = calloc(depth, sizeof(*d->raw));
	if (!d->raw)
		return -ENOMEM;
	for (unsigned i = 0; i < depth; i++) {
		d->raw[i].disk = d;
		d->raw[i].next_free = d->free;
		d->free = &d->raw[i];
	}
	return 0;
}

int disk_open(int fd, bool read_only, unsigned depth, struct disk **out)
{
	const int fds[IO_ALL_FILES] = { fd, -1, -1, -1 };
	struct disk *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->read_only = read_only;
	err = make_raw(d, depth);
	if (!err)
		err = io_ring_create(fds, depth, &d->io);
	if (err) {
		free(d->raw);
		free(d);
		return err;
	}
	*out = d;
	return 0;
}

/*
 * Put read-ahead in front of the files, if their reads complete later: with
 * reads that block nothing can be read ahead. Without read-ahead the disk works
 * as well, so errors are ignored.
 */
static void use_stream(struct disk *d, const int fds[DISK_COW_FDS],
		       uint64_t cow_bytes)
{
	const uint64_t bytes[] = { cow_layout(d->cow)->disk_bytes, cow_bytes };
	struct io *stream;

	if (fds[DISK_COW_DIRECT] >= 0 && d->io->event_fd >= 0 &&
	    io_stream_create(d->io, fds, bytes, &stream) == 0)
		d->io = stream;
}

_Static_assert((int)DISK_BASE == (int)IO_BASE && (int)DISK_COW == (int)IO_COW &&
		       (int)DISK_BASE_DIRECT == (int)IO_BASE_DIRECT &&
		       (int)DISK_COW_DIRECT == (int)IO_COW_DIRECT,
	       "the same numbers");

int disk_open_cow(const int fds[DISK_COW_FDS], bool temporary, unsigned depth,
		  struct disk **out, const char **why)
{
	struct disk *d = calloc(1, sizeof(*d));
	struct io_fd files;
	struct stat st;
	int err = 0;

	*why = "out of memory";
	if (!d)
		return -ENOMEM;
	d->temporary = temporary;
	*why = "cannot be read";
	if (fstat(fds[DISK_COW], &st) < 0)
		err = -errno;
	/* Read by plain calls: what fails now leaves the files open. */
	io_fd_init(&files, fds[DISK_BASE], fds[DISK_COW]);
	if (!err)
		err = cow_open(&files.io, (uint64_t)st.st_size, depth,
			       temporary ? COW_TEMPORARY : 0, &d->cow, why);
	/* One more than requests: the flush works for all of them. */
	if (!err)
		err = io_ring_create(fds, depth + 1 + STREAM_PIECES, &d->io);
	if (err) {
		cow_close(d->cow);
		free(d);
		return err;
	}
	use_stream(d, fds, (uint64_t)st.st_size);
	cow_set_io(d->cow, d->io);
	*out = d;
	return 0;
}

void disk_close(struct disk *d)
{
	if (!d)
		return;
	d->io->ops->destroy(d->io);
	cow_close(d->cow);
	free(d->raw);
	free(d);
}

const struct cow *disk_cow(const struct disk *d)
{
	return d->cow;
}

int disk_event_fd(const struct disk *d)
{
	return d->io->event_fd;
}

bool disk_is_async(const struct disk *d)
{
	return d->io->event_fd >= 0;
}

bool disk_can_zero(const struct disk *d)
{
	return d->cow;
}

static void raw_done(struct io_req *io, int err)
{
	struct raw_req *q = container_of(io, struct raw_req, io);
	struct disk_req *r = q->r;

	q->next_free = q->disk->free;
	q->disk->free = q;
	r->done(r, err);
}

static int raw_submit(struct disk *d, struct disk_req *r)
{
	const struct block_ops *ops = d->io->ops;
	struct raw_req *q = d->free;

	if (r->op == DISK_DISCARD || r->op == DISK_WRITE_ZEROES)
		return -EOPNOTSUPP;
	if (!q)
		return -EAGAIN;
	d->free = q->next_free;
	q->r = r;
	q->io = (struct io_req){ .file = IO_BASE,
				 .offset = r->offset,
				 .iov = r->iov,
				 .nr_iov = r->nr_iov,
				 .done = raw_done };
	if (r->op == DISK_FLUSH)
		ops->sync(d->io, &q->io);
	else if (r->op == DISK_READ)
		ops->read(d->io, &q->io);
	else
		ops->write(d->io, &q->io);
	return 0;
}

static bool disk_req_sane(const struct disk_req *r)
{
	if (r->op == DISK_FLUSH)
		return true;
	if (r->op == DISK_DISCARD || r->op == DISK_WRITE_ZEROES)
		return r->bytes > 0;
	return r->nr_iov > 0 && r->nr_iov <= IOV_MAX;
}

int disk_submit(struct disk *d, struct disk_req *r)
{
	if (!disk_req_sane(r))
		return -EINVAL;
	if (d->read_only && r->op != DISK_READ && r->op != DISK_FLUSH)
		return -EROFS;
	return d->cow ? cow_submit(d->cow, r) : raw_submit(d, r);
}

void disk_hurry(struct disk *d)
{
	if (d->io->ops->hurry)
		d->io->ops->hurry(d->io);
}

void disk_complete(struct disk *d)
{
	d->io->ops->complete(d->io);
}

struct settle {
	struct disk_req r;
	bool done;
	int err;
};

static void disk_settled(struct disk_req *r, int err)
{
	struct settle *s = container_of(r, struct settle, r);

	s->done = true;
	s->err = err;
}

/* Wait for the next completion, at most for a second. */
static void wait_one(struct disk *d)
{
	struct pollfd p = { .fd = d->io->event_fd, .events = POLLIN };

	disk_hurry(d);
	if (p.fd >= 0)
		(void)poll(&p, 1, 1000);
	disk_complete(d);
}

int disk_settle(struct disk *d)
{
	struct settle s = { .r = { .op = DISK_FLUSH, .done = disk_settled } };

	if (!d->cow || d->temporary)
		return 0;
	while (cow_is_busy(d->cow))
		wait_one(d);
	if (cow_submit(d->cow, &s.r))
		return -EBUSY;
	while (!s.done)
		wait_one(d);
	return s.err;
}
