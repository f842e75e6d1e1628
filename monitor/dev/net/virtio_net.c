/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/net/virtio_net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/dev/net/net_control.h"
#include "monitor/dev/net/virtio_net_internal.h"

#define DISCARD	     1024u    /* frames, before others have their turn */
#define DISCARD_NS   1000000u /* until the next ones */
#define DEAF_NS	     5000000u /* between looks without wake-ups */
#define SECOND_NS    1000000000u
#define S_LINK_UP    1u
#define CONFIG_BYTES 12u

_Static_assert(2 * NET_MAX_QUEUES + 1 <= VIRTIO_MAX_QUEUES, "a place a queue");
_Static_assert(2 * NET_MAX_QUEUES + 1 < MSIX_MAX, "a vector a queue");

static struct virtio_net *net_from_dev(struct virtio_dev *v)
{
	return container_of(v, struct virtio_net, v);
}

void net_arm(struct virtio_net *n, uint64_t now, uint64_t ns)
{
	const struct itimerspec t = {
		.it_value = { .tv_sec = (long)(ns / SECOND_NS),
			      .tv_nsec = (long)(ns % SECOND_NS) },
	};

	n->timer_ns = now + ns;
	(void)timerfd_settime(n->timer.fd, 0, &t, NULL);
}

void net_arm_by(struct virtio_net *n, uint64_t at_ns)
{
	uint64_t now = clock_now_ns();

	if (!n->timer_ns || at_ns < n->timer_ns)
		net_arm(n, now, at_ns > now ? at_ns - now : 1);
}

void net_show_counts(struct virtio_net *n)
{
	uint64_t now[NET_COUNTS];

	if (!n->counts)
		return;
	memcpy(now, &n->port->stats, sizeof(now));
	for (unsigned i = 0; i < NET_COUNTS; i++)
		atomic_store_explicit(&n->counts[i], now[i],
				      memory_order_relaxed);
	if (n->shown == n->port->claims.changes)
		return;
	n->shown = n->port->claims.changes;
	for (unsigned i = 0; i < VNET_CLAIM_WORDS; i++)
		atomic_store_explicit(&n->counts[NET_SHOWN_CLAIMS + i],
				      n->port->claims.words[i],
				      memory_order_relaxed);
}

/* What the port does not use any more goes, now or when the timer expires. */
static void net_tend(struct virtio_net *n)
{
	uint64_t next = vnet_port_tend(n->port, clock_now_ns());

	if (next)
		net_arm_by(n, next);
}

void net_batch_end(struct virtio_net *n)
{
	net_show_counts(n);
	if (vnet_port_untended(n->port))
		net_tend(n);
}

/* --- receive --- */

/*
 * The pair of a frame, among those in use. A driver that uses a pair without
 * having enabled its queue gets all of it on the first one.
 */
static unsigned rx_pair(const struct virtio_net *n, const struct vnet_frame *f)
{
	uint8_t look[NET_FLOW_BYTES];
	size_t len = min_u64(f->len, sizeof(look));
	unsigned pair;

	if (net_pairs(n) == 1)
		return 0;
	/* Once: its sender may change it at any time. */
	memcpy(look, f->bytes, len);
	atomic_signal_fence(memory_order_seq_cst);
	pair = net_steer_pair(&n->steer, net_flow(look, len), net_pairs(n));
	return n->v.queues[NET_RX(pair)].vq.enabled ? pair : 0;
}

/* Does the guest take frames only in segments that this one is not cut in? */
static bool rx_must_cut(const struct virtio_net *n, const struct vnet_hdr *h)
{
	unsigned type = h->gso_type & ~VNET_GSO_ECN;

	return (type == VNET_GSO_TCPV4 && !net_has(n, NET_F_GUEST_TSO4)) ||
	       (type == VNET_GSO_TCPV6 && !net_has(n, NET_F_GUEST_TSO6)) ||
	       (h->gso_type & VNET_GSO_ECN && !net_has(n, NET_F_GUEST_ECN));
}

