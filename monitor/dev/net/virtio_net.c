/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/net/virtio_net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/dev/net/net_control.h"
#include "monitor/dev/net/net_dump.h"
#include "monitor/dev/net/net_gather.h"
#include "monitor/dev/net/net_steer.h"
#include "vnet/reply.h"
#include "vnet/segment.h"

#define BATCH	     64u      /* frames, before others have their turn */
#define DISCARD	     1024u    /* frames, the same */
#define DISCARD_NS   1000000u /* until the next ones */
#define REPLIES	     8u	      /* answers that wait for buffers */
#define HDR_BYTES    12u      /* 5.1.6.1: with VERSION_1, always num_buffers */
#define S_LINK_UP    1u
#define CONFIG_BYTES 12u

_Static_assert(2 * NET_MAX_QUEUES + 1 <= VIRTIO_MAX_QUEUES, "a place a queue");
_Static_assert(2 * NET_MAX_QUEUES + 1 < MSIX_MAX, "a vector a queue");
_Static_assert(NET_FLOW_BYTES <= VNET_LOOK_BYTES, "a filter's look is enough");

struct net_pair {
	struct net_gather gather;
	bool waits; /* the head of its TX waits for room at a peer */
};

struct virtio_net {
	struct virtio_dev v;
	struct virtio_ops ops; /* [I] */
	struct vnet_port *port;
	const char *name;
	_Atomic(uint64_t) *counts; /* of others, for reading; NULL: none */
	struct net_dump dump;
	struct io_watch wake, timer;
	uint64_t timer_ns; /* when it expires; 0: it is not set */
	/* By slot of a peer: since when it has no room; 0: it had some. */
	uint64_t full_ns[VNET_PORTS_MAX];
	bool slow[VNET_PORTS_MAX]; /* by slot: not waited for */
	struct net_pair *of;	   /* owned, @max_pairs of them */
	unsigned max_pairs;	   /* [I] */
	unsigned pairs;		   /* in use; 1 .. max_pairs */
	unsigned short_of;	   /* pair whose buffers a frame waits for */
	unsigned tx_turn;	   /* pair that is the first to go on */
	struct net_steer steer;
	struct {
		uint32_t bytes;
		uint8_t frame[VNET_REPLY_MAX];
	} replies[REPLIES];
	unsigned reply_head, nr_replies;
	struct vq_chain chain;	       /* the one that is looked at */
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

static bool net_has(const struct virtio_net *n, uint64_t feature)
{
	return n->v.driver_features & feature;
}

/* Pairs that the driver may use. */
static unsigned net_most_pairs(const struct virtio_net *n)
{
	return net_has(n, NET_F_MQ) ? n->max_pairs : 1;
}

static unsigned net_pairs(const struct virtio_net *n)
{
	return net_has(n, NET_F_MQ) ? n->pairs : 1;
}

/* @ns: less than a second. */
static void net_arm(struct virtio_net *n, uint64_t now, uint64_t ns)
{
	const struct itimerspec t = { .it_value.tv_nsec = (long)ns };

	n->timer_ns = now + ns;
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
	virtio_again(&n->v, NET_RX(0));
	return true;
}

/*
 * No room at @to. Return: TX_WAIT: the frame stays where it is, until it is
 * woken or the timer expires; TX_DONE: it is dropped.
 */
static enum tx_done tx_full(struct virtio_net *n, const struct vnet_peer *to)
{
	uint64_t *since = &n->full_ns[to->slot];
	uint64_t now = clock_now_ns();

	if (n->slow[to->slot])
		goto drop;
	if (!*since)
		*since = now;
	if (now - *since < NET_PATIENCE_NS) {
		uint64_t end = *since + NET_PATIENCE_NS;

		/* Queues wait for several peers: the first end counts. */
		if (!n->timer_ns || end < n->timer_ns)
			net_arm(n, now, end - now);
		return TX_WAIT;
	}
	n->slow[to->slot] = true;
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
	if (to) {
		n->full_ns[to->slot] = 0;
		n->slow[to->slot] = false;
	}
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

/* A frame that the guest may send tells where its flow is received. */
static void tx_note(struct virtio_net *n, unsigned pair, const uint8_t *look,
		    size_t len)
{
	if (net_pairs(n) > 1 && pair < net_pairs(n))
		net_steer_note(&n->steer, net_flow(look, len), pair);
}

static enum tx_done tx_frame(struct virtio_net *n, unsigned pair,
			     const struct vq_chain *c)
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
		tx_note(n, pair, look, got);
		/* The uplink has the same address as the network. */
		if (tx_local(n, c, bytes) || !n->port->plan.routed ||
		    vnet_is_group(look))
			return TX_DONE;
		return tx_forward(n, c, &hdr, look, bytes);
	case VNET_FORWARD:
		tx_note(n, pair, look, got);
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

static enum virtio_served net_serve_tx(struct virtio_net *n, unsigned pair)
{
	enum virtio_served served = SERVED_SOME;

