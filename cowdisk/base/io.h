/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files under a disk, as four operations that complete later. Everything
 * that cowdisk does to a file goes through this table, so that a test can
 * provide a file that crashes, tears writes, or fails at the n-th call.
 *
 * An implementation must guarantee:
 *  - done() is called exactly once per request, from inside the call that
 *    starts the request or from complete();
 *  - if done() gets 0, the transfer is complete: the implementation continues
 *    short transfers;
 *  - sync covers every request of its file that was done before it started,
 *    and nothing else;
 *  - requests that are under way together may be reordered.
 *
 * Context: one thread per struct io.
 */
#ifndef DISCO_COWDISK_IO_H
#define DISCO_COWDISK_IO_H

#include <sys/uio.h>

#include "disco/base.h"

/*
 * _DIRECT: the same files, read past the kernel's cache in whole blocks. Only
 * io_ring supports them, and only those that it was given.
 */
enum io_file {
	IO_BASE = 0,
	IO_COW = 1,
	IO_FILES = 2,
	IO_BASE_DIRECT = 2,
	IO_COW_DIRECT = 3,
	IO_ALL_FILES = 4,
};
/*
 * Runs longer than this are left to the kernel. Its own read-ahead is in large
 * folios, of which the device needs few segments, whereas requested read-ahead
 * is in single pages (a file in one piece: 0.30 s instead of 0.42). Across gaps
 * the kernel reads data that nobody wants, or gives up, so there read-ahead is
 * requested.
 */
#define AHEAD_RUN MIB(1)

enum io_op { IO_READ, IO_WRITE, IO_SYNC, IO_PUNCH };

/* Owned by the caller until done() is called. */
struct io_req {
	enum io_op op; /* set by the implementation */
	enum io_file file;
	uint64_t offset;     /* bytes; changes while under way */
	uint64_t bytes;	     /* IO_PUNCH only */
	struct iovec *iov;   /* IO_READ, IO_WRITE; changes while under way */
	unsigned nr_iov;     /* 1 .. IOV_MAX */
	struct io_req *next; /* the implementation's, while under way */
	/* @err: 0; -errno: nothing, or only a part, was transferred. */
	void (*done)(struct io_req *r, int err);
};

struct io;

struct block_ops {
	void (*read)(struct io *io, struct io_req *r);
	void (*write)(struct io *io, struct io_req *r);
	/* Makes data, and what is needed to read it, durable: fdatasync(2). */
	void (*sync)(struct io *io, struct io_req *r);
	/* The range reads as zeroes after 0; -EOPNOTSUPP: nothing was done. */
	void (*punch)(struct io *io, struct io_req *r);
	/*
	 * These bytes, whole blocks, will be read soon. They are the first of
	 * @run bytes without a gap, counted to just beyond AHEAD_RUN. No write
	 * or punch of them is under way. May be NULL, may do nothing.
	 * Return: number of bytes that need not be announced again; fewer than
	 * @bytes: there is no room now.
	 */
	uint64_t (*ahead)(struct io *io, enum io_file file, uint64_t offset,
			  uint64_t bytes, uint64_t run);
	/*
	 * Reads now go elsewhere; what ahead() announced will not be read soon
	 * after all. May be NULL.
	 */
	void (*ahead_end)(struct io *io);
	/*
	 * A caller waits for the disk to come to rest: requests that wait for
	 * anything but the file go on without it. May be NULL.
	 */
	void (*hurry)(struct io *io);
	/* Call done() of the requests that have completed. Does not wait. */
	/* Call done() of what has completed. Does not wait. */
	void (*complete)(struct io *io);
	void (*destroy)(struct io *io);
};

struct io {
	const struct block_ops *ops;
	int event_fd; /* readable when completions wait; -1: they never do */
};

/**
 * io_wait() - perform one request and wait for its end
 * @start: one of io->ops
 *
 * For opening, closing and tools: it waits for the event descriptor. No other
 * request may be under way whose done() starts another io_wait().
 *
 * Return: the value that done() got.
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

/*
 * Perform a request by one system call. Return: number of bytes transferred,
 * which may be less than requested; -errno.
 */
int io_call(const int fds[IO_FILES], const struct io_req *r);

/*
 * Advance a request by @res, the result of a system call. Return: 1 there is
 * more to do; 0 the request is complete; -errno.
 */
int io_account(struct io_req *r, int res);

/*
 * Performs requests at once, by system calls. The descriptors stay the
 * caller's; -1 stands for a file that is not used.
 */
struct io_fd {
	struct io io;
	int fds[IO_FILES];
};

void io_fd_init(struct io_fd *f, int base_fd, int cow_fd);

#endif
