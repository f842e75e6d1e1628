/* SPDX-License-Identifier: BSD-2-Clause */
#include "cowdisk/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "cowdisk/ring.h"

struct file_fetcher {
	struct fetcher fetcher; /* event_fd -1: there is no ring */
	struct ring ring;
};

static struct file_fetcher *from_fetcher(struct fetcher *r)
{
	return container_of(r, struct file_fetcher, fetcher);
}

static void read_now(struct fetch_job *job)
{
	ssize_t n = pread(job->fd, job->to, job->bytes, (off_t)job->offset);

	job->result = n < 0 ? -errno : (int)n;
	if (n > 0 && !job->direct)
		(void)posix_fadvise(job->fd, (off_t)job->offset, n,
				    POSIX_FADV_DONTNEED);
}

/* There is room: users never have more than @depth under way. */
static bool file_start(struct fetcher *r, struct fetch_job *job)
{
	struct file_fetcher *f = from_fetcher(r);
	struct io_uring_sqe *sqe;

	if (r->event_fd < 0 || !job->direct) {
		read_now(job);
		return false;
	}
	sqe = io_uring_get_sqe(&f->ring.ring);
	io_uring_prep_read(sqe, job->fd, job->to, (unsigned)job->bytes,
			   job->offset);
	io_uring_sqe_set_data(sqe, job);
	ring_submit(&f->ring);
	return true;
}

static struct fetch_job *file_ended(struct fetcher *r, bool wait)
{
	struct file_fetcher *f = from_fetcher(r);
	struct io_uring_cqe *cqe = NULL;
	struct fetch_job *job;
	int err;

	if (r->event_fd < 0)
		return NULL;
	do
		err = wait ? io_uring_wait_cqe(&f->ring.ring, &cqe)
			   : io_uring_peek_cqe(&f->ring.ring, &cqe);
	while (err == -EINTR);
	if (err)
		return NULL;
	job = io_uring_cqe_get_data(cqe);
	job->result = cqe->res;
	io_uring_cqe_seen(&f->ring.ring, cqe);
	return job;
}

static void file_destroy(struct fetcher *r)
{
	if (r->event_fd >= 0)
		ring_close(&from_fetcher(r)->ring);
	free(from_fetcher(r));
}

static const struct fetch_ops file_ops = { .start = file_start,
					   .ended = file_ended,
					   .destroy = file_destroy };

/*
 * The ring reads, and nothing else; of any descriptor, as the process that has
 * it may read those with pread(2) anyway: registering each image would need
 * io_uring_register(2) in the sandbox, and gain nothing.
 */
int fetcher_create(unsigned depth, struct fetcher **out)
{
	static const uint8_t ops[] = { IORING_OP_READ };
	struct file_fetcher *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->fetcher = (struct fetcher){ .ops = &file_ops, .event_fd = -1 };
	if (ring_open(&f->ring, depth, ops, ARRAY_SIZE(ops), NULL, 0) == 0)
		f->fetcher.event_fd = f->ring.event_fd;
	*out = &f->fetcher;
	return 0;
}
