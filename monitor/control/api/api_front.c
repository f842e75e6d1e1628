/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/api/api_front.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "disco/clock.h"
#include "disco/exit_status.h"
#include "monitor/control/api/api.h"
#include "monitor/control/api/api_head.h"
#include "monitor/control/api/mhd.h"

#define DRAIN_BYTES KIB(256) /* of a request that was refused */
#define AGAIN_NS    100000000u

struct api_front {
	struct loop *loop;
	struct MHD_Daemon *daemon;
	struct loop_watch listener;
	/*
	 * Armed while accept() fails for want of descriptors or memory: the
	 * listener stays ready, and nothing would tell when there are some.
	 */
	struct loop_timer again;
	unsigned most, nr; /* nr: not handed over yet */
	struct front_conn *first;
};

struct front_conn {
	struct api_front *front;
	struct front_conn *next, **link;
	struct loop_watch watch;
	struct loop_timer timer;
	uint64_t begun_ns;
	size_t seen; /* bytes that had come */
};

/* Its descriptor is somebody else's, or closed. */
static void front_conn_free(struct front_conn *k)
{
	struct api_front *f = k->front;

	loop_timer_cancel(f->loop, &k->timer);
	*k->link = k->next;
	if (k->next)
		k->next->link = k->link;
	f->nr--;
	free(k);
}

static void front_conn_close(struct front_conn *k)
{
	int fd = k->watch.fd;

	loop_want(k->front->loop, &k->watch, 0);
	(void)close(fd);
	front_conn_free(k);
}

/*
 * An answer fits the socket's buffer. What the client has sent is read first:
 * else closing would be a reset to it, which may take the answer away.
 */
static void front_conn_refuse(struct front_conn *k,
			      const struct api_head_error *e)
{
	char body[256], text[512], rest[4096];
	int n, len = snprintf(body, sizeof(body),
			      "{\"error\":\"%s\",\"status\":%d}", e->text,
			      ST_USAGE);

	for (size_t i = 0; i < DRAIN_BYTES / sizeof(rest); i++)
		if (recv(k->watch.fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
			break;
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 %u %s\r\nConnection: close\r\n"
		     "Content-Type: application/json\r\n"
		     "Content-Length: %d\r\n\r\n%s",
		     e->http, mhd.get_reason_phrase_for(e->http), len, body);
	(void)send(k->watch.fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	front_conn_close(k);
}

/* MHD closes what it cannot take. */
static void front_conn_hand_over(struct front_conn *k)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct MHD_Daemon *daemon = k->front->daemon;
	int fd = k->watch.fd;

	loop_want(k->front->loop, &k->watch, 0);
	front_conn_free(k);
	(void)mhd.add_connection(daemon, fd, (struct sockaddr *)&addr,
				 sizeof(addr.sun_family));
}

/* As MHD's own: silent for API_IDLE_S, or API_LIFE_NS in all. */
static void front_conn_wait(struct front_conn *k)
{
	loop_timer_set(k->front->loop, &k->timer,
		       min_u64(clock_now_ns() + API_IDLE_S * 1000000000ull,
			       k->begun_ns + API_LIFE_NS));
}

static void front_on_timer(struct loop_timer *t)
{
	static const struct api_head_error late = {
		408, "the request did not come in time"
	};
	struct front_conn *k = container_of(t, struct front_conn, timer);

	if (k->seen)
		front_conn_refuse(k, &late);
	else
		front_conn_close(k);
}

static void front_on_ready(struct loop_watch *w, uint32_t events)
{
	static const struct api_head_error cut = { 400, "the head ends early" };
	struct front_conn *k = container_of(w, struct front_conn, watch);
	struct api_head_error e = { .http = 400 };
	char head[API_HEAD_MAX];
	ssize_t n = recv(w->fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		front_conn_close(k);
		return;
	}
	switch (api_head_check(head, (size_t)n, &e)) {
	case API_HEAD_GOOD:
		front_conn_hand_over(k);
		return;
	case API_HEAD_BAD:
		front_conn_refuse(k, &e);
		return;
	case API_HEAD_MORE:
		break;
	}
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		front_conn_refuse(k, &cut);
		return;
	}
	if ((size_t)n > k->seen)
		front_conn_wait(k);
	k->seen = (size_t)n;
}

/* --- all of them --- */

/* EPOLLET: what was looked at stays in the socket, and is no news. */
static void front_add(struct api_front *f, int fd)
{
	struct front_conn *k = calloc(1, sizeof(*k));

	if (!k) {
		(void)close(fd);
		return;
	}
	k->front = f;
	k->watch.fd = fd;
	k->watch.ready = front_on_ready;
	k->timer.expired = front_on_timer;
	k->begun_ns = clock_now_ns();
	k->next = f->first;
	k->link = &f->first;
	if (k->next)
		k->next->link = &k->next;
	f->first = k;
	f->nr++;
	front_conn_wait(k);
	loop_want(f->loop, &k->watch, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

static bool front_has_room(const struct api_front *f)
{
	const union MHD_DaemonInfo *info = mhd.get_daemon_info(
		f->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return f->nr + (info ? info->num_connections : 0) < f->most;
}

static void front_on_listener(struct loop_watch *w, uint32_t events)
{
	struct api_front *f = container_of(w, struct api_front, listener);

	(void)events;
	while (front_has_room(f)) {
		int fd = accept4(w->fd, NULL, NULL,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			front_add(f, fd);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			loop_timer_set(f->loop, &f->again,
				       clock_now_ns() + AGAIN_NS);
		return;
	}
}

static void front_on_again(struct loop_timer *t)
{
	(void)t; /* the turn's end looks whether there is room */
}

void api_front_turn(struct api_front *f)
{
	bool listens = !f->again.at_ns && front_has_room(f);

	loop_want(f->loop, &f->listener, listens ? EPOLLIN : 0u);
}

int api_front_create(struct loop *loop, int listener, struct MHD_Daemon *daemon,
		     unsigned most, struct api_front **out)
{
	struct api_front *f = calloc(1, sizeof(*f));

	if (!f) {
		(void)close(listener);
		return -ENOMEM;
	}
	f->loop = loop;
	f->daemon = daemon;
	f->most = most;
	f->listener.fd = listener;
	f->listener.ready = front_on_listener;
	f->again.expired = front_on_again;
	*out = f;
	api_front_turn(f);
	return 0;
}

void api_front_destroy(struct api_front *f)
{
	struct front_conn *next;

	if (!f)
		return;
	for (struct front_conn *k = f->first; k; k = next) {
		next = k->next;
		front_conn_close(k);
	}
	loop_want(f->loop, &f->listener, 0);
	loop_timer_cancel(f->loop, &f->again);
	(void)close(f->listener.fd);
	free(f);
}