/* The guest takes only frames with complete checksums. */
static void rx_complete(struct virtio_net *n, struct vnet_frame *f)
{
	if (net_has(n, NET_F_GUEST_CSUM) ||
	    !(f->hdr.flags & VNET_HDR_NEEDS_CSUM))
		return;
	memcpy(n->frame, f->bytes, f->len);
	vnet_csum_complete(&f->hdr, n->frame, f->len);
	f->bytes = n->frame;
	f->hdr = (struct vnet_hdr){ .flags = 0 };
}

/* Return: false: there are not enough buffers; the frame stays. */
static bool rx_deliver(struct virtio_net *n, const struct vnet_frame *from)
{
	struct vnet_frame f = *from;
	uint8_t head[NET_HDR_BYTES] = { 0 };
	uint64_t bytes = (uint64_t)f.len + NET_HDR_BYTES;
	unsigned pair = rx_pair(n, &f), nr;
	struct net_gather *g = &n->of[pair].gather;

	rx_complete(n, &f);
	switch (net_gather_room(
		g, &n->v, NET_RX(pair), &n->chain,
		net_has(n, NET_F_MRG_RXBUF) ? NET_GATHER_MAX : 1, bytes)) {
	case GATHER_NONE:
		n->short_of = pair;
		return false;
	case GATHER_NEVER:
		/* The chains are kept, for smaller frames. */
		vnet_port_lose(n->port, f.from);
		return true;
	default:
		break;
	}
	nr = net_gather_count(g, bytes);
	memcpy(head, &f.hdr, sizeof(f.hdr));
	head[10] = (uint8_t)nr;
	head[11] = (uint8_t)(nr >> 8);
	(void)!iov_write(g->iov, g->nr_iov, 0, head, sizeof(head));
	(void)!iov_write(g->iov, g->nr_iov, NET_HDR_BYTES, f.bytes, f.len);
	/* As the guest got it: its sender may change its own copy meanwhile. */
	if (net_dump_on(&n->dump))
		net_dump_frame(&n->dump, NET_DUMP_IN, &f.hdr, g->iov, g->nr_iov,
			       NET_HDR_BYTES, f.len);
	net_gather_give_back(g, &n->v, NET_RX(pair), nr, bytes);
	return true;
}

/* Return: false: there are not enough buffers. */
static bool rx_reply(struct virtio_net *n)
{
	const struct vnet_frame f = {
		.bytes = n->replies[n->reply_head].frame,
		.len = n->replies[n->reply_head].bytes,
	};

	if (!rx_deliver(n, &f))
		return false;
	n->reply_head = (n->reply_head + 1) % NET_REPLIES;
	n->nr_replies--;
	return true;
}

/* Its chunk is not needed any more: segments may wait for buffers for long. */
static void rx_cut(struct virtio_net *n, const struct vnet_frame *f)
{
	memcpy(n->whole, f->bytes, f->len);
	if (!vnet_segments_begin(&n->segments, &f->hdr, n->whole, f->len))
		vnet_port_lose(n->port, f->from);
}

/* Return: false: there are not enough buffers. */
static bool rx_segment(struct virtio_net *n)
{
	const struct vnet_frame f = {
		.bytes = n->segment,
		.len = vnet_segments_next(&n->segments, n->segment),
	};

	if (!rx_deliver(n, &f))
		return false;
	vnet_segments_advance(&n->segments);
	return true;
}

enum rx_end { RX_ASLEEP, RX_SHORT, RX_MORE, RX_SIGNAL };

static enum rx_end rx_some(struct virtio_net *n)
{
	struct vnet_frame f;
	uint64_t bytes = 0;

	for (unsigned budget = NET_BATCH; budget && net_running(n); budget--) {
		if (n->nr_replies) {
			if (!rx_reply(n))
				return RX_SHORT;
			continue;
		}
		if (vnet_segments_left(&n->segments)) {
			if (!rx_segment(n))
				return RX_SHORT;
			continue;
		}
		if (!vnet_port_next(n->port, &f)) {
			/* The guest goes on while this thread does so. */
			if (virtio_due(&n->v))
				return RX_SIGNAL;
			/* No buffers are needed: do not let them be told. */
			if (vnet_port_sleep(n->port))
				return RX_ASLEEP;
			continue;
		}
		if (rx_must_cut(n, &f.hdr))
			rx_cut(n, &f);
		else if (!rx_deliver(n, &f))
			return RX_SHORT;
		if (f.refs.image && n->refs)
			n->refs->got(n->refs_arg, &f.refs);
		vnet_port_take(n->port, &f);
		bytes += f.len;
		if (bytes >= NET_SIGNAL_BYTES && virtio_due(&n->v))
			return RX_SIGNAL;
	}
	return RX_MORE;
}

