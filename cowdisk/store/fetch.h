/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a pool reads images: jobs that end now or later, behind a table of
 * operations, so that a test can put reads under it that fail, come short, and
 * end in any order.
 *
 * Threads: one.
 */
#ifndef DISCO_COWDISK_FETCH_H
#define DISCO_COWDISK_FETCH_H

#include "disco/base.h"

/* Owned by the caller; its engine's from start() to ended(). */
struct fetch_job {
	int fd;
	bool direct; /* it has O_DIRECT: what is read is in no other cache */
	void *to;    /* a mapping of @memory ... */
	int memory;  /* ... a memfd that may be written to as well */
	size_t bytes;
	uint64_t offset; /* in @fd, and in @memory */
	int result;	 /* bytes, fewer than asked for perhaps; or -errno */
	/* The engine's: its slots of the landing, see fetch.c. */
	unsigned slot, nr_slots;
};

struct fetcher;

struct fetch_ops {
	/* Return: true: it is under way; false: it is over, see ->result. */
	bool (*start)(struct fetcher *f, struct fetch_job *job);
	/* One that is over. @wait: wait for one. NULL: none is. */
	struct fetch_job *(*ended)(struct fetcher *f, bool wait);
	/* Nothing is under way. */
	void (*destroy)(struct fetcher *f);
};

struct fetcher {
	const struct fetch_ops *ops;
	int event_fd; /* readable when some are over; -1: they never wait */
};

/**
 * fetcher_create() - the one for real files
 * @depth: jobs under way at once, at most
 * @out:   release with ops->destroy()
 *
 * Direct reads by a ring that can do nothing else; others, and all where a
 * ring is refused, by pread(2), whose pages then leave the kernel's cache.
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int fetcher_create(unsigned depth, struct fetcher **out);

#endif
