/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A holder: one VM's end of the replication of a segment (home.h). It does what
 * the home says with its own view of the segment, and asks for the writes that
 * its guest waits for.
 *
 * A page is shown from the segment or from the replica of the holder's node, and
 * it is protected or not. A replica is always protected. What the guest writes
 * to a protected page stops its thread until REPLICA_ALLOW.
 *
 * GUARANTEES
 *  1. Before the first REPLICA_ALLOW no page can be written: who makes a holder
 *     has protected all of them.
 *  2. There is no moment in which a page that goes from one of these states to
 *     another can be written, or shows anything else: that is up to the ops,
 *     each of which is atomic for the guest (segment_map.h).
 *  3. A write that waits is asked for once per link, and again after each reset.
 *  4. Without a home (holder_unlink()) no replica is shown.
 *  5. What is shown is a part of what the home had shown: a holder that has no
 *     room for a replica shows the segment, which is the same.
 *
 * Pure, as home.c is. Context: one thread.
 */
#ifndef DISCO_MEMORY_REPLICA_HOLDER_H
#define DISCO_MEMORY_REPLICA_HOLDER_H

#include "memory/replica/replica_proto.h"

struct holder_range {
	uint32_t first, nr; /* pages */
};

struct holder_ops {
	/*
	 * No write from now on. Return: 0; -EBUSY a device may be writing, or
	 * another error: it is not protected.
	 */
	int (*protect)(void *arg, uint32_t first, uint32_t nr);
	/* Show the replica, protected. Return: 0; -errno: nothing has changed. */
	int (*show)(void *arg, uint32_t page);
	/*
	 * Show the segment, protected, at a page whose replica is shown.
	 * @hidden: out: where it did so. That may be more than the page, if all
	 * of it showed replicas. Return: 0; -errno: the replica is still shown,
	 * and the holder cannot go on.
	 */
	int (*hide)(void *arg, uint32_t page, struct holder_range *hidden);
	/* Writes may go on; threads that wait for one do. */
	void (*allow)(void *arg, uint32_t first, uint32_t nr);
	/* To the home. Return: false: it is gone, or broken. */
	bool (*send)(void *arg, const struct replica_msg *m);
};

struct holder {
	const struct holder_ops *ops;
	void *arg;
	uint32_t nr_pages;
	uint32_t nr_shown, nr_waiting;
	bool linked;	   /* there is a home, which has reset this holder */
	uint64_t *shown;   /* one bit per page; not owned */
	uint64_t *waiting; /* pages that somebody waits to write; the same */
};

/* 64-bit words of a bitmap for pages. */
#define HOLDER_WORDS(nr_pages) (((size_t)(nr_pages) + 63) / 64)

/* @shown, @waiting: HOLDER_WORDS(nr_pages) zeroes each. */
void holder_init(struct holder *h, uint32_t nr_pages,
		 const struct holder_ops *ops, void *arg, uint64_t *shown,
		 uint64_t *waiting);

/**
 * holder_receive() - do what the home says
 * @m: a copy, not checked yet
 *
 * Return: 0; -EPROTO it makes no sense; -EPIPE an answer could not be sent: the
 * link is to be given up (holder_unlink()); -errno of ops->hide(): the holder
 * cannot go on.
 */
MUST_CHECK int holder_receive(struct holder *h, const struct replica_msg *m);

/* A thread waits to write a page. Out of range: nothing. Return: 0; -EPIPE. */
MUST_CHECK int holder_fault(struct holder *h, uint64_t page);

/*
 * The link is gone: show the segment everywhere, still protected. Return: 0;
 * -errno of ops->hide().
 */
MUST_CHECK int holder_unlink(struct holder *h);

/* Nobody shows a replica: those who wait may go on, and all may be written. */
void holder_allow_all(struct holder *h);

#endif
