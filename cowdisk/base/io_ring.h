/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files under a disk, by io_uring.
 *
 * A read first tries what the kernel has in its cache (RWF_NOWAIT): a hit is
 * done at once and does not use the ring. The seccomp filter does not see what
 * a ring does. So the ring is restricted to reads, writes, flushes and hole
 * punching of its registered files before the worker gives up its privileges.
 * Where the kernel refuses a ring (seccomp, sysctl), requests are done at once
 * by system calls.
 *
 * Source: io_uring(7), io_uring_register(2) RESTRICTIONS; preadv2(2).
 */
#ifndef DISCO_COWDISK_IO_RING_H
#define DISCO_COWDISK_IO_RING_H

#include "cowdisk/base/io.h"

/**
 * io_ring_create() - take over open files
 * @fds:   indexed by enum io_file; -1 for a file that is not used
 * @depth: maximum number of requests under way at once, 1 .. 2048
 * @out:   release with io->ops->destroy(), which closes the files
 *
 * Return: 0; -ENOMEM. On error the files stay the caller's.
 */
MUST_CHECK int io_ring_create(const int fds[IO_ALL_FILES], unsigned depth,
			      struct io **out);

#endif
