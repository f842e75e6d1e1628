/* SPDX-License-Identifier: BSD-2-Clause */
#include "cowdisk/base/io_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cowdisk/base/ring.h"

struct io_ring {
	struct io io; /* event_fd -1: no ring, synchronous */
	struct ring ring;
	int fds[IO_ALL_FILES];
};

static struct io_ring *io_ring_from_io(struct io *io)
{
	return container_of(io, struct io_ring, io);
}

static int ring_start(struct io_ring *g, unsigned depth)
{
	static const uint8_t ops[] = { IORING_OP_READV, IORING_OP_WRITEV,
				       IORING_OP_FSYNC, IORING_OP_FALLOCATE };
	int err = ring_open(&g->ring, depth, ops, ARRAY_SIZE(ops), g->fds,
			    IO_ALL_FILES);

	if (!err)
		g->io.event_fd = g->ring.event_fd;
	return err;
}

static void io_ring_queue(struct io_ring *g, struct io_req *r)
{
	/* Never NULL: no more than @depth requests are under way. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&g->ring.ring);

	switch (r->op) {
	case IO_READ:
		io_uring_prep_readv(sqe, r->file, r->iov, r->nr_iov, r->offset);
		break;
	case IO_WRITE:
		io_uring_prep_writev(sqe, r->file, r->iov, r->nr_iov,
				     r->offset);
		break;
	case IO_SYNC:
		io_uring_prep_fsync(sqe, r->file, IORING_FSYNC_DATASYNC);
		break;
	case IO_PUNCH:
		io_uring_prep_fallocate(sqe, r->file,
					FALLOC_FL_PUNCH_HOLE |
						FALLOC_FL_KEEP_SIZE,
					(off_t)r->offset, (off_t)r->bytes);
		break;
	}
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, r);
	ring_submit(&g->ring);
}

static void io_ring_start(struct io_ring *g, struct io_req *r, enum io_op op)
{
	int more = 1;

	r->op = op;
	if (g->io.event_fd >= 0) {
		io_ring_queue(g, r);
		return;
	}
	while (more > 0)
		more = io_account(r, io_call(g->fds, r));
	r->done(r, more);
}

/*
 * Read from the kernel's cache without blocking (RWF_NOWAIT). Return: as
 * io_account(); -EAGAIN not all of it is cached.
 */
static int read_cached(struct io_ring *g, struct io_req *r)
{
	ssize_t n = preadv2(g->fds[r->file], r->iov, (int)r->nr_iov,
			    (off_t)r->offset, RWF_NOWAIT);

	return n > 0 ? io_account(r, (int)n) : -EAGAIN;
}

static void ring_read(struct io *io, struct io_req *r)
{
	r->op = IO_READ;
	if (io->event_fd >= 0 && r->file < IO_FILES &&
	    read_cached(io_ring_from_io(io), r) == 0)
		r->done(r, 0);
	else
		io_ring_start(io_ring_from_io(io), r, IO_READ);
}

static void ring_write(struct io *io, struct io_req *r)
{
	io_ring_start(io_ring_from_io(io), r, IO_WRITE);
}

static void ring_sync(struct io *io, struct io_req *r)
{
	io_ring_start(io_ring_from_io(io), r, IO_SYNC);
}

static void ring_punch(struct io *io, struct io_req *r)
{
	io_ring_start(io_ring_from_io(io), r, IO_PUNCH);
}

static uint64_t ring_ahead(struct io *io, enum io_file file, uint64_t offset,
			   uint64_t bytes, uint64_t run)
{
	if (run <= AHEAD_RUN)
		(void)posix_fadvise(io_ring_from_io(io)->fds[file],
				    (off_t)offset, (off_t)bytes,
				    POSIX_FADV_WILLNEED);
	return bytes;
}

/*
 * The event descriptor is read before the completions are: one that arrives in
 * between makes it readable again, and is at worst looked for in vain.
 */
static void ring_complete(struct io *io)
{
	struct io_ring *g = io_ring_from_io(io);
	struct io_uring_cqe *cqe;
	eventfd_t count;

	if (io->event_fd < 0 || eventfd_read(io->event_fd, &count) < 0)
		return;
	while (io_uring_peek_cqe(&g->ring.ring, &cqe) == 0) {
		struct io_req *r = io_uring_cqe_get_data(cqe);
		int more = io_account(r, cqe->res);

		io_uring_cqe_seen(&g->ring.ring, cqe);
		if (more > 0)
			io_ring_queue(g, r);
		else
			r->done(r, more);
	}
}

static void ring_destroy(struct io *io)
{
	struct io_ring *g = io_ring_from_io(io);

	if (io->event_fd >= 0)
		ring_close(&g->ring);
	for (unsigned i = 0; i < IO_ALL_FILES; i++)
		if (g->fds[i] >= 0)
			(void)close(g->fds[i]);
	free(g);
}

static const struct block_ops ring_ops = { .read = ring_read,
					   .write = ring_write,
					   .sync = ring_sync,
					   .punch = ring_punch,
					   .ahead = ring_ahead,
					   .complete = ring_complete,
					   .destroy = ring_destroy };

int io_ring_create(const int fds[IO_ALL_FILES], unsigned depth, struct io **out)
{
	struct io_ring *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->io = (struct io){ .ops = &ring_ops, .event_fd = -1 };
	memcpy(g->fds, fds, sizeof(g->fds));
	/* Refused (seccomp, sysctl, old kernel): synchronous from now on. */
	(void)ring_start(g, depth);
	*out = &g->io;
	return 0;
}
