/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deadlines of one thread: timers that are embedded in their owners, kept in
 * a pairing heap, the earliest at its root.
 *
 * Cost: arming a timer, or arming it again, is a constant number of steps,
 * taking out any of n timers O(log n) amortised, and the earliest one is known
 * at once. A monitor has about two timers per VM (1024 VMs at most), one per
 * API call and connection, and a handful of its own; most are armed again or
 * cancelled before they expire. A sorted list would have to pass over those
 * of all other VMs each time.
 *
 * Timers expire in the order of their deadlines; those with equal deadlines in
 * the order in which they were armed.
 *
 * No memory is allocated: nothing here can fail. Not thread-safe.
 * Source: Fredman et al., The Pairing Heap (Algorithmica 1, 1986), two-pass.
 */
#ifndef DISCO_MONITOR_TIMER_H
#define DISCO_MONITOR_TIMER_H

#include "disco/base.h"

/* All-zero but for @expired is one that is not armed. */
struct loop_timer {
	/* Called once for each time that it was armed, unless it is cancelled
	 * before. The timer is not armed any more and is not used after the
	 * call: @expired may arm it again, and may free its owner. */
	void (*expired)(struct loop_timer *t);
	uint64_t at_ns; /* CLOCK_MONOTONIC; 0: not armed; for reading only */

	/* Private to timer.c. */
	uint64_t order; /* of being armed, among equal deadlines */
	struct loop_timer *child, *next;
	struct loop_timer **link; /* what points to it */
};

/* All-zero is empty. Timers are not owned. */
struct timer_heap {
	struct loop_timer *first; /* the earliest; NULL: none is armed */
	uint64_t orders;
	uint64_t passed_ns; /* during timer_heap_run(): its time; else 0 */
};

/**
 * timer_heap_set() - arm a timer, or change its deadline
 * @at_ns: CLOCK_MONOTONIC; one that has passed is fine
 *
 * A deadline that has passed and is set while timers expire is left to the
 * next timer_heap_run(), so that a timer that always arms itself for now does
 * not keep descriptors waiting.
 */
void timer_heap_set(struct timer_heap *h, struct loop_timer *t, uint64_t at_ns);

/* Disarm a timer; one that is not armed stays as it is. */
void timer_heap_cancel(struct timer_heap *h, struct loop_timer *t);

/* Let all timers expire whose deadlines have come at @now_ns. */
void timer_heap_run(struct timer_heap *h, uint64_t now_ns);

#endif
