/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Read-ahead for copy-on-write disks that are read sequentially.
 *
 * Data that is announced (block_ops.ahead) is read past the kernel's cache, by
 * O_DIRECT, into a buffer of this disk's own, and copied from there when it is
 * read:
 *
 *  - a guest has a cache of its own, so what it reads sequentially, once, needs
 *    no second copy in the host's cache;
 *  - the buffer is in huge pages, if the kernel gives some, so a device needs
 *    one segment per piece, whereas each page of the kernel's cache is a
 *    segment.
 *
 * Data that is in the kernel's cache (a guest's recent writes, blocks of a base
 * that other guests read) is read from there. A base that has other users is
 * left to the kernel (its descriptor for O_DIRECT is not given), or, for guests
 * of the monitor, to the buffer cache.
 *
 * The states of a piece (struct piece in io_stream.c):
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
 *     read began: ahead() gets no range that is being changed (io.h), and the
 *     start of a change makes the pieces that it touches STALE, or FREE.
 *  2. A piece includes everything that was written before its read began: a
 *     direct read first writes back what is dirty in the kernel's cache.
 *  3. A request that waits for a piece that becomes FREE without having been
 *     READY reads the file.
 *
 * Source: open(2), O_DIRECT; mincore(2).
 */
#ifndef DISCO_COWDISK_IO_STREAM_H
#define DISCO_COWDISK_IO_STREAM_H

#include "cowdisk/base/io.h"

#define STREAM_PIECE_BYTES KIB(64)
#define STREAM_PIECES	   64u
#define STREAM_RUN_MIN	   KIB(16) /* smaller runs would use all pieces up */
#define STREAM_JUMPS	   64u /* this many jumps in a row free the buffer */
#define STREAM_FILE_MAX	   (1ull << 40) /* bytes: files are mapped */

/**
 * io_stream_create() - put read-ahead in front of the files of a disk
 * @under: accepts STREAM_PIECES requests for the _DIRECT files in addition to
 *         all others; its completions wait (event_fd); owned after success
 * @fds:   indexed by enum io_file, owned by @under. IO_BASE, IO_COW: the files
 *         whose pages in the kernel's cache are looked up; -1: none. Others:
 *         -1: that file is not read ahead
 * @bytes: sizes of both files
 * @out:   release with io->ops->destroy()
 *
 * Return: 0; -ENOMEM; -EFBIG a file of more than STREAM_FILE_MAX; -errno of
 * mmap().
 */
MUST_CHECK int io_stream_create(struct io *under, const int fds[IO_ALL_FILES],
				const uint64_t bytes[IO_FILES],
				struct io **out);

#endif
