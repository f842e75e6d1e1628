/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An io_uring that can do little: the system call filter does not see what a
 * ring does, so what it may do is fixed before it is enabled, which is before
 * the process gives up its privileges.
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
 * ring_open() - a ring of these operations
 * @depth: requests under way at once, at most
 * @ops:   @nr_ops of enum io_uring_op, at most RING_OPS_MAX
 * @files: @nr_files that requests name by number (IOSQE_FIXED_FILE), and
 *         nothing else; NULL: they name any open descriptor instead
 *
 * Nothing can be registered with it any more.
 *
 * Return: 0; -errno of what was refused (seccomp, sysctl, an old kernel).
 */
MUST_CHECK int ring_open(struct ring *g, unsigned depth, const uint8_t *ops,
			 unsigned nr_ops, const int *files, unsigned nr_files);

/* Nothing is under way. */
void ring_close(struct ring *g);

/* Start what was prepared. */
void ring_submit(struct ring *g);

#endif
