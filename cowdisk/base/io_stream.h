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
 * read of a base) is left to be read from there. A base that others use too is
 * left to the kernel (its descriptor for O_DIRECT is not given), or, for guests
 * of the monitor, to the buffer cache.
 *
 * A piece (struct piece in io_stream.c):
 *
 *	FREE --ahead--> READING --read--> READY --read to its end--> FREE
 *			 |    |             |
 *		write, jump   failed	  write, jump, passed by
 *			 v    v             v
 *		     STALE  FREE           FREE
 *		       |
 *		       +--read, or failed--> FREE
 *
 * INVARIANTS
 *  1. No byte of a READING or READY piece was written, or punched, since its
 *     read began: ahead() is told of nothing that is being changed (io.h), and
 *     a change that starts makes the pieces it touches STALE, or FREE.
 *  2. What was written before the read began is in it: a direct read writes
 *     what is dirty in the kernel's cache back first.
 *  3. Who waits for a piece that becomes FREE without having been READY reads
 *     the file.
 *
 * Source: open(2), O_DIRECT; mincore(2).
 */
#ifndef DISCO_COWDISK_IO_STREAM_H
#define DISCO_COWDISK_IO_STREAM_H

#include "cowdisk/base/io.h"

#define STREAM_PIECE_BYTES KIB(64)
#define STREAM_PIECES	   64u
#define STREAM_RUN_MIN	   KIB(16) /* smaller ones would use all pieces up */
#define STREAM_JUMPS	   64u	   /* without a row: the buffer goes back */
#define STREAM_FILE_MAX	   (1ull << 40) /* bytes: files are mapped */

/**
 * io_stream_create() - in front of the files of a disk
 * @under: takes STREAM_PIECES requests for the _DIRECT files beside all others;
 *         its completions wait (event_fd); owned from success on
 * @fds:   by enum io_file, owned by @under. IO_BASE, IO_COW: what the kernel
 *         has of them in its cache is looked up; -1: nothing. Others: -1: none
 *         of that file is read here
 * @bytes: of both
 * @out:   release with io->ops->destroy()
 *
 * Return: 0; -ENOMEM; -EFBIG a file of more than STREAM_FILE_MAX; -errno of
 * mmap().
 */
MUST_CHECK int io_stream_create(struct io *under, const int fds[IO_ALL_FILES],
				const uint64_t bytes[IO_FILES],
				struct io **out);

#endif
