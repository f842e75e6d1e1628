/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's I/O thread: one epoll loop over all descriptors that can become
 * ready. It calls the functions of ready descriptors one after the other; none
 * of them blocks for long.
 */
#ifndef DISCO_MONITOR_IO_LOOP_H
#define DISCO_MONITOR_IO_LOOP_H

#include "monitor/dev/platform/dev_host.h"
#include "monitor/ipc/figures.h"

struct io_loop {
	int epoll_fd;
	bool stop; /* set by a callback */
	/* Called after each turn; may be NULL. */
	void (*turned)(void *arg);
	void *turned_arg;
	struct figures_io *figures; /* where it counts; NULL: nowhere */
};

MUST_CHECK int io_loop_init(struct io_loop *l);
void io_loop_destroy(struct io_loop *l);

/* As dev_host_ops.watch. Context: any thread. */
MUST_CHECK int io_loop_watch(struct io_loop *l, struct io_watch *w,
			     uint32_t epoll_events);

/* Run until a callback sets @l->stop. Return: 0; -errno of epoll. */
MUST_CHECK int io_loop_run(struct io_loop *l);

#endif
