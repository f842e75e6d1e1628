/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copy-on-write disks that are read from front to back.
 *
 * What is asked for ahead (block_ops.ahead) is read past the kernel's cache, by
 * O_DIRECT, into a buffer of this disk's own, and copied from there when it is
 * read:
 *
 *  - a guest has a cache of its own: what it reads in a row, once, needs no
 *    second copy of the host's;
 *  - the buffer is of huge pages, where the kernel gives some, so a device
 *    needs one segment a piece, where pages of its cache are a segment each.
 *
 * What the kernel has in its cache (a guest's late writes, what other guests
 * read of a base) is left to be read from there. Guests of the monitor have
 * their base from the buffer cache, and only their COW file from here.
 *
 * A piece (struct piece in io_stream.c):
 *
 *	FREE --ahead--> READING --read--> READY --read to its end--> FREE
 *			   |                |
 *			 write            write, jump, passed by
 *			   v                v
 *			 STALE --read--->  FREE
 *
 * INVARIANTS
 *  1. No byte of a READING or READY piece was written, or punched, since its
 *     read began: ahead() is told of nothing that is being changed (io.h), and
 *     a change that starts makes the pieces it touches STALE, or FREE.
 *  2. What was written before the read began is in it: a direct read writes
 *     what is dirty in the kernel's cache back first.
 *  3. A piece that fails is FREE: who waited for it reads the file.
 *
 * Source: open(2), O_DIRECT; mincore(2).
 */
#ifndef DISCO_COWDISK_IO_STREAM_H
#define DISCO_COWDISK_IO_STREAM_H

#include "cowdisk/io.h"

#define STREAM_PIECE_BYTES KIB(64)
#define STREAM_PIECES	   64u
/* Longer runs are the kernel's: it reads ahead in large folios there. */
#define STREAM_RUN_MAX MIB(1)

/**
 * io_stream_create() - in front of the files of a disk
 * @under: takes requests for IO_BASE_DIRECT and IO_COW_DIRECT, STREAM_PIECES of
 *         them beside all others; its completions wait (event_fd); owned from
 *         success on
 * @fds:   IO_BASE, IO_COW, which @under owns: what the kernel has of them in
 *         its cache is looked up; -1: nothing
 * @bytes: of both
 * @out:   release with io->ops->destroy()
 *
 * Return: 0; -ENOMEM; -errno of mmap().
 */
MUST_CHECK int io_stream_create(struct io *under, const int fds[IO_FILES],
				const uint64_t bytes[IO_FILES],
				struct io **out);

#endif