/* @pair: whose receive queue is served, with what there is for all pairs. */
static enum virtio_served net_serve_rx(struct virtio_net *n, unsigned pair)
{
	enum rx_end end = rx_some(n);

	if (end == RX_SIGNAL)
		return SERVED_SIGNAL;
	if (end != RX_ASLEEP)
		vnet_port_settle(n->port);
	net_batch_end(n);
	if (end == RX_ASLEEP)
		return SERVED_WAIT;
	if (end == RX_MORE)
		return SERVED_SOME;
	if (n->short_of == pair)
		return SERVED_ALL; /* until buffers come */
	/*
	 * The transport arms the queue that is served, and the frame waits for
	 * another one. Buffers that have come meanwhile are taken after other
	 * work, as a guest may add some as fast as they are used.
	 */
	return vq_arm(&n->v.queues[NET_RX(n->short_of)].vq) ? SERVED_SOME
							    : SERVED_WAIT;
}

/*
 * Nobody takes frames: they are dropped, so that their senders go on. Some at a
 * time, as a sender may be as fast as this is.
 */
static void net_discard(struct virtio_net *n)
{
	struct vnet_frame f;

	for (unsigned budget = DISCARD; budget; budget--) {
		if (!vnet_port_next(n->port, &f)) {
			if (!vnet_port_sleep(n->port))
				continue;
			net_batch_end(n);
			return;
		}
		vnet_port_lose(n->port, f.from);
		vnet_port_take(n->port, &f);
	}
	vnet_port_settle(n->port);
	net_batch_end(n);
	net_arm(n, clock_now_ns(), DISCARD_NS);
}

/* --- the loop --- */

/* The pairs whose TX waits, as bits; no pair is always the first to go on. */
static unsigned net_waiting(struct virtio_net *n, unsigned *first)
{
	unsigned waiting = 0;

	for (unsigned i = 0; i < n->max_pairs; i++)
		waiting |= n->of[i].waits ? 1u << i : 0;
	*first = n->tx_turn;
	if (waiting)
		n->tx_turn = (n->tx_turn + 1) % n->max_pairs;
	return waiting;
}

/* Frames may have come, or room. @woken: the port's socket says so. */
static void net_look(struct virtio_net *n, bool woken)
{
	unsigned waiting, first;
	bool running;

	(void)pthread_mutex_lock(&n->v.lock);
	if (woken)
		vnet_port_awake(n->port);
	else
		net_tend(n);
	if (n->deaf)
		net_arm_by(n, clock_now_ns() + DEAF_NS);
	running = net_running(n);
	waiting = net_waiting(n, &first);
	if (!running)
		net_discard(n);
	else if (!n->v.queues[NET_RX(0)].vq.enabled)
		vnet_port_settle(n->port); /* it will not be served */
	(void)pthread_mutex_unlock(&n->v.lock);
	if (!running)
		return;
	virtio_serve(&n->v, NET_RX(0));
	for (unsigned i = 0; i < n->max_pairs; i++) {
		unsigned pair = (first + i) % n->max_pairs;

		if (waiting & 1u << pair)
			virtio_serve(&n->v, NET_TX(pair));
	}
}

/*
 * A peer has shut the socket down, of which all of them hold the same end: it is
 * readable for ever, and takes no byte of anybody. From now on the timer looks.
 */
static void net_deafen(struct virtio_net *n)
{
	char text[160];

	(void)n->v.host->ops->watch(n->v.host, &n->wake, 0);
	(void)pthread_mutex_lock(&n->v.lock);
	n->deaf = true;
	(void)pthread_mutex_unlock(&n->v.lock);
	(void)snprintf(text, sizeof(text),
		       "network '%s': another port has shut down its wake-ups, "
		       "so its frames come late until this VM is started again",
		       n->name);
	n->v.host->ops->report(n->v.host, text);
}

