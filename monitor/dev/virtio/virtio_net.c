/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/virtio/virtio_net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/dev/virtio/net_control.h"
#include "monitor/dev/virtio/net_dump.h"
#include "vnet/reply.h"
#include "vnet/segment.h"

#define BATCH	     64u      /* frames, before others have their turn */
#define DISCARD	     1024u    /* frames, the same */
#define DISCARD_NS   1000000u /* until the next ones */
#define REPLIES	     8u	      /* answers that wait for buffers */
#define HDR_BYTES    12u      /* 5.1.6.1: with VERSION_1, always num_buffers */
#define GATHER_MAX   256u     /* chains for one frame */
#define GATHER_IOV   (2u * VQ_MAX_IOV)
#define S_LINK_UP    1u
#define CONFIG_BYTES 12u

/* Chains of the receive queue that were taken and not given back. */
struct rx_gather {
	struct vq_used chains[GATHER_MAX];
	uint64_t rooms[GATHER_MAX]; /* of each, in bytes */
	unsigned nr_chains;
	uint64_t room; /* of all */
	struct iovec iov[GATHER_IOV];
	unsigned nr_iov;
};

struct virtio_net {
	struct virtio_dev v;
	struct vnet_port *port;
	const char *name;
	_Atomic(uint64_t) *counts; /* of others, for reading; NULL: none */
	struct net_dump dump;
	struct io_watch wake, timer;
	uint64_t waiting_ns; /* since when TX waits for @waiting; 0: not */
	uint32_t waiting;    /* slot of a peer */
	bool slow[VNET_PORTS_MAX]; /* by slot: not waited for */
	struct {
		uint32_t bytes;
		uint8_t frame[VNET_REPLY_MAX];
	} replies[REPLIES];
	unsigned reply_head, nr_replies;
	struct vq_chain chain; /* the one that is looked at */
	struct rx_gather gather;
	uint8_t frame[VNET_FRAME_MAX]; /* private copy, where one is needed */
	/* A frame that the guest takes in segments only, and what is left. */
	struct vnet_segments segments;
	uint8_t whole[VNET_FRAME_MAX];
	uint8_t segment[VNET_SEGMENT_MAX];
};

static struct virtio_net *net_from_dev(struct virtio_dev *v)
{
	return container_of(v, struct virtio_net, v);
}

