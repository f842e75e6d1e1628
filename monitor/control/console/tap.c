/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/console/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define CHUNK	    4096u
#define LAST_CHUNKS 64u /* of a dead worker: more than a socket holds */

struct tap_client {
	struct tap *tap;
	LIST_ENTRY(tap_client) link;
	struct loop_watch watch;
	uint64_t pos; /* of the console's bytes: shown up to here */
	void (*left)(void *arg);
	void *arg;
	bool gone;
};

static void client_leave(struct tap_client *c)
{
	if (c->gone)
		return;
	c->gone = true;
	loop_want(c->tap->loop, &c->watch, 0);
	c->left(c->arg);
}

/* Unlink those that are gone; they live on until tap_sweep(). */
static void unlink_gone(struct tap *t)
{
	struct tap_client *c, *next;

	for (c = LIST_FIRST(&t->clients); c; c = next) {
		next = LIST_NEXT(c, link);
		if (!c->gone)
			continue;
		LIST_REMOVE(c, link);
		LIST_INSERT_HEAD(&t->left, c, link);
		t->nr_clients--;
	}
}

static void client_show(struct tap_client *c)
{
	struct tap *t = c->tap;

	if (t->head - c->pos > TAP_BYTES)
		c->pos = t->head - TAP_BYTES; /* too slow: lost */
	while (!c->gone && c->pos < t->head) {
		size_t at = c->pos % TAP_BYTES;
		size_t n = min_u64(t->head - c->pos, TAP_BYTES - at);
		ssize_t sent = send(c->watch.fd, t->ring + at, n,
				    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent > 0)
			c->pos += (size_t)sent;
		else if (sent < 0 && errno == EAGAIN)
			break;
		else if (sent == 0 || errno != EINTR)
			client_leave(c);
	}
	if (t->ended && c->pos == t->head)
		client_leave(c);
	if (!c->gone)
		loop_want(t->loop, &c->watch,
			  (typed_room(&t->typed) ? EPOLLIN : 0u) |
				  (c->pos < t->head ? EPOLLOUT : 0u));
}

static void show_all(struct tap *t)
{
	struct tap_client *c;

	LIST_FOREACH(c, &t->clients, link)
		client_show(c);
	unlink_gone(t);
}

static void give_input(struct tap *t)
{
	if (!t->ended)
		typed_give(&t->typed, t->watch.fd);
}

static void tap_want(struct tap *t)
{
	if (!t->ended)
		loop_want(t->loop, &t->watch,
			  EPOLLIN | (typed_waits(&t->typed) ? EPOLLOUT : 0u));
}

void tap_type(struct tap *t, const void *bytes, size_t n)
{
	(void)typed_add(&t->typed, bytes, n);
	give_input(t);
	tap_want(t);
}

static void client_ready(struct loop_watch *w, uint32_t events)
{
	struct tap_client *c = container_of(w, struct tap_client, watch);
	struct tap *t = c->tap;
	uint8_t buf[256];
	ssize_t n;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		n = recv(w->fd, buf,
			 min_u64(sizeof(buf), typed_room(&t->typed)),
			 MSG_DONTWAIT);
		if (n > 0)
			tap_type(t, buf, (size_t)n);
		else if (typed_room(&t->typed) &&
			 (n == 0 || (errno != EAGAIN && errno != EINTR)))
			client_leave(c);
		else if (events & (EPOLLHUP | EPOLLERR))
			client_leave(c);
	}
	show_all(t);
}

/* Return: false when nothing is left to read. */
static bool tap_fill(struct tap *t)
{
	size_t at = t->head % TAP_BYTES;
	ssize_t n = recv(t->watch.fd, t->ring + at,
			 min_u64(CHUNK, TAP_BYTES - at), MSG_DONTWAIT);

	if (n > 0)
		t->head += (size_t)n;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		loop_want(t->loop, &t->watch, 0); /* until tap_end() */
	return n > 0;
}

static void tap_ready(struct loop_watch *w, uint32_t events)
{
	struct tap *t = container_of(w, struct tap, watch);

	if (events & EPOLLOUT) {
		give_input(t);
		tap_want(t);
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		(void)tap_fill(t);
	show_all(t);
}

void tap_open(struct tap *t, struct loop *loop, int fd)
{
	memset(t, 0, offsetof(struct tap, ring));
	t->loop = loop;
	t->watch.fd = fd;
	t->watch.ready = tap_ready;
	tap_want(t);
}

void tap_end(struct tap *t)
{
	if (t->ended)
		return;
	for (unsigned i = 0; i < LAST_CHUNKS && tap_fill(t); i++)
		show_all(t);
	loop_want(t->loop, &t->watch, 0);
	t->ended = true;
	show_all(t);
}

void tap_close(struct tap *t)
{
	struct tap_client *c;

	if (!t || !t->loop)
		return;
	loop_want(t->loop, &t->watch, 0);
	t->ended = true;
	LIST_FOREACH(c, &t->clients, link)
		client_leave(c);
	unlink_gone(t);
}

int tap_attach(struct tap *t, int fd, void (*left)(void *arg), void *arg)
{
	struct tap_client *c;

	if (t->nr_clients == TAP_MAX_CLIENTS)
		return -EBUSY;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->tap = t;
	c->watch.fd = fd;
	c->watch.ready = client_ready;
	c->pos = t->head > TAP_BYTES ? t->head - TAP_BYTES : 0;
	c->left = left;
	c->arg = arg;
	LIST_INSERT_HEAD(&t->clients, c, link);
	t->nr_clients++;
	show_all(t);
	return 0;
}

void tap_sweep(struct tap *t)
{
	struct tap_client *c;

	while ((c = LIST_FIRST(&t->left))) {
		LIST_REMOVE(c, link);
		free(c);
	}
}
