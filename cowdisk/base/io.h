/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files under a disk, as four operations that complete later. Everything
 * cowdisk does to a file goes through this table, so that a test can put a
 * file under it that crashes, tears, and fails at the n-th call.
 *
 * What an implementation has to promise:
 *  - done() is called exactly once for each request, from inside the call
 *    that starts it or from complete();
 *  - a transfer is complete when done() says 0: short ones are gone on with;
 *  - sync covers every request of its file that was done before it started,
 *    and nothing else;
 *  - it may reorder requests that are under way together.
 *
 * Threads: one for each struct io.
 */
#ifndef DISCO_COWDISK_IO_H
#define DISCO_COWDISK_IO_H

#include <sys/uio.h>

#include "disco/base.h"

/* _DIRECT: the same two, read past the kernel's cache in whole blocks; by
 * io_ring alone, where it was given them. */
enum io_file {
	IO_BASE = 0,
	IO_COW = 1,
	IO_FILES = 2,
	IO_BASE_DIRECT = 2,
	IO_COW_DIRECT = 3,
	IO_ALL_FILES = 4,
};
/*
 * Longer runs are left to the kernel: what it reads ahead of its own accord is
 * in large folios, of which the device needs few segments; what it is asked for
 * is in single pages (a file in one piece: 0.30 s instead of 0.42). Across gaps
 * it reads what nobody wants, or gives up: there it is asked.
 */
#define AHEAD_RUN MIB(1)

enum io_op { IO_READ, IO_WRITE, IO_SYNC, IO_PUNCH };

/* Owned by the caller until done() is called. */
struct io_req {
	enum io_op op; /* set by the implementation */
	enum io_file file;
	uint64_t offset;     /* bytes; changed while under way */
	uint64_t bytes;	     /* IO_PUNCH only */
	struct iovec *iov;   /* IO_READ, IO_WRITE; changed while under way */
	unsigned nr_iov;     /* 1 .. IOV_MAX */
	struct io_req *next; /* the implementation's, while under way */
	/* @err: 0, or -errno: nothing or a part was transferred. */
	void (*done)(struct io_req *r, int err);
};

struct io;

struct block_ops {
	void (*read)(struct io *io, struct io_req *r);
	void (*write)(struct io *io, struct io_req *r);
	/* Data and what is needed to read it back, as fdatasync(2). */
	void (*sync)(struct io *io, struct io_req *r);
	/* Reads as zeroes afterwards; -EOPNOTSUPP: nothing was done. */
	void (*punch)(struct io *io, struct io_req *r);
	/*
	 * These bytes, whole blocks, will be read soon. They are the first of
	 * @run bytes without a gap, counted to just beyond AHEAD_RUN. No write
	 * or punch of them is under way. May be NULL, may do nothing.
	 * Return: bytes that need not be asked for again; fewer: no room now.
	 */
	uint64_t (*ahead)(struct io *io, enum io_file file, uint64_t offset,
			  uint64_t bytes, uint64_t run);
	/*
	 * What is read now is elsewhere, and what ahead() was told of not
	 * read soon after all. May be NULL.
	 */
	void (*ahead_end)(struct io *io);
	/*
	 * Somebody waits for the disk to come to rest: what waits for anything
	 * but the file goes on without it. May be NULL.
	 */
	void (*hurry)(struct io *io);
	/* Call done() of what has completed. Does not wait. */
	void (*complete)(struct io *io);
	void (*destroy)(struct io *io);
};

struct io {
	const struct block_ops *ops;
	int event_fd; /* readable when completions wait; -1: they never do */
};

/**
 * io_wait() - one request, to its end
 * @start: one of io->ops
 *
 * For opening, closing and tools: waits for the event descriptor. Nothing
 * else may be under way whose done() starts another io_wait().
 *
 * Return: what done() was told.
 */
MUST_CHECK int io_wait(struct io *io,
		       void (*start)(struct io *io, struct io_req *r),
		       struct io_req *r);

/* io_wait() for one buffer. */
MUST_CHECK int io_read_now(struct io *io, enum io_file file, uint64_t offset,
			   void *buf, size_t bytes);
MUST_CHECK int io_write_now(struct io *io, enum io_file file, uint64_t offset,
			    const void *buf, size_t bytes);
MUST_CHECK int io_sync_now(struct io *io, enum io_file file);
MUST_CHECK int io_punch_now(struct io *io, enum io_file file, uint64_t offset,
			    uint64_t bytes);

/* --- real files --- */

/* Do a request now, as far as one system call goes. Return: bytes or -errno. */
int io_call(const int fds[IO_FILES], const struct io_req *r);

/* Return: 1 more to do; 0 complete; -errno. @res: a system call's result. */
int io_account(struct io_req *r, int res);

/* Requests done at once, with system calls; the descriptors stay the
 * caller's. -1 for a file that is not used. */
struct io_fd {
	struct io io;
	int fds[IO_FILES];
};

void io_fd_init(struct io_fd *f, int base_fd, int cow_fd);

#endif
