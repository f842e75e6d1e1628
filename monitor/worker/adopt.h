/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits for the next control process. The listening socket is one of the
 * descriptors of the start. Whoever can reach its path may take the guest over:
 * its owner (the directory has mode 0700) and root.
 *
 * A connection that sends nothing is dropped when the next one comes, and one
 * of another protocol (WORKER_PROTOCOL) at once. No connection is accepted
 * while there is a control process.
 */
#ifndef DISCO_MONITOR_WORKER_ADOPT_H
#define DISCO_MONITOR_WORKER_ADOPT_H

#include "monitor/worker/vm/io_loop.h"

struct adopt {
	struct io_loop *loop;
	struct io_watch listener;
	struct io_watch pending; /* connected, has sent nothing; fd -1: none */
	bool keep;		 /* WORKER_REQ_KEEP was received, or _ADOPT */
	/* Called when the new descriptors are in their places. */
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
