/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child that works on hostile data, and its parent, which waits for a reply of
 * a fixed size. See monitor/sandbox/confined.h for what the child gives up.
 */
#ifndef DISCO_BOOTDISK_CONFINED_CHILD_H
#define DISCO_BOOTDISK_CONFINED_CHILD_H

#include "disco/diag.h"
#include "monitor/sandbox/confined.h"

#define CONFINED_CHILD_FDS 4u

struct confined_job {
	struct confined_limits limits;
	uint64_t limit_ns; /* the child is killed after that */
	/*
	 * In the child, confined. Descriptor 1 + i is @fds[i]. What is mapped
	 * is mapped there, too.
	 */
	void (*work)(void *arg, void *reply);
	void *arg;
	const int *fds; /* @nr_fds, at most CONFINED_CHILD_FDS; -1: none */
	unsigned nr_fds;
	const char *what; /* that is read: "its boot files" */
};

/**
 * confined_child_run() - fork, work, wait
 * @reply: @bytes; as the child left them. What it had before, the child has
 * @d:     out on error: ST_BOOT the child was killed, or took too long; ST_HOST
 *
 * The child is dead when this returns. Return: 0 @reply is complete; -errno.
 */
MUST_CHECK int confined_child_run(const struct confined_job *job, void *reply,
				  size_t bytes, struct diag *d);

#endif