	n->of[pair].waits = false;
	for (unsigned budget = BATCH; budget; budget--) {
		if (!virtio_pop(&n->v, NET_TX(pair), &n->chain)) {
			served = SERVED_ALL;
			break;
		}
		if (tx_frame(n, pair, &n->chain) == TX_WAIT) {
			vq_unpop(&n->v.queues[NET_TX(pair)].vq);
			n->of[pair].waits = true;
			served = SERVED_WAIT;
			break;
		}
		if (net_dump_on(&n->dump))
			tx_dump(n, &n->chain);
		virtio_push(&n->v, NET_TX(pair), n->chain.head, 0);
	}
	vnet_port_flush(n->port);
	net_show_counts(n);
	return served;
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
	uint8_t head[HDR_BYTES] = { 0 };
	uint64_t bytes = (uint64_t)f.len + HDR_BYTES;
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
		n->port->stats.lost++;
		return true;
	default:
		break;
	}
	nr = net_gather_count(g, bytes);
	memcpy(head, &f.hdr, sizeof(f.hdr));
	head[10] = (uint8_t)nr;
	head[11] = (uint8_t)(nr >> 8);
	(void)!iov_write(g->iov, g->nr_iov, 0, head, sizeof(head));
	(void)!iov_write(g->iov, g->nr_iov, HDR_BYTES, f.bytes, f.len);
	/* As the guest got it: its sender may change its own copy meanwhile. */
	if (net_dump_on(&n->dump))
		net_dump_frame(&n->dump, NET_DUMP_IN, &f.hdr, g->iov, g->nr_iov,
			       HDR_BYTES, f.len);
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

enum rx_end { RX_ASLEEP, RX_SHORT, RX_MORE };

static enum rx_end rx_some(struct virtio_net *n)
{
	struct vnet_frame f;

	for (unsigned budget = BATCH; budget && net_running(n); budget--) {
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
			/* No buffers are needed: do not let them be told. */
			if (vnet_port_sleep(n->port))
				return RX_ASLEEP;
			continue;
		}
		if (rx_must_cut(n, &f.hdr))
			rx_cut(n, &f);
		else if (!rx_deliver(n, &f))
			return RX_SHORT;
		vnet_port_take(n->port, &f);
	}
	return RX_MORE;
}

/* @pair: whose receive queue is served, with what there is for all pairs. */
static enum virtio_served net_serve_rx(struct virtio_net *n, unsigned pair)
{
	enum rx_end end = rx_some(n);

	if (end != RX_ASLEEP)
		vnet_port_settle(n->port);
	net_show_counts(n);
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
			net_show_counts(n);
			return;
		}
		n->port->stats.lost++;
		vnet_port_take(n->port, &f);
	}
	vnet_port_settle(n->port);
	net_show_counts(n);
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

/* Frames may have come, or room. */
static void net_look(struct virtio_net *n)
{
	unsigned waiting, first;
	bool running;

	(void)pthread_mutex_lock(&n->v.lock);
	running = net_running(n);
	waiting = net_waiting(n, &first);
	if (!running)
		net_discard(n);
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
	(void)pthread_mutex_lock(&n->v.lock);
	n->timer_ns = 0;
	(void)pthread_mutex_unlock(&n->v.lock);
	net_look(n);
}

void virtio_net_changed(struct virtio_net *n)
{
	(void)pthread_mutex_lock(&n->v.lock);
	memset(n->slow, 0, sizeof(n->slow));
	memset(n->full_ns, 0, sizeof(n->full_ns));
	(void)pthread_mutex_unlock(&n->v.lock);
	/* Its wake-up may have come before it was known. */
	vnet_port_awake(n->port);
	net_look(n);
	/* What waits for a port that is gone goes nowhere now. */
	for (unsigned i = 0; i < n->max_pairs; i++)
		virtio_serve(&n->v, NET_TX(i));
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

	if (queue == 2 * net_most_pairs(n))
		return net_serve_control(n, queue);
	/*
	 * A queue that this driver does not have; or it may be the control
	 * queue of another driver, served before DRIVER_OK, and is not of this.
	 */
	if (pair >= net_most_pairs(n) || !net_running(n))
		return SERVED_WAIT;
	return queue == NET_RX(pair) ? net_serve_rx(n, pair)
				     : net_serve_tx(n, pair);
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
}

static const struct virtio_ops net_ops = {
	.type = 1,
	.class_code = 0x020000,
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
	return ops->watch(n->v.host, &n->wake, EPOLLIN);
}

/* Where the control queue is depends on what the driver will accept. */
static void net_queues(struct virtio_net *n)
{
	n->ops = net_ops;
	n->ops.nr_queues = 2 * n->max_pairs + 1;
	n->ops.early = 1u << NET_QUEUE_CTRL | 1u << 2 * n->max_pairs;
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
