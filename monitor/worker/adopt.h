/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for the next control process. The listening socket came with the
 * descriptors of the start; whoever can reach its path may take the guest
 * over, which is its owner (directory of mode 0700) and root.
 *
 * A connection that says nothing is dropped for the next one, and one of
 * another protocol (WORKER_PROTOCOL) at once; none is taken while a control
 * process is there.
 */
#ifndef DISCO_MONITOR_WORKER_ADOPT_H
#define DISCO_MONITOR_WORKER_ADOPT_H

#include "monitor/worker/vm/io_loop.h"

struct adopt {
	struct io_loop *loop;
	struct io_watch listener;
	struct io_watch pending; /* connected, has not said anything; fd -1 */
	bool keep;		 /* WORKER_REQ_KEEP was received, or _ADOPT */
	/* The descriptors are in their places. */
	void (*adopted)(struct adopt *a);
};

/* @listener: not used before adopt_wait(). */
void adopt_init(struct adopt *a, struct io_loop *loop, int listener,
		void (*adopted)(struct adopt *a));

/**
 * adopt_wait() - accept the next control process from the loop
 *
 * Context: I/O thread; WORKER_FD_CONTROL and the console are not watched.
 * Return:  0; -errno of epoll.
 */
MUST_CHECK int adopt_wait(struct adopt *a);

#endif
