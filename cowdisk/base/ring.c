/* SPDX-License-Identifier: BSD-2-Clause */
#include "cowdisk/base/ring.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int restrict_ring(struct ring *g, const uint8_t *ops, unsigned nr_ops,
			 bool fixed)
{
	struct io_uring_restriction r[RING_OPS_MAX + 2] = { 0 };
	unsigned n = 0;

	if (nr_ops > RING_OPS_MAX)
		return -EINVAL;
	for (; n < nr_ops; n++) {
		r[n].opcode = IORING_RESTRICTION_SQE_OP;
		r[n].sqe_op = ops[n];
	}
	r[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	r[n++].sqe_flags = fixed ? IOSQE_FIXED_FILE : 0;
	if (fixed) {
		r[n].opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED;
		r[n++].sqe_flags = IOSQE_FIXED_FILE;
	}
	return io_uring_register_restrictions(&g->ring, r, n);
}

int ring_open(struct ring *g, unsigned depth, const uint8_t *ops,
	      unsigned nr_ops, const int *files, unsigned nr_files)
{
	int err = io_uring_queue_init(depth, &g->ring, IORING_SETUP_R_DISABLED);

	if (err < 0)
		return err;
	g->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->event_fd < 0) {
		err = -errno;
		goto undo_ring;
	}
	if (files) {
		err = io_uring_register_files(&g->ring, files, nr_files);
		if (err)
			goto undo_event;
	}
	err = io_uring_register_eventfd(&g->ring, g->event_fd);
	if (err)
		goto undo_event;
	err = restrict_ring(g, ops, nr_ops, files != NULL);
	if (err)
		goto undo_event;
	err = io_uring_enable_rings(&g->ring);
	if (err)
		goto undo_event;
	return 0;
undo_event:
	(void)close(g->event_fd);
undo_ring:
	io_uring_queue_exit(&g->ring);
	return err;
}

void ring_close(struct ring *g)
{
	io_uring_queue_exit(&g->ring);
	(void)close(g->event_fd);
}

/*
 * Submit again if the kernel had no memory for a request (EAGAIN): if nothing
 * else is under way, nothing would ever submit an entry left in the ring.
 */
void ring_submit(struct ring *g)
{
	int n;

	while ((n = io_uring_submit(&g->ring)) < 0) {
		if (n == -EAGAIN || n == -EBUSY)
			(void)poll(NULL, 0, 1);
		else if (n != -EINTR)
			abort(); /* the ring is not one: our own mistake */
	}
}
