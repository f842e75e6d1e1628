/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/worker_spec.h"
#include "monitor/ipc/worker_messages.h"

static void keeper_unwatch(struct adopt *a, struct io_watch *w)
{
	/* Fails only for what is not watched. */
	if (io_loop_watch(a->loop, w, 0))
		return;
}

static void drop_pending(struct adopt *a)
{
	if (a->pending.fd < 0)
		return;
	keeper_unwatch(a, &a->pending);
	(void)close(a->pending.fd);
	a->pending.fd = -1;
}

/* Return: 0; -EAGAIN nothing came yet; -EPROTO not what we wait for. */
static int keeper_receive(int fd, int fds[FDS_MAX])
{
	struct worker_request r;
	int err = worker_request_receive(fd, &r, fds);

	if (err)
		return err == -EAGAIN ? err : -EPROTO;
	if (r.kind == WORKER_REQ_ADOPT && r.adopt.protocol == WORKER_PROTOCOL)
		return 0;
	fds_close(fds, FDS_MAX);
	return -EPROTO;
}

static void pending_ready(struct io_watch *w, uint32_t events)
{
	struct adopt *a = container_of(w, struct adopt, pending);
	int fds[FDS_MAX], err = keeper_receive(w->fd, fds);

	(void)events;
	if (err == -EAGAIN)
		return;
	if (err) {
		drop_pending(a);
		return;
	}
	/* Into known numbers of open descriptors: cannot fail. */
	(void)dup3(w->fd, WORKER_FD_CONTROL, O_CLOEXEC);
	(void)dup3(fds[0], WORKER_FD_CONSOLE, O_CLOEXEC);
	(void)dup3(fds[1], STDOUT_FILENO, O_CLOEXEC);
	(void)dup3(fds[1], STDERR_FILENO, O_CLOEXEC);
	(void)close(fds[0]);
	(void)close(fds[1]);
	drop_pending(a);
	keeper_unwatch(a, &a->listener);
	a->keep = true;
	a->adopted(a);
}

static void listener_ready(struct io_watch *w, uint32_t events)
{
	struct adopt *a = container_of(w, struct adopt, listener);
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	drop_pending(a);
	a->pending.fd = fd;
	if (io_loop_watch(a->loop, &a->pending, EPOLLIN))
		drop_pending(a);
}

void adopt_init(struct adopt *a, struct io_loop *loop, int listener,
		void (*adopted)(struct adopt *a))
{
	*a = (struct adopt){
		.loop = loop,
		.listener = { .fd = listener, .ready = listener_ready },
		.pending = { .fd = -1, .ready = pending_ready },
		.adopted = adopted,
	};
}

int adopt_wait(struct adopt *a)
{
	return io_loop_watch(a->loop, &a->listener, EPOLLIN);
}
