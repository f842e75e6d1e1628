/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/platform/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "disco/clock.h"

#define FLUSH_BYTES 16384u
#define PACE_NS	    20000000
#define INPUT_CHUNK 256u

_Static_assert((CONSOLE_OUT_BYTES & (CONSOLE_OUT_BYTES - 1)) == 0,
	       "free-running indices need a power of two");

static uint32_t console_dev_used(const struct console *c)
{
	return c->head - c->tail;
}

/*
 * Lock held: make sure the buffer will be sent. @line: it has a whole line now.
 * A guest that writes many short lines wakes the I/O thread once for many.
 */
static void console_dev_arm(struct console *c, bool line)
{
	bool much = console_dev_used(c) >= FLUSH_BYTES;
	struct itimerspec t = { .it_value.tv_nsec = CONSOLE_FLUSH_NS };
	uint64_t since;

	if (c->woken || (c->armed && !line && !much))
		return;
	since = clock_now_ns() - c->sent_ns;
	if (much || (line && since >= PACE_NS)) {
		c->woken = true;
		(void)eventfd_write(c->wake.fd, 1);
	} else if (!c->armed) {
		if (since < PACE_NS - CONSOLE_FLUSH_NS)
			t.it_value.tv_nsec = (long)(PACE_NS - since);
		(void)timerfd_settime(c->timer.fd, 0, &t, NULL);
	}
	c->armed = true;
}

/* Lock held, nobody reads: keep the last bytes. */
static void put_last(struct console *c, const uint8_t *buf, size_t len)
{
	size_t skip = len > CONSOLE_OUT_BYTES ? len - CONSOLE_OUT_BYTES : 0;

	for (size_t i = skip; i < len; i++)
		c->out[c->head++ % CONSOLE_OUT_BYTES] = buf[i];
	if (console_dev_used(c) > CONSOLE_OUT_BYTES)
		c->tail = c->head - CONSOLE_OUT_BYTES;
}

/* Lock held: @buf was taken. */
static void console_dev_scan(struct console *c, struct console_port *p,
			     const uint8_t *buf, size_t len)
{
	c->written += len;
	if (!panic_line_feed(&p->panic, buf, len) || c->panicked)
		return;
	memcpy(c->panic_text, p->panic.text, sizeof(c->panic_text));
	c->panicked = true;
	(void)eventfd_write(c->wake.fd, 1);
}

size_t console_put(struct console *c, struct console_port *p,
		   const uint8_t *buf, size_t len)
{
	uint32_t free_bytes;
	size_t n;

	(void)pthread_mutex_lock(&c->lock);
	c->focus = p;
	if (c->away) {
		put_last(c, buf, len);
		console_dev_scan(c, p, buf, len);
		(void)pthread_mutex_unlock(&c->lock);
		return len;
	}
	free_bytes = CONSOLE_OUT_BYTES - console_dev_used(c);
	n = min_u64(len, free_bytes > p->leaves ? free_bytes - p->leaves : 0);
	for (size_t i = 0; i < n; i++)
		c->out[c->head++ % CONSOLE_OUT_BYTES] = buf[i];
	if (n < len)
		c->refused = true;
	console_dev_scan(c, p, buf, n);
	if (n)
		console_dev_arm(c, memchr(buf, '\n', n));
	(void)pthread_mutex_unlock(&c->lock);
	return n;
}

bool console_has_room(struct console *c, size_t bytes)
{
	bool fits;

	(void)pthread_mutex_lock(&c->lock);
	fits = c->away || bytes <= CONSOLE_OUT_BYTES - console_dev_used(c);
	if (!fits)
		c->refused = true;
	(void)pthread_mutex_unlock(&c->lock);
	return fits;
}

void console_want_input(struct console *c)
{
	(void)eventfd_write(c->wake.fd, 1);
}

uint64_t console_written(struct console *c)
{
	uint64_t written;

	(void)pthread_mutex_lock(&c->lock);
	written = c->written;
	(void)pthread_mutex_unlock(&c->lock);
	return written;
}

static void set_away(struct console *c, bool away)
{
	(void)pthread_mutex_lock(&c->lock);
	c->away = away;
	(void)pthread_mutex_unlock(&c->lock);
}

/*
 * Send one contiguous part. Return: true when there may be more to send and
 * the socket took it all. The reader being gone counts as sent, unless another
 * may come: nobody can read it any more and the guest must not hang on that.
 */
