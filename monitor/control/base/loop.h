/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event loop of the control process: epoll; descriptors that epoll refuses
 * (regular files, /dev/null), which are always ready; and timers (timer.h).
 *
 * A watch is embedded in its owner, which must live until the end of the turn in
 * which the watch is dropped. A handler may call loop_want() for any watch,
 * including its own.
 *
 * A timer is embedded in its owner, which may be freed as soon as the timer is
 * not armed, also by the timer's own callback. Timers expire after the watches
 * of a turn were handled. A timer that a handler arms for now therefore expires
 * when no handler of this turn is left, and may free an owner of watches.
 *
 * Context of all functions: one thread per loop.
 */
#ifndef DISCO_MONITOR_LOOP_H
#define DISCO_MONITOR_LOOP_H

#include "disco/base.h"
#include "monitor/control/base/timer.h"

#define LOOP_MAX_FILES 4 /* always-ready descriptors at the same time */

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
	uint64_t (*now_ns)(void); /* clock_now_ns(); tests replace it */
};

/**
 * loop_create() - make an empty loop
 *
 * Return: 0; -EMFILE, -ENFILE, -ENOMEM of epoll_create1().
 */
MUST_CHECK int loop_create(struct loop *l);

/*
 * NULL, all-zero and half-built (epfd < 0) are accepted. Watches and timers are
 * not owned.
 */
void loop_destroy(struct loop *l);

/**
 * loop_want() - set the events that a watch waits for
 * @events: EPOLLIN, EPOLLOUT, both, or 0 for none (no hang-ups either); with
 *          EPOLLET for a watch that leaves bytes unread
 *
 * Does nothing if @events is unchanged. A failure is kept, and the next
 * loop_turn() returns it: many callers change their events where they cannot
 * handle an error.
 */
void loop_want(struct loop *l, struct loop_watch *w, uint32_t events);

/**
 * loop_want_signals() - have signals of this process handled by the loop
 * @w:    w->ready is set; w->fd: out: owned by the caller, -1 on error; each
 *        read(2) of it gives a struct signalfd_siginfo, and none ends with EAGAIN
 * @sigs: @nr signals, which are blocked from now on
 *
 * SIGPIPE is ignored from now on: who writes gets EPIPE. Context: before threads
 * are created. Return: 0; -EMFILE, -ENFILE, -ENOMEM of signalfd().
 */
MUST_CHECK int loop_want_signals(struct loop *l, struct loop_watch *w,
				 const int *sigs, unsigned nr);

/**
 * loop_timer_set() - arm a timer, or change its deadline
 * @t:     t->expired is set
 * @at_ns: CLOCK_MONOTONIC. If it has passed, the timer expires at the end of
 *         this turn, or in the next turn if a timer's callback arms it
 */
static inline void loop_timer_set(struct loop *l, struct loop_timer *t,
				  uint64_t at_ns)
{
	timer_heap_set(&l->timers, t, at_ns);
}

/* Disarm a timer; no effect if it is not armed. */
static inline void loop_timer_cancel(struct loop *l, struct loop_timer *t)
{
	timer_heap_cancel(&l->timers, t);
}

/**
 * loop_turn() - wait once for readiness or a deadline, and call the handlers
 * @timeout_ms: longest wait; -1: no limit
 *
 * Return: 0, also after a signal; -errno of epoll_wait() or of an earlier
 * loop_want() (-ENOSPC, -ENOMEM).
 */
MUST_CHECK int loop_turn(struct loop *l, int timeout_ms);

/* Time until a deadline in ms, rounded up; 0: the deadline has come. */
static inline int loop_ms_until(uint64_t at_ns, uint64_t now_ns)
{
	return at_ns <= now_ns ? 0
			       : (int)min_u64((at_ns - now_ns) / 1000000u + 1,
					      INT32_MAX);
}

#endif
