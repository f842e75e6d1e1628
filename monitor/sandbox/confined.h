/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child that takes hostile data apart for its parent: it has the descriptors
 * that it reads and writes, and nothing else.
 */
#ifndef DISCO_MONITOR_CONFINED_H
#define DISCO_MONITOR_CONFINED_H

#include "disco/base.h"

#define CONFINED_FDS_MAX 8u

/* 0: no bound but those that the parent has. */
struct confined_limits {
	uint64_t memory_bytes; /* private memory */
	uint64_t file_bytes;   /* of each file that it writes */
	uint64_t cpu_s;	       /* SIGXCPU */
};

/**
 * confined_enter() - give up everything but some descriptors; SANDBOX_READER
 * @fds: @nr, at most CONFINED_FDS_MAX; descriptor i becomes number i, -1 becomes
 *       a closed one. All others are closed
 *
 * The process dies with its parent. It keeps no capability, no file system
 * (Landlock, where the kernel has it), and the system calls of its class.
 *
 * Context: in a child, single-threaded. Return: 0; -errno: the child must end.
 */
MUST_CHECK int confined_enter(int *fds, unsigned nr,
			      const struct confined_limits *limits);

/* Write all to a descriptor. Return: 0; -errno. */
MUST_CHECK int confined_write(int fd, const void *data, size_t bytes);

#endif
