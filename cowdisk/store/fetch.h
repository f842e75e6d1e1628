/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a pool reads images: jobs that end at once or later, behind a table of
 * operations, so that a test can provide reads that fail, come short, and end
 * in any order.
 *
 * Context: one thread.
 */
#ifndef DISCO_COWDISK_FETCH_H
#define DISCO_COWDISK_FETCH_H

#include "disco/base.h"

/* Owned by the caller, but by its fetcher between start() and ended(). */
struct fetch_job {
	int fd;
	bool direct; /* @fd has O_DIRECT: the data enters no other cache */
	void *to;    /* target, in a mapping of @memory */
	int memory;  /* memfd, which the fetcher may write to instead */
	size_t bytes;
	uint64_t offset; /* in @fd, and in @memory */
	int result;	 /* bytes, possibly fewer than requested; or -errno */
	/* The fetcher's: slots of its landing buffer, see fetch.c. */
	unsigned slot, nr_slots;
};

struct fetcher;

struct fetch_ops {
	/* Return: true: the job is under way; false: it ended, see ->result. */
	bool (*start)(struct fetcher *f, struct fetch_job *job);
	/* A job that ended. @wait: wait for one. NULL: none has ended. */
	struct fetch_job *(*ended)(struct fetcher *f, bool wait);
	/* No job may be under way. */
	void (*destroy)(struct fetcher *f);
};

struct fetcher {
	const struct fetch_ops *ops;
	int event_fd; /* readable when jobs have ended; -1: all end at once */
};

/**
 * fetcher_create() - create the fetcher for real files
 * @depth: maximum number of jobs under way at once
 * @out:   release with ops->destroy()
 *
 * Direct reads go by a ring that can do nothing else. Other reads, and all
 * reads where a ring is refused, go by pread(2), and their pages then leave the
 * kernel's cache.
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int fetcher_create(unsigned depth, struct fetcher **out);

#endif
