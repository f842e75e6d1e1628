/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event loop of the control process: epoll, plus descriptors that epoll
 * refuses (regular files, /dev/null), which are always ready, plus timers
 * (timer.h).
 *
 * A watch is embedded in its owner and must outlive the loop iteration that
 * drops it; its handler may want() or drop() any watch, itself included.
 *
 * A timer is embedded in its owner, which may be freed as soon as the timer is
 * not armed, also by the timer's own callback. Timers expire after the watches
 * of a turn were handled: a timer that is armed for now by a handler expires
 * when no handler of this turn is left, which is the place to free an owner of
 * watches.
 */
#ifndef DISCO_MONITOR_LOOP_H
#define DISCO_MONITOR_LOOP_H

#include "disco/base.h"
#include "monitor/control/base/timer.h"

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
	struct timer_heap timers;
	uint64_t (*now_ns)(void); /* clock_now_ns(); tests have another one */
};

/**
 * loop_create() - make an empty loop
 *
 * Context: one thread, as all of this file.
 * Return:  0; -EMFILE, -ENFILE, -ENOMEM of epoll_create1().
 */
MUST_CHECK int loop_create(struct loop *l);

/* NULL, all-zero and half-built (epfd < 0) are fine. Watches and timers are not
 * owned. */
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
 * loop_timer_set() - arm a timer, or change its deadline
 * @t:     t->expired is set
 * @at_ns: CLOCK_MONOTONIC; one that has passed expires at the end of this turn,
 *         or in the next turn when it is set by a timer's callback
 */
static inline void loop_timer_set(struct loop *l, struct loop_timer *t,
				  uint64_t at_ns)
{
	timer_heap_set(&l->timers, t, at_ns);
}

/* Disarm a timer; one that is not armed stays as it is. */
static inline void loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
	timer_heap_cancel(&l->timers, t);
}

/**
 * loop_turn() - wait once for readiness or a deadline and call the handlers
 * @timeout_ms: the longest wait; -1: for ever
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

#endif
