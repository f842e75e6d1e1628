/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/virtio/console_ports.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK		8192u
#define PORT_NAME_BYTES 40u

/* 5.3.6.2: struct virtio_console_control, and its events. */
struct port_message {
	uint32_t id;
	uint16_t event, value;
};

enum port_event {
	PORT_DEVICE_READY = 0,
	PORT_ADD = 1,
	PORT_READY = 3,
	PORT_CONSOLE = 4,
	PORT_OPEN = 6,
	PORT_NAME = 7,
};

static unsigned port_number(const struct guest_port *p)
{
	return (unsigned)(p - p->set->ports);
}

static unsigned port_rx(const struct guest_port *p)
{
	return 2 * port_number(p) + 2;
}

static unsigned port_tx(const struct guest_port *p)
{
	return 2 * port_number(p) + 3;
}

static bool port_is_stream(const struct guest_port *p)
{
	return port_number(p) >= GUEST_PORT_STREAMS;
}

static enum guest_stream port_stream(const struct guest_port *p)
{
	return (port_number(p) - GUEST_PORT_STREAMS) % GUEST_STREAMS;
}

/* Does the guest read it, does the guest write it? */
static bool port_is_read(const struct guest_port *p)
{
	return !port_is_stream(p) || port_stream(p) == GUEST_IN;
}

static bool port_is_written(const struct guest_port *p)
{
	return !port_is_stream(p) || port_stream(p) != GUEST_IN;
}

static void port_name(const struct guest_port *p, char name[PORT_NAME_BYTES])
{
	static const char *const streams[] = {
		[GUEST_IN] = "in", [GUEST_OUT] = "out", [GUEST_ERR] = "err"
	};
	unsigned n = port_number(p) - GUEST_PORT_STREAMS;

	if (!port_is_stream(p))
		(void)snprintf(name, PORT_NAME_BYTES, "org.qemu.guest_agent.0");
	else
		(void)snprintf(name, PORT_NAME_BYTES, "org.disco.exec.%u.%s",
			       n / GUEST_STREAMS, streams[port_stream(p)]);
}

/* --- control queue: to the guest --- */

/*
 * Return: false: the guest has no buffer for it now; the control queue is
 * notified when there is one.
 */
static bool port_send(struct console_ports *s, unsigned id,
		      enum port_event event, unsigned value, const char *name)
{
	struct port_message m = { id, (uint16_t)event, (uint16_t)value };
	struct vq *q = &s->v->queues[PORT_QUEUE_CONTROL_RX].vq;
	struct vq_chain c;
	size_t n;

	while (!virtio_pop(s->v, PORT_QUEUE_CONTROL_RX, &c))
		if (!vq_arm(q))
			return false;
	/* A buffer that is too small loses the rest: the guest's loss. */
	n = iov_write(c.iov + c.nr_out, c.nr_in, 0, &m, sizeof(m));
	n += iov_write(c.iov + c.nr_out, c.nr_in, sizeof(m), name,
		       strlen(name));
	virtio_push(s->v, PORT_QUEUE_CONTROL_RX, c.head, (uint32_t)n);
	return true;
}

static bool port_tell_kind(struct guest_port *p)
{
	char name[PORT_NAME_BYTES];
	unsigned id = port_number(p);

	if (id == GUEST_PORT_CONSOLE)
		return port_send(p->set, id, PORT_CONSOLE, 1, "");
	port_name(p, name);
	return port_send(p->set, id, PORT_NAME, 1, name);
}

/* What the guest has not been told yet, as far as it has buffers. */
static void ports_tell(struct console_ports *s)
{
	uint16_t offered = vq_offered(&s->v->queues[PORT_QUEUE_CONTROL_RX].vq);

	if (offered > s->most)
		s->most = offered;
	for (unsigned i = 0; i < GUEST_NR_PORTS; i++) {
		struct guest_port *p = &s->ports[i];

		if (p->tell_add && !port_send(s, i, PORT_ADD, 1, ""))
			return;
		p->tell_add = false;
		if (p->tell_kind && !port_tell_kind(p))
			return;
		p->tell_kind = false;
		if (p->tell_open &&
		    !port_send(s, i, PORT_OPEN, p->host_open, ""))
			return;
		p->tell_open = false;
	}
}

