/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk as a device model uses it: requests for blocks, which complete later.
 * It is either a raw file, or a copy-on-write file over a base that is only
 * read.
 *
 * Requests go to io_uring (io_ring.h). Where the kernel refuses io_uring, they
 * are performed at once and complete before disk_submit() returns; so does
 * always a read of cached data.
 *
 * Context of all functions: one thread, the worker's I/O thread. The disk owns
 * its files.
 */
#ifndef DISCO_COWDISK_DISK_H
#define DISCO_COWDISK_DISK_H

#include <sys/uio.h>

#include "disco/base.h"

struct cache;
struct cow;
struct disk;

enum disk_op {
	DISK_READ,
	DISK_WRITE,
	DISK_FLUSH,
	DISK_DISCARD,	   /* whole blocks in the range read as zeroes after */
	DISK_WRITE_ZEROES, /* the whole range reads as zeroes after */
};

/* Owned by the caller until done() is called. */
struct disk_req {
	enum disk_op op;
	uint64_t offset;   /* bytes; the range ends inside the disk */
	uint64_t bytes;	   /* DISK_DISCARD, DISK_WRITE_ZEROES; not 0 */
	struct iovec *iov; /* pieces; change while the request is under way */
	unsigned nr_iov;   /* 1 .. IOV_MAX; read and write only */
	/* @err: 0; -errno: nothing, or only a part, was transferred. */
	void (*done)(struct disk_req *r, int err);
};

/**
 * disk_open() - take over an open raw file
 * @fd:    regular file or block device
 * @depth: maximum number of requests under way at once, 1 .. 1024
 * @out:   release with disk_close()
 *
 * A raw disk refuses discard and write-zeroes (-EOPNOTSUPP).
 *
 * Return: 0; -ENOMEM. On error @fd stays the caller's.
 */
MUST_CHECK int disk_open(int fd, bool read_only, unsigned depth,
			 struct disk **out);

/* Descriptors of a copy-on-write disk. */
enum disk_cow_fd {
	DISK_BASE,	  /* readable, never written */
	DISK_COW,	  /* locked, checked against the base; also writable */
	DISK_BASE_DIRECT, /* the base again, for O_DIRECT; -1: not used */
	DISK_COW_DIRECT,  /* the COW file again, for O_DIRECT; -1: not used */
	DISK_COW_FDS,
};

/**
 * disk_open_cow() - take over a base and a copy-on-write file
 * @fds:       indexed by enum disk_cow_fd
 * @temporary: the file will not be opened again: flushes need not reach it
 * @depth, @out: as for disk_open()
 * @why:       out on error: text that follows "FILE: " in a message
 *
 * Sequential reads are read ahead past the kernel's cache (io_stream.h), from
 * the files whose descriptors for O_DIRECT were given.
 *
 * Context: reads the header and the bitmap. Return: 0; -ENOMEM; what
 * cow_open() returns. On error the files stay the caller's.
 */
MUST_CHECK int disk_open_cow(const int fds[DISK_COW_FDS], bool temporary,
			     unsigned depth, struct disk **out,
			     const char **why);

/**
 * disk_use_cache() - look blocks up in a buffer cache before reading the base
 * @c:  outlives the disk
 * @nr: number of the disk in @c, 0 .. VM_MAX_DISKS - 1; unique to this disk
 *
 * No request may be under way. disk_event_fd() may change.
 *
 * Return: 0; -EINVAL a raw disk that is written, or @nr; -ENOMEM; -errno of
 * eventfd(). On error the disk is as it was.
 */
MUST_CHECK int disk_use_cache(struct disk *d, struct cache *c, unsigned nr);

/* No request may be under way. NULL is accepted. Does not flush. */
void disk_close(struct disk *d);

/**
 * disk_settle() - finish requests under way, and flush a copy-on-write disk
 *
 * For the end of a guest that did not flush: its completed writes survive, as
 * they do on a raw disk. A raw or temporary disk needs no flush.
 *
 * Context: blocks; calls done() of what was under way.
 * Return: 0; -errno of the flush.
 */
int disk_settle(struct disk *d);

/* The COW file of the disk, owned by the disk; NULL: the disk is raw. */
const struct cow *disk_cow(const struct disk *d);

/* Readable when disk_complete() has something to do. -1: never. */
int disk_event_fd(const struct disk *d);

/**
 * disk_submit() - start a request; done() is called exactly once
 * Return: 0; otherwise done() is not called: -EAGAIN @depth requests are under
 *         way; -EROFS write to a read-only disk; -EINVAL invalid request.
 */
MUST_CHECK int disk_submit(struct disk *d, struct disk_req *r);

/*
 * Called before each wait of a caller that waits until no request is under way:
 * requests that wait for a cache are read from the file now.
 */
void disk_hurry(struct disk *d);

/* Call done() of the requests that have completed. */
void disk_complete(struct disk *d);

/* True when requests may complete later: io_uring carries them, or a cache. */
bool disk_is_async(const struct disk *d);

/* True when the disk performs discard and write-zeroes. */
bool disk_can_zero(const struct disk *d);

#endif