static bool send_part(struct console *c)
{
	uint32_t at, n;
	ssize_t sent;

	(void)pthread_mutex_lock(&c->lock);
	at = c->tail % CONSOLE_OUT_BYTES;
	n = (uint32_t)min_u64(console_dev_used(c), CONSOLE_OUT_BYTES - at);
	c->armed = c->woken = false;
	if (c->away)
		n = 0;
	if (n)
		c->sent_ns = clock_now_ns();
	(void)pthread_mutex_unlock(&c->lock);
	if (n == 0)
		return false;
	/* Bytes [tail, tail + n) are stable: only this thread moves tail. */
	sent = send(c->sock.fd, c->out + at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (sent < 0 && c->keep) {
		set_away(c, true);
		return false;
	}
	if (sent < 0)
		sent = n;
	(void)pthread_mutex_lock(&c->lock);
	c->tail += (uint32_t)sent;
	(void)pthread_mutex_unlock(&c->lock);
	return (uint32_t)sent == n;
}

static void tell_drained(struct console *c)
{
	bool tell;

	(void)pthread_mutex_lock(&c->lock);
	tell = c->refused &&
	       (c->away || console_dev_used(c) < CONSOLE_OUT_BYTES / 2);
	if (tell)
		c->refused = false;
	(void)pthread_mutex_unlock(&c->lock);
	for (unsigned i = 0; tell && i < c->nr_ports; i++)
		c->ports[i]->drained(c->ports[i]);
}

static void tell_panic(struct console *c)
{
	char text[PANIC_TEXT_BYTES];
	bool tell;

	(void)pthread_mutex_lock(&c->lock);
	tell = c->panicked;
	c->panicked = false;
	memcpy(text, c->panic_text, sizeof(text));
	(void)pthread_mutex_unlock(&c->lock);
	if (tell && c->panic_seen)
		c->panic_seen(c->panic_arg, text);
}

static void take_input(struct console *c)
{
	uint8_t buf[INPUT_CHUNK];
	struct console_port *p;
	size_t room;
	ssize_t n;

	(void)pthread_mutex_lock(&c->lock);
	p = c->focus;
	(void)pthread_mutex_unlock(&c->lock);
	room = p && !c->eof ? min_u64(p->room(p), sizeof(buf)) : 0;
	if (room == 0)
		return;
	n = recv(c->sock.fd, buf, room, MSG_DONTWAIT);
	if (n > 0)
		p->input(p, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		c->eof = true;
}

/* Wait for just what can be used, or a level-triggered loop would spin. */
static void update_events(struct console *c)
{
	struct console_port *p;
	uint32_t want = 0;
	bool pending;

	(void)pthread_mutex_lock(&c->lock);
	p = c->focus;
	pending = console_dev_used(c) > 0 && !c->away;
	(void)pthread_mutex_unlock(&c->lock);
	if (p && !c->eof && p->room(p) > 0)
		want |= EPOLLIN;
	if (pending)
		want |= EPOLLOUT;
	if (want == c->events)
		return;
	c->events = want;
	(void)c->host->ops->watch(c->host, &c->sock, want);
}

static void console_dev_pump(struct console *c)
{
	while (send_part(c))
		;
	tell_drained(c);
	tell_panic(c);
	take_input(c);
	update_events(c);
}

static void console_dev_sock_ready(struct io_watch *w, uint32_t events)
{
	/* A hang-up shows as end of file, after what was typed before it. */
	(void)events;
	console_dev_pump(container_of(w, struct console, sock));
}

static void drain_counter(struct io_watch *w)
{
	uint64_t count;

	if (read(w->fd, &count, sizeof(count)) < 0)
		return;
}

static void console_dev_timer_ready(struct io_watch *w, uint32_t events)
{
	(void)events;
	drain_counter(w);
	console_dev_pump(container_of(w, struct console, timer));
}

static void wake_ready(struct io_watch *w, uint32_t events)
{
	(void)events;
	drain_counter(w);
	console_dev_pump(container_of(w, struct console, wake));
}

void console_keep(struct console *c)
{
	c->keep = true;
}

void console_detach(struct console *c)
{
	set_away(c, true);
	c->eof = true;
	console_dev_pump(
		c); /* takes the descriptor off, tells who waits for room */
}

void console_attach(struct console *c)
{
	set_away(c, false);
	c->eof = false;
	console_dev_pump(c);
}

static int64_t now_ms(void)
{
	return (int64_t)(clock_now_ns() / 1000000);
}

void console_flush(struct console *c, int ms)
{
	struct pollfd p = { .fd = c->sock.fd, .events = POLLOUT };
	int64_t end = now_ms() + ms, left;

	while (console_dev_used(c) > 0 && !c->away) {
		if (send_part(c) || console_dev_used(c) == 0)
			continue;
		left = end - now_ms();
		if (left <= 0 || poll(&p, 1, (int)left) <= 0)
			return;
	}
}

void console_add_port(struct console *c, struct console_port *p)
{
	c->ports[c->nr_ports++] = p;
	if (!c->focus)
		c->focus = p;
}

int console_init(struct console *c, struct dev_host *host, int fd)
{
	int err;

	*c = (struct console){ .host = host };
	(void)pthread_mutex_init(&c->lock, NULL);
	c->sock =
		(struct io_watch){ .fd = fd, .ready = console_dev_sock_ready };
	c->timer = (struct io_watch){ .ready = console_dev_timer_ready };
	c->wake = (struct io_watch){ .ready = wake_ready };
	c->timer.fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	c->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->timer.fd < 0 || c->wake.fd < 0 ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	c->events = EPOLLIN;
	err = host->ops->watch(host, &c->timer, EPOLLIN);
	if (!err)
		err = host->ops->watch(host, &c->wake, EPOLLIN);
	if (!err)
		err = host->ops->watch(host, &c->sock, EPOLLIN);
	return err;
}

void console_destroy(struct console *c)
{
	if (!c->host)
		return;
	(void)close(c->timer.fd);
	(void)close(c->wake.fd);
	(void)pthread_mutex_destroy(&c->lock);
}
