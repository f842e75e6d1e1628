/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readiness loop of the control process: epoll, plus descriptors that epoll
 * refuses (regular files, /dev/null), which are always ready.
 *
 * A watch is embedded in its owner and must outlive the loop iteration that
 * drops it; its handler may want() or drop() any watch, itself included.
 */
#ifndef DISCO_MONITOR_LOOP_H
#define DISCO_MONITOR_LOOP_H

#include "disco/base.h"

#define LOOP_MAX_FILES 4 /* always-ready descriptors at a time */

struct loop_watch {
	int fd;						      /* not owned */
	void (*ready)(struct loop_watch *w, uint32_t events); /* EPOLL* */
	uint32_t want; /* read only for owners; 0: not watched */
	bool always;   /* private to loop.c */
};

struct loop {
	int epfd;
	int err; /* first failure of loop_want(), 0 or -errno */
	struct loop_watch *files[LOOP_MAX_FILES]; /* NULL: free */
};

/**
 * loop_create() - make an empty loop
 *
 * Context: one thread, as all of this file.
 * Return:  0; -EMFILE, -ENFILE, -ENOMEM of epoll_create1().
 */
MUST_CHECK int loop_create(struct loop *l);

/* NULL, all-zero and half-built (epfd < 0) are fine. Watches are not owned. */
void loop_destroy(struct loop *l);

/**
 * loop_want() - say what a watch waits for
 * @events: EPOLLIN, EPOLLOUT, both, or 0 to be left alone (hang-ups too)
 *
 * Does nothing when @events is what it was. A failure is kept and returned by
 * the next loop_turn(): callers change their mind often and in the middle of
 * things.
 */
void loop_want(struct loop *l, struct loop_watch *w, uint32_t events);

/**
 * loop_turn() - wait for readiness once and call the handlers
 * @timeout_ms: -1 for ever
 *
 * Return: 0; -errno of epoll_wait() or of an earlier loop_want() (-ENOSPC,
 * -ENOMEM). A signal is no error.
 */
MUST_CHECK int loop_turn(struct loop *l, int timeout_ms);

/* How long to sleep for a deadline, in ms, rounded up; 0: it has come. */
static inline int loop_ms_until(uint64_t at_ns, uint64_t now_ns)
{
	return at_ns <= now_ns ? 0
			       : (int)min_u64((at_ns - now_ns) / 1000000u + 1,
					      INT32_MAX);
}

/* The shorter of two sleeps in ms; -1: for ever. */
static inline int loop_ms_sooner(int a, int b)
{
	if (a < 0 || b < 0)
		return a < 0 ? b : a;
	return a < b ? a : b;
}

#endif