static void port_set_open(struct guest_port *p, bool open)
{
	if (p->host_open == open)
		return;
	p->host_open = open;
	p->tell_open = true;
}

/* --- state --- */

static void ports_publish(struct console_ports *s)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < GUEST_NR_PORTS; i++)
		if (s->ports[i].guest_open || s->ports[i].closing)
			mask |= 1ull << i;
	if (s->changed)
		s->changed(s->changed_arg, mask);
}

static void port_set_free(struct guest_port *p)
{
	p->closing = p->settling = false;
	ports_publish(p->set);
}

/* Has the guest handled all messages? */
static bool ports_are_settled(struct console_ports *s)
{
	struct vq *q = &s->v->queues[PORT_QUEUE_CONTROL_RX].vq;
	uint16_t offered;

	do {
		offered = vq_offered(q);
		if (offered >= s->most)
			return true;
	} while (vq_arm_next(q, offered));
	return false;
}

static void ports_settle(struct console_ports *s)
{
	bool settling = false;

	for (unsigned i = 0; i < GUEST_NR_PORTS; i++)
		settling = settling || s->ports[i].settling;
	if (!settling || !ports_are_settled(s))
		return;
	for (unsigned i = 0; i < GUEST_NR_PORTS; i++)
		if (s->ports[i].settling && !s->ports[i].tell_open)
			port_set_free(&s->ports[i]);
}

static void ports_wake(struct console_ports *s)
{
	(void)eventfd_write(s->work.fd, 1);
}

static void port_opened(struct guest_port *p, bool open)
{
	if (p->guest_open == open)
		return;
	p->guest_open = open;
	if (!open && port_is_stream(p)) {
		p->closing = true;
		p->settling = false;
	}
	ports_publish(p->set);
	/* Its socket belongs to the I/O thread. */
	ports_wake(p->set);
}

/* --- control queue: from the guest --- */

static void port_obey(struct console_ports *s, const struct port_message *m)
{
	if (m->event == PORT_DEVICE_READY && m->value == 1) {
		for (unsigned i = 0; i < GUEST_NR_PORTS; i++)
			s->ports[i].tell_add = true;
		return;
	}
	if (m->id >= GUEST_NR_PORTS)
		return;
	if (m->event == PORT_READY && m->value == 1)
		s->ports[m->id].tell_kind = s->ports[m->id].tell_open = true;
	else if (m->event == PORT_OPEN)
		port_opened(&s->ports[m->id], m->value != 0);
}

/* Linux spins until its message is taken: this is served in the exit. */
static enum virtio_served ports_serve_control(struct console_ports *s)
{
	unsigned budget = VQ_MAX_SIZE;
	struct port_message m;
	struct vq_chain c;

	for (; budget; budget--) {
		if (!virtio_pop(s->v, PORT_QUEUE_CONTROL_TX, &c)) {
			break;
		}
		if (iov_read(c.iov, c.nr_out, 0, &m, sizeof(m)) == sizeof(m))
			port_obey(s, &m);
		virtio_push(s->v, PORT_QUEUE_CONTROL_TX, c.head, 0);
	}
	ports_tell(s);
	ports_settle(s);
	return budget ? SERVED_ALL : SERVED_SOME;
}

/* --- bytes; I/O thread, lock held --- */

static void port_want(struct guest_port *p, uint32_t events)
{
	struct dev_host *h = p->set->v->host;

	if (p->sock.fd < 0 || p->events == events)
		return;
	p->events = events;
	/* Without its events the port stands still, and nothing else does. */
	if (h->ops->watch(h, &p->sock, events))
		p->events = 0;
}

static void port_hang_up(struct guest_port *p)
{
	port_want(p, 0);
	if (p->sock.fd >= 0)
		(void)close(p->sock.fd);
	p->sock.fd = -1;
	p->full = p->ended = false;
}