static void net_woken(struct io_watch *w, uint32_t events)
{
	struct virtio_net *n = container_of(w, struct virtio_net, wake);

	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		net_deafen(n);
	net_look(n, true);
}

static void net_timed(struct io_watch *w, uint32_t events)
{
	struct virtio_net *n = container_of(w, struct virtio_net, timer);
	uint64_t times;

	(void)events;
	if (read(w->fd, &times, sizeof(times)) < 0)
		return;
	(void)pthread_mutex_lock(&n->v.lock);
	n->timer_ns = 0;
	(void)pthread_mutex_unlock(&n->v.lock);
	net_look(n, false);
}

/* The ports have changed; the lock is held, and given back. */
static void net_changed(struct virtio_net *n)
{
	memset(n->slow, 0, sizeof(n->slow));
	memset(n->full_ns, 0, sizeof(n->full_ns));
	(void)pthread_mutex_unlock(&n->v.lock);
	/* Its wake-up may have come before it was known. */
	net_look(n, true);
	/* What waits for a port that is gone goes nowhere now. */
	for (unsigned i = 0; i < n->max_pairs; i++)
		virtio_serve(&n->v, NET_TX(i));
}

int virtio_net_add_port(struct virtio_net *n, uint32_t slot, uint32_t gen,
			const struct vnet_station *station, int region_fd,
			int wake_fd)
{
	int err;

	(void)pthread_mutex_lock(&n->v.lock);
	err = vnet_port_add(n->port, slot, gen, station, region_fd, wake_fd);
	net_changed(n);
	return err;
}

void virtio_net_remove_port(struct virtio_net *n, uint32_t slot, uint32_t gen)
{
	(void)pthread_mutex_lock(&n->v.lock);
	vnet_port_remove(n->port, slot, gen);
	net_changed(n);
}

/*
 * The driver has reset the device, or broken it. Frames that wait for its buffers
 * are to be dropped (net_look()), and none that comes wakes the I/O thread, as the
 * port is not asleep while frames wait: so the timer does.
 */
static void net_stopped(struct virtio_net *n)
{
	if (n->timer.fd >= 0)
		net_arm(n, clock_now_ns(), 1);
}

static enum virtio_served net_serve_control(struct virtio_net *n,
					    unsigned queue)
{
	const struct net_control c = { .mac = n->port->station.mac,
				       .max_pairs = net_most_pairs(n),
				       .pairs = &n->pairs };
	unsigned before = n->pairs;
	enum virtio_served served;

	served = net_control_serve(&n->v, queue, &c, &n->chain);
	/* A frame that waits for buffers may have another pair now. */
	if (n->pairs != before)
		virtio_again(&n->v, NET_RX(0));
	return served;
}

static enum virtio_served net_serve(struct virtio_dev *v, unsigned queue)
{
	struct virtio_net *n = net_from_dev(v);
	unsigned pair = queue / 2;
	enum virtio_served served;

	if (queue == 2 * net_most_pairs(n))
		return net_serve_control(n, queue);
	/*
	 * A queue that this driver does not have; or it may be the control
	 * queue of another driver, served before DRIVER_OK, and is not of this.
	 */
	if (pair >= net_most_pairs(n) || !net_running(n))
		return SERVED_WAIT;
	if (queue == NET_RX(pair))
		served = net_serve_rx(n, pair);
	else if (n->v.queues[queue].vq.ram_only)
		served = net_serve_tx_exit(n, pair);
	else
		served = net_serve_tx(n, pair);
	if (!net_running(n))
		net_stopped(n);
	return served;
}

static void net_reset(struct virtio_dev *v)
{
	struct virtio_net *n = net_from_dev(v);

	for (unsigned i = 0; i < n->max_pairs; i++) {
		net_gather_reset(&n->of[i].gather);
		n->of[i].waits = false;
	}
	n->pairs = 1;
	n->nr_replies = 0;
	memset(n->full_ns, 0, sizeof(n->full_ns));
	memset(&n->steer, 0, sizeof(n->steer));
	n->segments = (struct vnet_segments){ .frame = NULL };
	vnet_port_forget(n->port);
	net_stopped(n);
}

