/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk as a front-end sees it: blocks in, blocks out, completions later.
 *
 * Requests go to io_uring; where the kernel refuses it, they are done at once
 * (and complete before disk_submit() returns). The ring is restricted to
 * reads, writes and flushes of this one file before the worker gives up its
 * privileges: the system call filter does not see what a ring does.
 *
 * Threads: one (the worker's I/O thread). Ownership: the disk owns @fd.
 * Source: io_uring(7), io_uring_register(2) RESTRICTIONS.
 */
#ifndef DISCO_COWDISK_DISK_H
#define DISCO_COWDISK_DISK_H

#include <sys/uio.h>

#include "disco/base.h"

struct disk;

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH };

/* Owned by the caller until done() is called. */
struct disk_req {
	enum disk_op op;
	uint64_t offset;   /* bytes; @offset + the pieces end inside the disk */
	struct iovec *iov; /* pieces, changed while the request is under way */
	unsigned nr_iov;   /* 1 .. IOV_MAX; 0 for a flush */
	/* @err: 0, or -errno: nothing or a part was transferred. */
	void (*done)(struct disk_req *r, int err);
};

/**
 * disk_open() - take over an open file
 * @fd:    regular file or block device
 * @depth: requests under way at once, at most; 1 .. 1024
 * @out:   release with disk_close()
 *
 * Return: 0; -ENOMEM. On error @fd stays the caller's.
 */
MUST_CHECK int disk_open(int fd, bool read_only, unsigned depth,
			 struct disk **out);

/* No request may be under way. NULL is fine. */
void disk_close(struct disk *d);

/* Readable when completions wait: then call disk_complete(). -1: never. */
int disk_event_fd(const struct disk *d);

/**
 * disk_submit() - start a request; done() is called exactly once
 * Return: 0; -EAGAIN @depth requests are under way (done() not called);
 *         -EROFS write or -EINVAL nonsense (done() not called).
 */
MUST_CHECK int disk_submit(struct disk *d, struct disk_req *r);

/* Call done() of what has completed. */
void disk_complete(struct disk *d);

/* True when io_uring carries the requests. */
bool disk_is_async(const struct disk *d);

#endif