/* Send what is left of @c. Return: false: not all of it, for now. */
static bool port_put(struct guest_port *p, const struct vq_chain *c,
		     size_t *most)
{
	uint8_t buf[CHUNK];

	while (p->sent < c->out_bytes) {
		size_t n =
			iov_read(c->iov, c->nr_out, p->sent, buf, sizeof(buf));
		ssize_t done;

		if (n == 0)
			break;
		if (*most == 0)
			return false;
		done = send(p->sock.fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			p->full = errno == EAGAIN;
			if (!p->full)
				port_hang_up(p); /* nobody reads it */
			return false;
		}
		p->sent += (size_t)done;
		*most -= min_u64(*most, (size_t)done);
	}
	return true;
}

/* SERVED_ALL: the guest has written nothing that was not sent. */
static enum virtio_served port_serve_tx(struct guest_port *p)
{
	unsigned queue = port_tx(p);
	size_t most = PORT_TURN_BYTES;
	struct vq_chain c;

	p->full = false;
	for (unsigned budget = VQ_MAX_SIZE; budget; budget--) {
		bool drop = p->sock.fd < 0 || !port_is_written(p);

		if (p->sock.fd < 0 && !p->closing)
			return SERVED_WAIT;
		if (!virtio_pop(p->set->v, queue, &c))
			return SERVED_ALL;
		if (!drop && !port_put(p, &c, &most)) {
			vq_unpop(&p->set->v->queues[queue].vq);
			return most == 0 ? SERVED_SOME : SERVED_WAIT;
		}
		p->sent = 0;
		virtio_push(p->set->v, queue, c.head, 0);
	}
	return SERVED_SOME;
}

/* The end of file of a socket, or its end. */
static void port_socket_ended(struct guest_port *p)
{
	if (!port_is_stream(p)) {
		port_hang_up(p); /* control is gone */
		return;
	}
	p->ended = true;
	port_set_open(p, false);
	ports_tell(p->set);
}

/*
 * Receive from the socket into the guest's next buffer. Return: the number of
 * bytes; 0 the guest has no buffer, or the socket is empty or has ended.
 */
static size_t port_get(struct guest_port *p, bool *empty)
{
	unsigned queue = port_rx(p);
	struct vq *q = &p->set->v->queues[queue].vq;
	uint8_t buf[CHUNK];
	struct vq_chain c;
	ssize_t n;

	while (!virtio_pop(p->set->v, queue, &c))
		if (!vq_arm(q))
			return 0;
	n = recv(p->sock.fd, buf, min_u64(c.in_bytes, sizeof(buf)),
		 MSG_DONTWAIT);
	if (n > 0) {
		(void)iov_write(c.iov + c.nr_out, c.nr_in, 0, buf, (size_t)n);
		virtio_push(p->set->v, queue, c.head, (uint32_t)n);
		return (size_t)n;
	}
	vq_unpop(q);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		*empty = true;
	else if (c.in_bytes)
		port_socket_ended(p);
	return 0;
}

static void port_receive(struct guest_port *p)
{
	bool waits = false; /* for the socket */
	size_t got, most = PORT_TURN_BYTES;

	if (p->guest_open && !p->closing && port_is_read(p)) {
		while (p->sock.fd >= 0 && !p->ended && most) {
			got = port_get(p, &waits);
			if (got == 0)
				break;
			most -= min_u64(most, got);
		}
		waits = waits || most == 0;
	}
	port_want(p, (waits && !p->ended ? EPOLLIN : 0u) |
			     (p->full ? EPOLLOUT : 0u));
}

/* The guest has closed it: what it wrote goes first. */
static void port_finish(struct guest_port *p)
{
	enum virtio_served served = port_serve_tx(p);

	if (served == SERVED_SOME)
		ports_wake(p->set);
	if (served != SERVED_ALL && p->sock.fd >= 0)
		return;
	if (served != SERVED_ALL) { /* nobody reads it: drop it */
		ports_wake(p->set);
		return;
	}
	port_hang_up(p);
	p->settling = !p->host_open || p->tell_open;
	port_set_open(p, true);
	ports_tell(p->set);
	if (!p->settling)
		port_set_free(p);
	ports_settle(p->set);
}