static bool net_running(const struct virtio_net *n)
{
	return (n->v.status &
		(VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) ==
	       VIRTIO_STATUS_DRIVER_OK;
}

static void net_arm(struct virtio_net *n, uint64_t ns)
{
	const struct itimerspec t = { .it_value.tv_nsec = (long)ns };

	(void)timerfd_settime(n->timer.fd, 0, &t, NULL);
}

/* What the port has counted, for whoever reads it. */
static void net_show_counts(struct virtio_net *n)
{
	uint64_t now[NET_COUNTS];

	if (!n->counts)
		return;
	memcpy(now, &n->port->stats, sizeof(now));
	for (unsigned i = 0; i < NET_COUNTS; i++)
		atomic_store_explicit(&n->counts[i], now[i],
				      memory_order_relaxed);
}

/* --- transmit --- */

enum tx_done { TX_DONE, TX_WAIT };

/* Return: false: the network has no answer to it. */
static bool queue_reply(struct virtio_net *n, const uint8_t *frame,
			uint32_t bytes)
{
	unsigned at = (n->reply_head + n->nr_replies) % REPLIES;

	if (n->nr_replies == REPLIES)
		return true; /* who asks without taking answers gets none */
	n->replies[at].bytes = vnet_reply(n->port, n->name, frame, bytes,
					  n->replies[at].frame);
	if (!n->replies[at].bytes)
		return false;
	n->nr_replies++;
	n->port->stats.answered++;
	virtio_again(&n->v, NET_QUEUE_RX);
	return true;
}

/*
 * No room at @to. Return: TX_WAIT: the frame stays where it is, until it is
 * woken or the timer expires; TX_DONE: it is dropped.
 */
static enum tx_done tx_full(struct virtio_net *n, const struct vnet_peer *to)
{
	uint64_t now = clock_now_ns();

	if (n->slow[to->slot])
		goto drop;
	if (!n->waiting_ns || n->waiting != to->slot) {
		n->waiting_ns = now;
		n->waiting = to->slot;
		net_arm(n, NET_PATIENCE_NS);
		return TX_WAIT;
	}
	if (now - n->waiting_ns < NET_PATIENCE_NS)
		return TX_WAIT;
	n->slow[to->slot] = true;
	n->waiting_ns = 0;
drop:
	n->port->stats.full++;
	return TX_DONE;
}

/* Return: TX_WAIT; TX_DONE: the frame was sent or dropped. */
static enum tx_done tx_forward(struct virtio_net *n, const struct vq_chain *c,
			       const struct vnet_hdr *hdr, const uint8_t *look,
			       uint32_t bytes)
{
	static const struct vnet_hdr none;
	bool with_hdr = memcmp(hdr, &none, sizeof(none)) != 0;
	uint32_t looked = (uint32_t)min_u64(bytes, VNET_LOOK_BYTES);
	struct vnet_peer *to = NULL;
	struct vnet_buf b;
	int err;

	if (!vnet_is_group(look)) {
		to = vnet_port_by_mac(n->port, look);
		if (!to) {
			n->port->stats.unknown++;
			return TX_DONE;
		}
	}
	err = vnet_port_room(n->port, to, bytes);
	while (to && err == -EAGAIN && !n->slow[to->slot] &&
	       !vnet_port_want(n->port, to))
		err = vnet_port_room(n->port, to, bytes);
	if (to && err == -EAGAIN)
		return tx_full(n, to);
	if (err) {
		n->port->stats.full++;
		return TX_DONE;
	}
	n->waiting_ns = 0;
	if (to)
		n->slow[to->slot] = false;
	vnet_port_begin(n->port, bytes, &b);
	/* What was checked is what is sent; the rest comes from the guest. */
	memcpy(b.bytes, look, looked);
	(void)!iov_read(c->iov, c->nr_out, HDR_BYTES + looked, b.bytes + looked,
			bytes - looked);
	if (with_hdr)
		*b.hdr = *hdr;
	vnet_port_send(n->port, &b, to, bytes, with_hdr);
	return TX_DONE;
}

/* Return: false: the network has no answer to it. */
static bool tx_local(struct virtio_net *n, const struct vq_chain *c,
		     uint32_t bytes)
{
	if (bytes > VNET_REPLY_MAX)
		return false;
	(void)!iov_read(c->iov, c->nr_out, HDR_BYTES, n->frame, bytes);
	return queue_reply(n, n->frame, bytes);
}

static enum tx_done tx_frame(struct virtio_net *n, const struct vq_chain *c)
{
	uint8_t look[VNET_LOOK_BYTES];
	struct vnet_hdr hdr;
	uint32_t bytes;
	size_t got;

	if (c->out_bytes < HDR_BYTES + VNET_ETH_BYTES ||
	    c->out_bytes > HDR_BYTES + VNET_FRAME_MAX) {
		n->port->stats.refused++;
		return TX_DONE;
	}
	bytes = (uint32_t)c->out_bytes - HDR_BYTES;
	(void)!iov_read(c->iov, c->nr_out, 0, &hdr, sizeof(hdr));
	got = iov_read(c->iov, c->nr_out, HDR_BYTES, look,
		       min_u64(bytes, sizeof(look)));
	/* 5.1.6.2: other flags are for frames that a driver receives. */
	hdr.flags &= VNET_HDR_NEEDS_CSUM;
	if (hdr.gso_type == VNET_GSO_NONE)
		hdr.gso_size = hdr.hdr_len = 0;
	if (!(hdr.flags & VNET_HDR_NEEDS_CSUM))
		hdr.csum_start = hdr.csum_offset = 0;
	if (!vnet_hdr_valid(&hdr, bytes)) {
		n->port->stats.refused++;
		return TX_DONE;
	}
	switch (vnet_filter(&n->port->station, &n->port->plan, look,
			    (uint32_t)got)) {
	case VNET_LOCAL:
		/* The uplink has the same address as the network. */
		if (tx_local(n, c, bytes) || !n->port->plan.routed ||
		    vnet_is_group(look))
			return TX_DONE;
		return tx_forward(n, c, &hdr, look, bytes);
	case VNET_FORWARD:
		return tx_forward(n, c, &hdr, look, bytes);
	default:
		n->port->stats.refused++;
		return TX_DONE;
	}
}

/* A frame that was sent or dropped. */
static void tx_dump(struct virtio_net *n, const struct vq_chain *c)
{
	struct vnet_hdr hdr;

	if (c->out_bytes < HDR_BYTES + VNET_ETH_BYTES ||
	    c->out_bytes > HDR_BYTES + VNET_FRAME_MAX)
		return;
	(void)!iov_read(c->iov, c->nr_out, 0, &hdr, sizeof(hdr));
	net_dump_frame(&n->dump, NET_DUMP_OUT, &hdr, c->iov, c->nr_out,
		       HDR_BYTES, (uint32_t)c->out_bytes - HDR_BYTES);
}

static enum virtio_served net_serve_tx(struct virtio_net *n)
{
	enum virtio_served served = SERVED_SOME;

	for (unsigned budget = BATCH; budget; budget--) {
		if (!virtio_pop(&n->v, NET_QUEUE_TX, &n->chain)) {
			served = SERVED_ALL;
			break;
		}
		if (tx_frame(n, &n->chain) == TX_WAIT) {
			vq_unpop(&n->v.queues[NET_QUEUE_TX].vq);
			served = SERVED_WAIT;
			break;
		}
		if (net_dump_on(&n->dump))
			tx_dump(n, &n->chain);
		virtio_push(&n->v, NET_QUEUE_TX, n->chain.head, 0);
	}
	vnet_port_flush(n->port);
	net_show_counts(n);
	return served;
}

/* --- receive --- */

static bool net_has(const struct virtio_net *n, uint64_t feature)
{
	return n->v.driver_features & feature;
}

enum rx_room { RX_ROOM, RX_NONE, RX_NEVER };

/* Take chains until @bytes fit. RX_NEVER: they will not, in what is there. */
static enum rx_room rx_gather_room(struct virtio_net *n, uint64_t bytes)
{
	struct rx_gather *g = &n->gather;
	const struct vq_chain *c = &n->chain;

	while (g->room < bytes) {
		if (g->nr_chains ==
		    (net_has(n, NET_F_MRG_RXBUF) ? GATHER_MAX : 1))
			return RX_NEVER;
		if (!virtio_pop(&n->v, NET_QUEUE_RX, &n->chain))
			return RX_NONE;
		g->chains[g->nr_chains].id = c->head;
		g->rooms[g->nr_chains++] = 0;
		if (g->nr_iov + c->nr_in > GATHER_IOV)
			return RX_NEVER;
		g->rooms[g->nr_chains - 1] = c->in_bytes;
		memcpy(g->iov + g->nr_iov, c->iov + c->nr_out,
		       c->nr_in * sizeof(c->iov[0]));
		g->nr_iov += c->nr_in;
		g->room += c->in_bytes;
	}
	return RX_ROOM;
}

/* How many of the chains @bytes fill. */
static unsigned rx_count(const struct rx_gather *g, uint64_t bytes)
{
	uint64_t room = 0;
	unsigned n = 0;

	while (room < bytes)
		room += g->rooms[n++];
	return n;
}

/*
 * Give back the first @nr chains, with @bytes in them: all are full but the
 * last one (5.1.6.4). All become visible at once, as a driver counts on it.
 */
static void rx_give_back(struct virtio_net *n, unsigned nr, uint64_t bytes)
{
	struct rx_gather *g = &n->gather;
	unsigned iov = 0;

	for (unsigned i = 0; i < nr; i++) {
		uint64_t room = g->rooms[i];
		uint64_t used = min_u64(room, bytes);

		g->chains[i].written = (uint32_t)used;
		bytes -= used;
		g->room -= room;
		while (room && iov < g->nr_iov)
			room -= min_u64(room, g->iov[iov++].iov_len);
	}
	virtio_push_all(&n->v, NET_QUEUE_RX, g->chains, nr);
	g->nr_chains -= nr;
	g->nr_iov -= iov;
	memmove(g->chains, g->chains + nr, g->nr_chains * sizeof(g->chains[0]));
	memmove(g->rooms, g->rooms + nr, g->nr_chains * sizeof(g->rooms[0]));
	memmove(g->iov, g->iov + iov, g->nr_iov * sizeof(g->iov[0]));
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
	uint8_t head[HDR_BYTES] = { 0 };
	uint64_t bytes = (uint64_t)f.len + HDR_BYTES;
	struct rx_gather *g = &n->gather;
	unsigned nr;

	rx_complete(n, &f);
	switch (rx_gather_room(n, bytes)) {
	case RX_NONE:
		return false;
	case RX_NEVER:
		/* The chains are kept, for smaller frames. */
		n->port->stats.lost++;
		return true;
	default:
		break;
	}
	nr = rx_count(g, bytes);
	memcpy(head, &f.hdr, sizeof(f.hdr));
	head[10] = (uint8_t)nr;
	head[11] = (uint8_t)(nr >> 8);
	(void)!iov_write(g->iov, g->nr_iov, 0, head, sizeof(head));
	(void)!iov_write(g->iov, g->nr_iov, HDR_BYTES, f.bytes, f.len);
	/* As the guest got it: its sender may change its own copy meanwhile. */
	if (net_dump_on(&n->dump))
		net_dump_frame(&n->dump, NET_DUMP_IN, &f.hdr, g->iov, g->nr_iov,
			       HDR_BYTES, f.len);
	rx_give_back(n, nr, bytes);
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
	n->reply_head = (n->reply_head + 1) % REPLIES;
	n->nr_replies--;
	return true;
}

/* Its chunk is not needed any more: segments may wait for buffers for long. */
static void rx_cut(struct virtio_net *n, const struct vnet_frame *f)
{
	memcpy(n->whole, f->bytes, f->len);
	if (!vnet_segments_begin(&n->segments, &f->hdr, n->whole, f->len))
		n->port->stats.lost++;
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

static enum virtio_served rx_some(struct virtio_net *n)
{
	struct vnet_frame f;

	for (unsigned budget = BATCH; budget && net_running(n); budget--) {
		if (n->nr_replies) {
			if (!rx_reply(n))
				return SERVED_ALL; /* until buffers come */
			continue;
		}
		if (vnet_segments_left(&n->segments)) {
			if (!rx_segment(n))
				return SERVED_ALL;
			continue;
		}
		if (!vnet_port_next(n->port, &f)) {
			/* No buffers are needed: do not let them be told. */
			if (vnet_port_sleep(n->port))
				return SERVED_WAIT;
			continue;
		}
		if (rx_must_cut(n, &f.hdr))
			rx_cut(n, &f);
		else if (!rx_deliver(n, &f))
			return SERVED_ALL;
		vnet_port_take(n->port, &f);
	}
	return SERVED_SOME;
}

static enum virtio_served net_serve_rx(struct virtio_net *n)
{
	enum virtio_served served = rx_some(n);

	if (served != SERVED_WAIT)
		vnet_port_settle(n->port);
	net_show_counts(n);
	return served;
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
			net_show_counts(n);
			return;
		}
		n->port->stats.lost++;
		vnet_port_take(n->port, &f);
	}
	vnet_port_settle(n->port);
	net_show_counts(n);
	net_arm(n, DISCARD_NS);
}

