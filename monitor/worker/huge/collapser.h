/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes huge pages of guest RAM again (memory/ram_huge.h), in the background.
 *
 * The I/O thread chooses a run, as it alone changes what is mapped. A thread of its
 * own, the *collapser*, looks whether the run is worth it and has the kernel
 * collapse it, which takes up to some milliseconds: neither the guest's devices nor
 * an exit wait for that. Only a vCPU that touches that run waits, for as long as
 * the kernel copies 2 MiB.
 *
 *	one run at a time; then a rest of COLLAPSER_DUTY times as long as it took, so
 *	that the collapser uses at most 2 % of a CPU
 *	nothing while accesses are sampled: each trap would undo one
 *	nothing on the way to another node: a run that is collapsed after its new
 *	memory was bound, and before an agent has come to it, would stay behind
 *	what an overlay could not give back, as direct I/O held the huge page that it
 *	was in, is given back by the I/O thread, before it chooses a run
 *	nothing to do: a look at RAM_HUGE_LOOKS runs each COLLAPSER_IDLE_MS
 */
#ifndef DISCO_MONITOR_WORKER_COLLAPSER_H
#define DISCO_MONITOR_WORKER_COLLAPSER_H

#include "monitor/worker/vm/vm.h"

#define COLLAPSER_DUTY	   50u
#define COLLAPSER_LEAST_MS 20u
#define COLLAPSER_MOST_MS  10000u
#define COLLAPSER_IDLE_MS  15000u

/* Why no run is chosen; bits. */
enum collapser_hold {
	COLLAPSER_SAMPLED = 1,
	COLLAPSER_MOVES = 2,
};

struct collapser {
	struct vm *vm;	       /* [I] */
	int pagemap, go;       /* [I] of /proc/self/pagemap; an eventfd */
	struct io_watch timer; /* I/O thread */
	struct io_watch done;  /* I/O thread; an eventfd */
	bool busy;	       /* I/O thread */
	unsigned held;	       /* I/O thread; enum collapser_hold */
	/* The job. Whose it is, the two eventfds say. */
	uint64_t run, took_ns;
	enum ram_huge_result how;
};

/**
 * collapser_create() - for a VM that has huge pages; else it does nothing
 * @c:  zeroed
 * @vm: with its memory and its loop; outlives it
 *
 * Context: start of the worker. Return: 0; -errno of open(), eventfd(),
 * timerfd_create() and epoll_ctl().
 */
MUST_CHECK int collapser_create(struct collapser *c, struct vm *vm);

/* Start the thread, after sandbox_drop(). Return: 0; -errno. */
MUST_CHECK int collapser_start(struct collapser *c);

/*
 * Choose no run while there is a reason. When this returns, none is being
 * collapsed: that may take milliseconds. Context: I/O thread.
 */
void collapser_hold(struct collapser *c, enum collapser_hold why, bool held);

#endif