static const struct virtio_ops net_ops = {
	.type = 1,
	.class_code = 0x020000,
	.late_interrupts = true,
	.serve = net_serve,
	.reset = net_reset,
};

/* --- making one --- */

/* 5.1.4: struct virtio_net_config as far as MTU. */
static void net_config(const struct vnet_port *p, unsigned pairs,
		       uint8_t config[CONFIG_BYTES])
{
	memset(config, 0, CONFIG_BYTES);
	memcpy(config, p->station.mac, VNET_MAC_BYTES);
	config[6] = S_LINK_UP;
	config[8] = (uint8_t)pairs; /* max_virtqueue_pairs */
	config[10] = VNET_MTU & 0xff;
	config[11] = VNET_MTU >> 8;
}

static int net_watch(struct virtio_net *n)
{
	const struct dev_host_ops *ops = n->v.host->ops;
	int err;

	n->wake =
		(struct io_watch){ .fd = n->port->wake_fd, .ready = net_woken };
	n->timer = (struct io_watch){
		.fd = timerfd_create(CLOCK_MONOTONIC,
				     TFD_CLOEXEC | TFD_NONBLOCK),
		.ready = net_timed,
	};
	if (n->timer.fd < 0)
		return -errno;
	err = ops->watch(n->v.host, &n->timer, EPOLLIN);
	if (err)
		return err;
	return ops->watch(n->v.host, &n->wake, EPOLLIN | EPOLLRDHUP);
}

/* Where the control queue is depends on what the driver will accept. */
static void net_queues(struct virtio_net *n)
{
	n->ops = net_ops;
	n->ops.nr_queues = 2 * n->max_pairs + 1;
	n->ops.early = 1u << NET_QUEUE_CTRL | 1u << 2 * n->max_pairs;
	for (unsigned i = 0; i < n->max_pairs; i++)
		n->ops.in_exit |= 1u << NET_TX(i);
}

int virtio_net_create(struct dev_host *host, struct vnet_port *port,
		      const char *name, _Atomic(uint64_t) *counts,
		      unsigned pairs, struct virtio_net **out)
{
	struct virtio_net *n = calloc(1, sizeof(*n));
	struct net_pair *of = calloc(pairs, sizeof(*of));
	uint8_t config[CONFIG_BYTES];
	int err;

	if (!n || !of) {
		free(n);
		free(of);
		vnet_port_destroy(port);
		return -ENOMEM;
	}
	n->port = port;
	n->name = name;
	n->counts = counts;
	n->of = of;
	n->max_pairs = pairs;
	n->timer.fd = n->dump.fd = -1;
	net_queues(n);
	net_config(port, pairs, config);
	err = virtio_init(&n->v, host, &n->ops,
			  NET_FEATURES | (pairs > 1 ? NET_F_MQ : 0), config,
			  sizeof(config));
	if (!err)
		err = net_watch(n);
	if (err) {
		virtio_net_destroy(n);
		return err;
	}
	net_discard(n); /* and sleep */
	*out = n;
	return 0;
}

void virtio_net_destroy(struct virtio_net *n)
{
	if (!n)
		return;
	virtio_destroy(&n->v);
	net_dump_end(&n->dump);
	if (n->timer.fd >= 0)
		(void)close(n->timer.fd);
	vnet_port_destroy(n->port);
	free(n->of);
	free(n);
}

struct virtio_dev *virtio_net_dev(struct virtio_net *n)
{
	return &n->v;
}

void virtio_net_use_refs(struct virtio_net *n, const struct net_refs_ops *ops,
			 void *arg)
{
	n->refs = ops;
	n->refs_arg = arg;
}

struct vnet_port *virtio_net_port(struct virtio_net *n)
{
	return n->port;
}

void virtio_net_dump(struct virtio_net *n, int fd, uint32_t net, uint32_t most)
{
	(void)pthread_mutex_lock(&n->v.lock);
	net_dump_begin(&n->dump, fd, net, most);
	(void)pthread_mutex_unlock(&n->v.lock);
}
