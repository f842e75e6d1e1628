/* SPDX-License-Identifier: BSD-2-Clause */
/* Real files, by plain system calls: each request is done when it returns. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cowdisk/base/io.h"

/* Skip @n bytes that were transferred. Return: true: none remain. */
static bool io_fd_advance(struct io_req *r, size_t n)
{
	r->offset += n;
	while (r->nr_iov && n >= r->iov[0].iov_len) {
		n -= r->iov[0].iov_len;
		r->iov++;
		r->nr_iov--;
	}
	if (!r->nr_iov)
		return true;
	r->iov[0].iov_base = (char *)r->iov[0].iov_base + n;
	r->iov[0].iov_len -= n;
	return false;
}

int io_account(struct io_req *r, int res)
{
	if (res == -EINTR || res == -EAGAIN)
		return 1;
	if (res < 0)
		return res;
	if (r->op == IO_SYNC || r->op == IO_PUNCH)
		return 0;
	if (res == 0)
		return -EIO; /* the file became shorter under us */
	return io_fd_advance(r, (size_t)res) ? 0 : 1;
}

int io_call(const int fds[IO_FILES], const struct io_req *r)
{
	int fd = fds[r->file];
	ssize_t n = 0;

	switch (r->op) {
	case IO_READ:
		n = preadv(fd, r->iov, (int)r->nr_iov, (off_t)r->offset);
		break;
	case IO_WRITE:
		n = pwritev(fd, r->iov, (int)r->nr_iov, (off_t)r->offset);
		break;
	case IO_SYNC:
		n = fdatasync(fd);
		break;
	case IO_PUNCH:
		n = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)r->offset, (off_t)r->bytes);
		break;
	}
	return n < 0 ? -errno : (int)n;
}

static void io_fd_run(struct io *io, struct io_req *r, enum io_op op)
{
	const struct io_fd *f = container_of(io, struct io_fd, io);
	int more;

	r->op = op;
	do
		more = io_account(r, io_call(f->fds, r));
	while (more > 0);
	r->done(r, more);
}

static void fd_read(struct io *io, struct io_req *r)
{
	io_fd_run(io, r, IO_READ);
}

static void fd_write(struct io *io, struct io_req *r)
{
	io_fd_run(io, r, IO_WRITE);
}

static void fd_sync(struct io *io, struct io_req *r)
{
	io_fd_run(io, r, IO_SYNC);
}

static void fd_punch(struct io *io, struct io_req *r)
{
	io_fd_run(io, r, IO_PUNCH);
}

static void fd_nothing(struct io *io)
{
	(void)io;
}

static const struct block_ops fd_ops = { .read = fd_read,
					 .write = fd_write,
					 .sync = fd_sync,
					 .punch = fd_punch,
					 .complete = fd_nothing,
					 .destroy = fd_nothing };

void io_fd_init(struct io_fd *f, int base_fd, int cow_fd)
{
	*f = (struct io_fd){ .io = { .ops = &fd_ops, .event_fd = -1 },
			     .fds = { base_fd, cow_fd } };
}