/* --- the loop --- */

/* Frames may have come, or room. */
static void net_look(struct virtio_net *n)
{
	bool running, waiting;

	(void)pthread_mutex_lock(&n->v.lock);
	running = net_running(n);
	waiting = n->waiting_ns != 0;
	if (!running)
		net_discard(n);
	(void)pthread_mutex_unlock(&n->v.lock);
	if (!running)
		return;
	virtio_serve(&n->v, NET_QUEUE_RX);
	if (waiting)
		virtio_serve(&n->v, NET_QUEUE_TX);
}

static void net_woken(struct io_watch *w, uint32_t events)
{
	struct virtio_net *n = container_of(w, struct virtio_net, wake);

	(void)events;
	vnet_port_awake(n->port);
	net_look(n);
}

static void net_timed(struct io_watch *w, uint32_t events)
{
	struct virtio_net *n = container_of(w, struct virtio_net, timer);
	uint64_t times;

	(void)events;
	if (read(w->fd, &times, sizeof(times)) < 0)
		return;
	net_look(n);
}

void virtio_net_changed(struct virtio_net *n)
{
	(void)pthread_mutex_lock(&n->v.lock);
	memset(n->slow, 0, sizeof(n->slow));
	(void)pthread_mutex_unlock(&n->v.lock);
	/* Its wake-up may have come before it was known. */
	vnet_port_awake(n->port);
	net_look(n);
	/* What waits for a port that is gone goes nowhere now. */
	virtio_serve(&n->v, NET_QUEUE_TX);
}

