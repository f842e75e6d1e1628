/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define NR_FDS 2 /* console, log */

static void unwatch(struct adopt *a, struct io_watch *w)
{
	/* Fails only for what is not watched. */
	if (io_loop_watch(a->loop, w, 0))
		return;
}

static void drop_pending(struct adopt *a)
{
	if (a->pending.fd < 0)
		return;
	unwatch(a, &a->pending);
	(void)close(a->pending.fd);
	a->pending.fd = -1;
}

/* Return: how many descriptors came. */
static unsigned take_fds(struct msghdr *m, int fds[NR_FDS])
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	size_t bytes;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return 0;
	bytes = min_u64(c->cmsg_len - CMSG_LEN(0), NR_FDS * sizeof(int));
	memcpy(fds, CMSG_DATA(c), bytes);
	return (unsigned)(bytes / sizeof(int));
}

/* Return: 0; -EAGAIN nothing came yet; -EPROTO not what we wait for. */
static int receive(int fd, int fds[NR_FDS])
{
	union {
		char bytes[CMSG_SPACE(NR_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct worker_request r = { 0 };
	struct iovec iov = { &r, sizeof(r) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	unsigned nr;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	nr = n < 0 ? 0 : take_fds(&m, fds);
	if (n == (ssize_t)sizeof(r) && r.kind == WORKER_REQ_ADOPT &&
	    nr == NR_FDS)
		return 0;
	while (nr)
		(void)close(fds[--nr]);
	return -EPROTO;
}

static void pending_ready(struct io_watch *w, uint32_t events)
{
	struct adopt *a = container_of(w, struct adopt, pending);
	int fds[NR_FDS], err = receive(w->fd, fds);

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
	unwatch(a, &a->listener);
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
