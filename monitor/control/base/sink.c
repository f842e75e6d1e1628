/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/base/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disco/clock.h"

#define SHARED_CHUNK 4096u /* PIPE_BUF: POLLOUT promises this much */

/* A file description of our own, so that O_NONBLOCK is ours alone. */
static int open_again(int fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void sink_choose(struct sink *s, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	s->fd = fd;
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY ||
	    fstat(fd, &st) < 0) {
		s->broken = true;
		s->err = EBADF;
		return;
	}
	if (S_ISSOCK(st.st_mode)) {
		s->kind = SINK_SOCKET;
	} else if (S_ISREG(st.st_mode)) {
		s->kind = SINK_FILE;
	} else {
		int own = open_again(fd);

		s->kind = own < 0 ? SINK_SHARED : SINK_OWN;
		s->fd = own < 0 ? fd : own;
	}
}

static void sink_on_ready(struct loop_watch *w, uint32_t events)
{
	(void)events;
	sink_kick(container_of(w, struct sink, watch));
}

void sink_create(struct sink *s, struct loop *loop, int fd)
{
	memset(s, 0, offsetof(struct sink, buf));
	s->loop = loop;
	s->patience_ms = 1000;
	sink_choose(s, fd);
	s->watch.fd = s->fd;
	s->watch.ready = sink_on_ready;
}

void sink_destroy(struct sink *s)
{
	if (!s || !s->loop)
		return;
	loop_want(s->loop, &s->watch, 0);
	if (s->kind == SINK_OWN)
		(void)close(s->fd);
	s->loop = NULL;
}

size_t sink_room(const struct sink *s)
{
	return SINK_BYTES - (s->tail - s->head);
}

bool sink_empty(const struct sink *s)
{
	return s->head == s->tail;
}

void sink_put(struct sink *s, const void *bytes, size_t n)
{
	if (s->broken)
		return;
	if (n > SINK_BYTES - s->tail) {
		memmove(s->buf, s->buf + s->head, s->tail - s->head);
		s->tail -= s->head;
		s->head = 0;
	}
	memcpy(s->buf + s->tail, bytes, n);
	s->tail += n;
}

static ssize_t sink_write_some(struct sink *s)
{
	size_t n = s->tail - s->head;
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };

	switch (s->kind) {
	case SINK_SOCKET:
		return send(s->fd, s->buf + s->head, n,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	case SINK_SHARED:
		if (poll(&p, 1, 0) == 0) {
			errno = EAGAIN;
			return -1;
		}
		return write(s->fd, s->buf + s->head, min_u64(n, SHARED_CHUNK));
	case SINK_OWN:
	case SINK_FILE:
		break;
	}
	return write(s->fd, s->buf + s->head, n);
}

/* Return: true when nothing is left or nobody reads it. */
static bool sink_drain(struct sink *s)
{
	while (s->head < s->tail) {
		ssize_t n = sink_write_some(s);

		if (n > 0) {
			s->head += (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			return false;
		} else if (n == 0 || errno != EINTR) {
			s->err = n == 0 ? EIO : errno;
			s->broken = true;
			break;
		}
	}
	s->head = 0;
	s->tail = 0;
	return true;
}

void sink_kick(struct sink *s)
{
	for (;;) {
		loop_want(s->loop, &s->watch, sink_drain(s) ? 0u : EPOLLOUT);
		if (!s->starved || !s->drained || sink_room(s) < SINK_BYTES / 2)
			return;
		s->starved = false;
		s->drained(s->arg);
	}
}

void sink_starve(struct sink *s)
{
	s->starved = true;
}

bool sink_flush(struct sink *s, unsigned ms)
{
	uint64_t end = clock_now_ns() + ms * 1000000ull;
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };

	while (!sink_drain(s)) {
		uint64_t now = clock_now_ns();

		if (now >= end)
			return false;
		(void)poll(&p, 1, loop_ms_until(end, now));
	}
	return true;
}

void sink_line(struct sink *s, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	n = n < (int)sizeof(line) ? n : (int)sizeof(line) - 1;
	line[n++] = '\n';
	if (sink_room(s) < (size_t)n)
		(void)sink_flush(s, s->patience_ms);
	if (sink_room(s) >= (size_t)n)
		sink_put(s, line, (size_t)n);
	sink_kick(s);
}
