/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An io_uring with few rights. The seccomp filter does not see what a ring
 * does, so the ring's operations are fixed before it is enabled, which is
 * before the process gives up its privileges.
 *
 * Source: io_uring(7), io_uring_register(2) RESTRICTIONS.
 */
#ifndef DISCO_COWDISK_RING_H
#define DISCO_COWDISK_RING_H

#include <liburing.h>

#include "disco/base.h"

#define RING_OPS_MAX 8u

struct ring {
	struct io_uring ring;
	int event_fd; /* readable when completions wait */
};

/**
 * ring_open() - open a ring that is restricted to some operations
 * @depth: maximum number of requests under way at once
 * @ops:   @nr_ops values of enum io_uring_op, at most RING_OPS_MAX
 * @files: @nr_files files that requests name by number (IOSQE_FIXED_FILE), and
 *         no others; NULL: requests name any open descriptor instead
 *
 * No file or buffer can be registered with the ring later.
 *
 * Return: 0; -errno of what was refused (seccomp, sysctl, an old kernel).
 */
MUST_CHECK int ring_open(struct ring *g, unsigned depth, const uint8_t *ops,
			 unsigned nr_ops, const int *files, unsigned nr_files);

/* Close the ring. No request may be under way. */
void ring_close(struct ring *g);

/* Start the requests that were prepared. */
void ring_submit(struct ring *g);

#endif