static void port_turn(struct guest_port *p)
{
	if (p->closing && !p->settling)
		port_finish(p);
	port_receive(p);
}

enum virtio_served console_ports_serve(struct console_ports *s, unsigned queue)
{
	struct guest_port *p = &s->ports[queue / 2 - 1];
	enum virtio_served served = SERVED_WAIT;

	if (queue == PORT_QUEUE_CONTROL_TX)
		return ports_serve_control(s);
	if (queue == PORT_QUEUE_CONTROL_RX) {
		ports_tell(s);
		ports_settle(s);
		return SERVED_WAIT;
	}
	if (queue % 2 && port_is_written(p))
		served = port_serve_tx(p);
	port_turn(p);
	return served;
}

static void port_ready(struct io_watch *w, uint32_t events)
{
	struct guest_port *p = container_of(w, struct guest_port, sock);
	bool full = p->full;

	(void)events;
	p->full = false; /* or it is found to be again */
	if (full)
		virtio_serve(p->set->v, port_tx(p));
	(void)pthread_mutex_lock(&p->set->v->lock);
	port_turn(p);
	(void)pthread_mutex_unlock(&p->set->v->lock);
}

static void ports_work(struct io_watch *w, uint32_t events)
{
	struct console_ports *s = container_of(w, struct console_ports, work);
	eventfd_t count;

	(void)events;
	if (eventfd_read(w->fd, &count) < 0)
		return;
	(void)pthread_mutex_lock(&s->v->lock);
	for (unsigned i = GUEST_PORT_AGENT; i < GUEST_NR_PORTS; i++)
		port_turn(&s->ports[i]);
	(void)pthread_mutex_unlock(&s->v->lock);
}

/* --- life --- */

void console_ports_attach(struct console_ports *s, uint32_t port, int fd)
{
	struct guest_port *p;

	if (port < GUEST_PORT_AGENT || port >= GUEST_NR_PORTS) {
		(void)close(fd);
		return;
	}
	p = &s->ports[port];
	(void)pthread_mutex_lock(&s->v->lock);
	port_hang_up(p);
	p->sock.fd = fd;
	port_set_open(p, true);
	ports_tell(s);
	(void)pthread_mutex_unlock(&s->v->lock);
	/* The guest may have written before. */
	virtio_serve(s->v, port_tx(p));
	(void)pthread_mutex_lock(&s->v->lock);
	port_turn(p);
	(void)pthread_mutex_unlock(&s->v->lock);
}

void console_ports_reset(struct console_ports *s)
{
	if (!s->v)
		return; /* the one of virtio_init() */
	s->most = 0;
	for (unsigned i = 0; i < GUEST_NR_PORTS; i++) {
		struct guest_port *p = &s->ports[i];

		p->tell_add = p->tell_kind = p->tell_open = false;
		p->sent = 0;
		port_opened(p, false);
	}
}

int console_ports_init(struct console_ports *s, struct virtio_dev *v)
{
	*s = (struct console_ports){ .v = v, .work = { .ready = ports_work } };
	for (unsigned i = 0; i < GUEST_NR_PORTS; i++) {
		s->ports[i].set = s;
		s->ports[i].host_open = true;
		s->ports[i].sock =
			(struct io_watch){ .fd = -1, .ready = port_ready };
	}
	s->work.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->work.fd < 0)
		return -errno;
	return v->host->ops->watch(v->host, &s->work, EPOLLIN);
}

void console_ports_destroy(struct console_ports *s)
{
	if (!s || !s->v)
		return;
	for (unsigned i = 0; i < GUEST_NR_PORTS; i++)
		if (s->ports[i].sock.fd >= 0)
			(void)close(s->ports[i].sock.fd);
	if (s->work.fd >= 0)
		(void)close(s->work.fd);
	s->v = NULL;
}