static enum virtio_served net_serve(struct virtio_dev *v, unsigned queue)
{
	struct virtio_net *n = net_from_dev(v);

	if (queue == NET_QUEUE_RX)
		return net_serve_rx(n);
	if (queue == NET_QUEUE_TX)
		return net_serve_tx(n);
	return net_control_serve(v, NET_QUEUE_CTRL, n->port->station.mac,
				 &n->chain);
}

static void net_reset(struct virtio_dev *v)
{
	struct virtio_net *n = net_from_dev(v);

	n->gather.nr_chains = n->gather.nr_iov = 0;
	n->gather.room = 0;
	n->nr_replies = 0;
	n->waiting_ns = 0;
	n->segments = (struct vnet_segments){ .frame = NULL };
}

static const struct virtio_ops net_ops = {
	.type = 1,
	.class_code = 0x020000,
	.nr_queues = 3,
	.early = 1u << NET_QUEUE_CTRL,
	.serve = net_serve,
	.reset = net_reset,
};

/* --- making one --- */

/* 5.1.4: struct virtio_net_config as far as MTU. */
static void net_config(const struct vnet_port *p, uint8_t config[CONFIG_BYTES])
{
	memset(config, 0, CONFIG_BYTES);
	memcpy(config, p->station.mac, VNET_MAC_BYTES);
	config[6] = S_LINK_UP;
	config[8] = 1; /* max_virtqueue_pairs */
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
	return ops->watch(n->v.host, &n->wake, EPOLLIN);
}

int virtio_net_create(struct dev_host *host, struct vnet_port *port,
		      const char *name, _Atomic(uint64_t) *counts,
		      struct virtio_net **out)
{
	struct virtio_net *n = calloc(1, sizeof(*n));
	uint8_t config[CONFIG_BYTES];
	int err;

	if (!n) {
		vnet_port_destroy(port);
		return -ENOMEM;
	}
	n->port = port;
	n->name = name;
	n->counts = counts;
	n->timer.fd = n->dump.fd = -1;
	net_config(port, config);
	err = virtio_init(&n->v, host, &net_ops, NET_FEATURES, config,
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
	free(n);
}

struct virtio_dev *virtio_net_dev(struct virtio_net *n)
{
	return &n->v;
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
