/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk as a front-end sees it: blocks in, blocks out, completions later.
 * Either a raw file, or a copy-on-write file over a base that is only read.
 *
 * Requests go to io_uring (io_ring.h); where the kernel refuses it, they are
 * done at once (and complete before disk_submit() returns, as a read of what
 * is cached always does).
 *
 * Threads: one (the worker's I/O thread). Ownership: the disk owns its files.
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
	DISK_DISCARD,	   /* whole blocks of it read as zeroes afterwards */
	DISK_WRITE_ZEROES, /* all of it does */
};

/* Owned by the caller until done() is called. */
struct disk_req {
	enum disk_op op;
	uint64_t offset;   /* bytes; offset and length end inside the disk */
	uint64_t bytes;	   /* DISK_DISCARD, DISK_WRITE_ZEROES; not 0 */
	struct iovec *iov; /* pieces, changed while the request is under way */
	unsigned nr_iov;   /* 1 .. IOV_MAX; read and write only */
	/* @err: 0, or -errno: nothing or a part was transferred. */
	void (*done)(struct disk_req *r, int err);
};

/**
 * disk_open() - take over an open raw file
 * @fd:    regular file or block device
 * @depth: requests under way at once, at most; 1 .. 1024
 * @out:   release with disk_close()
 *
 * Discard and write-zeroes are refused by raw disks (-EOPNOTSUPP).
 *
 * Return: 0; -ENOMEM. On error @fd stays the caller's.
 */
MUST_CHECK int disk_open(int fd, bool read_only, unsigned depth,
			 struct disk **out);

/* Descriptors of a copy-on-write disk. */
enum disk_cow_fd {
	DISK_BASE,	  /* readable, never written */
	DISK_COW,	  /* locked, checked against the base; also writable */
	DISK_BASE_DIRECT, /* the base once more, for O_DIRECT; -1: not that */
	DISK_COW_DIRECT,  /* the COW file, the same */
	DISK_COW_FDS,
};

/**
 * disk_open_cow() - take over a base and a copy-on-write file
 * @fds:       by enum disk_cow_fd
 * @temporary: nobody will open the file again: flushes need not reach it
 * @depth, @out: as disk_open()
 * @why:       out on error: words to go after "FILE: "
 *
 * What a guest reads in a row is read ahead past the kernel's cache
 * (io_stream.h), of the files that were given for that.
 *
 * Context: reads the header and the bitmap. Return: 0; -ENOMEM; what
 * cow_open() returns. On error the files stay the caller's.
 */
MUST_CHECK int disk_open_cow(const int fds[DISK_COW_FDS], bool temporary,
			     unsigned depth, struct disk **out,
			     const char **why);

/**
 * disk_use_cache() - look in a buffer cache before the base is read
 * @c:  outlives the disk
 * @nr: of the disk in @c, 0 .. VM_MAX_DISKS - 1; of no other disk
 *
 * Nothing may be under way; disk_event_fd() may be another one afterwards.
 *
 * Return: 0; -EINVAL a raw disk that is written, or @nr; -ENOMEM; -errno of
 * eventfd(). On error the disk is as it was.
 */
MUST_CHECK int disk_use_cache(struct disk *d, struct cache *c, unsigned nr);

/* No request may be under way. NULL is fine. Does not flush. */
void disk_close(struct disk *d);

/**
 * disk_settle() - finish what is under way, flush a copy-on-write disk
 *
 * For the end of a guest that did not flush: as a raw disk's, its completed
 * writes survive it. A raw or temporary disk needs nothing.
 *
 * Context: blocks; calls done() of what was under way.
 * Return: 0; -errno of the flush.
 */
int disk_settle(struct disk *d);

/* What is over the base; NULL: a raw disk. Owned by the disk. */
const struct cow *disk_cow(const struct disk *d);

/* Readable when completions wait: then call disk_complete(). -1: never. */
int disk_event_fd(const struct disk *d);

/**
 * disk_submit() - start a request; done() is called exactly once
 * Return: 0; -EAGAIN @depth requests are under way (done() not called);
 *         -EROFS write or -EINVAL nonsense (done() not called).
 */
MUST_CHECK int disk_submit(struct disk *d, struct disk_req *r);

/*
 * For who waits until nothing is under way, before each wait: requests that
 * wait for a cache are read from the file now.
 */
void disk_hurry(struct disk *d);

/* Call done() of what has completed. */
void disk_complete(struct disk *d);

/* True when requests may complete later: io_uring carries them, or a cache. */
bool disk_is_async(const struct disk *d);

/* True when discard and write-zeroes are done. */
bool disk_can_zero(const struct disk *d);

#endif
