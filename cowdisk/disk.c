/* SPDX-License-Identifier: BSD-2-Clause */
#include "cowdisk/disk.h"

#include <errno.h>
#include <liburing.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct disk {
	struct io_uring ring;
	int fd;
	int event_fd; /* -1: no ring, synchronous */
	bool read_only;
	unsigned depth, under_way;
};

/* Only these operations, only on registered file 0. Return: 0 or -errno. */
static int restrict_ring(struct io_uring *ring)
{
	static const uint8_t ops[] = { IORING_OP_READV, IORING_OP_WRITEV,
				       IORING_OP_FSYNC };
	struct io_uring_restriction r[ARRAY_SIZE(ops) + 2] = { 0 };
	unsigned n = 0;

	for (; n < ARRAY_SIZE(ops); n++) {
		r[n].opcode = IORING_RESTRICTION_SQE_OP;
		r[n].sqe_op = ops[n];
	}
	r[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	r[n++].sqe_flags = IOSQE_FIXED_FILE;
	r[n].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
	r[n++].sqe_flags = IOSQE_FIXED_FILE;
	return io_uring_register_restrictions(ring, r, n);
}

static int ring_start(struct disk *d)
{
	int err = io_uring_queue_init(d->depth, &d->ring,
				      IORING_SETUP_R_DISABLED);

	if (err < 0)
		return err;
	d->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->event_fd < 0) {
		err = -errno;
		goto undo_ring;
	}
	err = io_uring_register_files(&d->ring, &d->fd, 1);
	if (!err)
		err = io_uring_register_eventfd(&d->ring, d->event_fd);
	if (!err)
		err = restrict_ring(&d->ring);
	if (!err)
		err = io_uring_enable_rings(&d->ring);
	if (!err)
		return 0;
	(void)close(d->event_fd);
undo_ring:
	io_uring_queue_exit(&d->ring);
	d->event_fd = -1;
	return err;
}

int disk_open(int fd, bool read_only, unsigned depth, struct disk **out)
{
	struct disk *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->fd = fd;
	d->event_fd = -1;
	d->read_only = read_only;
	d->depth = depth;
	/* Refused (seccomp, sysctl, old kernel): synchronous from now on. */
	(void)ring_start(d);
	*out = d;
	return 0;
}

void disk_close(struct disk *d)
{
	if (!d)
		return;
	if (d->event_fd >= 0) {
		io_uring_queue_exit(&d->ring);
		(void)close(d->event_fd);
	}
	(void)close(d->fd);
	free(d);
}

int disk_event_fd(const struct disk *d)
{
	return d->event_fd;
}

bool disk_is_async(const struct disk *d)
{
	return d->event_fd >= 0;
}

/* Pass over @n bytes that were transferred. Return: true when none remain. */
static bool advance(struct disk_req *r, size_t n)
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

/* Return: 1 more to do; 0 complete; -errno. @res is a system call's result. */
static int account(struct disk_req *r, int res)
{
	if (res == -EINTR || res == -EAGAIN)
		return 1;
	if (res < 0)
		return res;
	if (r->op == DISK_FLUSH)
		return 0;
	if (res == 0)
		return -EIO; /* the file became shorter under us */
	return advance(r, (size_t)res) ? 0 : 1;
}

static int transfer(const struct disk *d, const struct disk_req *r)
{
	ssize_t n = 0;

	if (r->op == DISK_FLUSH)
		n = fdatasync(d->fd);
	else if (r->op == DISK_READ)
		n = preadv(d->fd, r->iov, (int)r->nr_iov, (off_t)r->offset);
	else
		n = pwritev(d->fd, r->iov, (int)r->nr_iov, (off_t)r->offset);
	return n < 0 ? -errno : (int)n;
}

static void run_now(struct disk *d, struct disk_req *r)
{
	int more;

	do
		more = account(r, transfer(d, r));
	while (more > 0);
	r->done(r, more);
}

/* No memory for a request (EAGAIN) passes; an entry left in the ring without
 * anything under way would wait for ever. */
static void submit(struct disk *d)
{
	int n;

	while ((n = io_uring_submit(&d->ring)) < 0) {
		if (n == -EAGAIN || n == -EBUSY)
			(void)poll(NULL, 0, 1);
		else if (n != -EINTR)
			abort(); /* the ring is not one: our own mistake */
	}
}

static void queue(struct disk *d, struct disk_req *r)
{
	/* There is room: under_way never exceeds the ring's size. */
	struct io_uring_sqe *sqe = io_uring_get_sqe(&d->ring);

	if (r->op == DISK_FLUSH)
		io_uring_prep_fsync(sqe, 0, IORING_FSYNC_DATASYNC);
	else if (r->op == DISK_READ)
		io_uring_prep_readv(sqe, 0, r->iov, r->nr_iov, r->offset);
	else
		io_uring_prep_writev(sqe, 0, r->iov, r->nr_iov, r->offset);
	sqe->flags |= IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, r);
	submit(d);
}

static bool sane(const struct disk_req *r)
{
	if (r->op == DISK_FLUSH)
		return true;
	return r->nr_iov > 0 && r->nr_iov <= IOV_MAX;
}

int disk_submit(struct disk *d, struct disk_req *r)
{
	if (!sane(r))
		return -EINVAL;
	if (r->op == DISK_WRITE && d->read_only)
		return -EROFS;
	if (d->event_fd < 0) {
		run_now(d, r);
		return 0;
	}
	if (d->under_way == d->depth)
		return -EAGAIN;
	d->under_way++;
	queue(d, r);
	return 0;
}

void disk_complete(struct disk *d)
{
	struct io_uring_cqe *cqe;
	uint64_t count;

	if (d->event_fd < 0 || read(d->event_fd, &count, sizeof(count)) < 0)
		return;
	while (io_uring_peek_cqe(&d->ring, &cqe) == 0) {
		struct disk_req *r = io_uring_cqe_get_data(cqe);
		int more = account(r, cqe->res);

		io_uring_cqe_seen(&d->ring, cqe);
		if (more > 0) {
			queue(d, r);
			continue;
		}
		d->under_way--;
		r->done(r, more);
	}
}
