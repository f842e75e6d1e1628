/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/vm/io_loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH 16

int io_loop_init(struct io_loop *l)
{
	*l = (struct io_loop){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	return l->epoll_fd < 0 ? -errno : 0;
}

void io_loop_destroy(struct io_loop *l)
{
	if (l->epoll_fd >= 0)
		(void)close(l->epoll_fd);
	l->epoll_fd = -1;
}

int io_loop_watch(struct io_loop *l, struct io_watch *w, uint32_t epoll_events)
{
	struct epoll_event e = { .events = epoll_events, .data.ptr = w };

	/* Off, not just 0: a hang-up is reported whatever was asked for. */
	if (epoll_events == 0)
		return epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL) < 0 &&
				       errno != ENOENT
			       ? -errno
			       : 0;
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, w->fd, &e) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	return epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, w->fd, &e) < 0 ? -errno
								    : 0;
}

static void io_loop_count(const struct io_loop *l, int ready)
{
	if (!l->figures || ready < 0)
		return;
	figures_count(&l->figures->wakeups, 1);
	figures_count(&l->figures->events, (uint64_t)ready);
}

int io_loop_run(struct io_loop *l)
{
	struct epoll_event e[BATCH];

	while (!l->stop) {
		int n = epoll_wait(l->epoll_fd, e, BATCH, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		io_loop_count(l, n);
		for (int i = 0; i < n && !l->stop; i++) {
			struct io_watch *w = e[i].data.ptr;

			w->ready(w, e[i].events);
		}
		if (l->turned)
			l->turned(l->turned_arg);
	}
	return 0;
}
