/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deadlines of one thread: timers that are embedded in their owners. They are
 * kept in a pairing heap, whose root is the earliest one.
 *
 * Cost: a timer is armed in a constant number of steps. Any of n timers is
 * removed in O(log n), amortised, and the earliest one is at the root. A monitor
 * has about two timers per VM (1024 VMs at most), one per API call and
 * connection, and a few of its own; most are armed again or cancelled before
 * they expire. A sorted list would have to pass the timers of all other VMs each
 * time.
 *
 * Timers expire in the order of their deadlines; timers with equal deadlines in
 * the order in which they were armed.
 *
 * No function allocates memory or can fail. Context: one thread per heap.
 * Source: Fredman et al., The Pairing Heap (Algorithmica 1, 1986), two-pass.
 */
#ifndef DISCO_MONITOR_TIMER_H
#define DISCO_MONITOR_TIMER_H

#include "disco/base.h"

/* A timer whose fields other than @expired are zero is not armed. */
struct loop_timer {
	/*
	 * Called once each time that the timer was armed, unless it was
	 * cancelled. The timer is not armed during the call and is not used
	 * after it, so @expired may arm it again, or free its owner.
	 */
	void (*expired)(struct loop_timer *t);
	uint64_t at_ns; /* CLOCK_MONOTONIC; 0: not armed; owners only read it */

	/* Private to timer.c. */
	uint64_t order; /* number of the call that armed it */
	struct loop_timer *child, *next;
	struct loop_timer **link; /* the pointer that points to it */
};

/* All-zero is empty. Timers are not owned. */
struct timer_heap {
	struct loop_timer *first; /* the earliest; NULL: none is armed */
	uint64_t orders;
	uint64_t passed_ns; /* @now_ns during timer_heap_run(); else 0 */
};

/**
 * timer_heap_set() - arm a timer, or change its deadline
 * @at_ns: CLOCK_MONOTONIC; may have passed
 *
 * A passed deadline that is set while timers expire is left to the next
 * timer_heap_run(), so that a timer that always arms itself for now cannot keep
 * descriptors waiting.
 */
void timer_heap_set(struct timer_heap *h, struct loop_timer *t, uint64_t at_ns);

/* Disarm a timer; no effect if it is not armed. */
void timer_heap_cancel(struct timer_heap *h, struct loop_timer *t);

/* Call expired() of all timers whose deadlines are at or before @now_ns. */
void timer_heap_run(struct timer_heap *h, uint64_t now_ns);

#endif
