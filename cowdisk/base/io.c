/* SPDX-License-Identifier: BSD-2-Clause */
#include "cowdisk/base/io.h"

#include <poll.h>

struct waiter {
	struct io_req *r;
	bool done;
	int err;
};

/* Only one io_wait() is active at a time, see io.h. */
static _Thread_local struct waiter *waiting;

static void io_woken(struct io_req *r, int err)
{
	if (waiting && waiting->r == r) {
		waiting->done = true;
		waiting->err = err;
	}
}

int io_wait(struct io *io, void (*start)(struct io *io, struct io_req *r),
	    struct io_req *r)
{
	struct waiter w = { .r = r }, *outer = waiting;
	struct pollfd p = { .fd = io->event_fd, .events = POLLIN };

	waiting = &w;
	r->done = io_woken;
	start(io, r);
	while (!w.done) {
		if (io->event_fd >= 0)
			(void)poll(&p, 1, -1);
		io->ops->complete(io);
	}
	waiting = outer;
	return w.err;
}

int io_read_now(struct io *io, enum io_file file, uint64_t offset, void *buf,
		size_t bytes)
{
	struct iovec v = { buf, bytes };
	struct io_req r = {
		.file = file, .offset = offset, .iov = &v, .nr_iov = 1
	};

	return io_wait(io, io->ops->read, &r);
}

int io_write_now(struct io *io, enum io_file file, uint64_t offset,
		 const void *buf, size_t bytes)
{
	struct iovec v = { (void *)(uintptr_t)buf, bytes };
	struct io_req r = {
		.file = file, .offset = offset, .iov = &v, .nr_iov = 1
	};

	return io_wait(io, io->ops->write, &r);
}

int io_sync_now(struct io *io, enum io_file file)
{
	struct io_req r = { .file = file };

	return io_wait(io, io->ops->sync, &r);
}

int io_punch_now(struct io *io, enum io_file file, uint64_t offset,
		 uint64_t bytes)
{
	struct io_req r = { .file = file, .offset = offset, .bytes = bytes };

	return io_wait(io, io->ops->punch, &r);
}
