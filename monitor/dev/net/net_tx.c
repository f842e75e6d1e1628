/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "disco/clock.h"
#include "monitor/dev/net/virtio_net_internal.h"
#include "vnet/packet.h"

_Static_assert(NET_FLOW_BYTES <= VNET_LOOK_BYTES, "a filter's look is enough");

enum tx_done { TX_DONE, TX_WAIT };

/* Return: false: the network has no answer to it. */
static bool queue_reply(struct virtio_net *n, const uint8_t *frame,
			uint32_t bytes)
{
	unsigned at = (n->reply_head + n->nr_replies) % NET_REPLIES;

	if (n->nr_replies == NET_REPLIES)
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
static enum tx_done tx_full(struct virtio_net *n, struct vnet_peer *to)
{
	uint64_t *since = &n->full_ns[to->slot];
	uint64_t now = clock_now_ns();

	if (n->slow[to->slot])
		goto drop;
	if (!*since)
		*since = now;
	if (now - *since < NET_PATIENCE_NS) {
		/* Queues wait for several peers: the first end counts. */
		net_arm_by(n, *since + NET_PATIENCE_NS);
		return TX_WAIT;
	}
	n->slow[to->slot] = true;
drop:
	vnet_port_drop(n->port, to);
	return TX_DONE;
}

/* Whose address a frame has; NULL: nobody's. */
static struct vnet_peer *tx_destination(const struct virtio_net *n,
					const uint8_t *look)
{
	struct vnet_peer *to = vnet_port_by_mac(n->port, look);

	return to ? to : vnet_port_trunk(n->port);
}

/*
 * Who gets a frame that the network has no answer to; NULL: nobody. The uplink
 * has the same address as the network. Behind the trunk are stations that ask,
 * and answer, for themselves.
 */
static struct vnet_peer *tx_asked(const struct virtio_net *n,
				  const uint8_t *look)
{
	bool group = vnet_is_group(look);

	if (n->port->plan.routed && !group && vnet_port_by_mac(n->port, look))
		return vnet_port_by_mac(n->port, look);
	if (!vnet_port_trunk(n->port) ||
	    vnet_get16(look + ETH_TYPE) == ETHERTYPE_IP4)
		return NULL;
	return group ? vnet_port_trunk(n->port) : tx_destination(n, look);
}

/*
 * Small frames carry none: they cover no page, and a vCPU may be who sends them,
 * which has no access to what backs guest memory.
 */
static void tx_refs(const struct virtio_net *n, const struct vq_chain *c,
		    uint32_t bytes, const struct vnet_peer *to,
		    struct vnet_refs *out)
{
	if (n->refs && to && to->station.shares && bytes > VNET_SMALL_ROOM)
		n->refs->find(n->refs_arg, c->iov, c->nr_out, NET_HDR_BYTES,
			      out);
}

/*
 * @to: NULL: all. Return: TX_WAIT; TX_DONE: the frame was sent or dropped.
 */
static enum tx_done tx_forward(struct virtio_net *n, const struct vq_chain *c,
			       const struct vnet_hdr *hdr, const uint8_t *look,
			       uint32_t bytes, struct vnet_peer *to)
{
	static const struct vnet_hdr none;
	bool with_hdr = memcmp(hdr, &none, sizeof(none)) != 0;
	uint32_t looked = (uint32_t)min_u64(bytes, VNET_LOOK_BYTES);
	struct vnet_buf b;
	int err;

	err = vnet_port_room(n->port, to, bytes);
	while (to && err == -EAGAIN && !n->slow[to->slot] &&
	       !vnet_port_want(n->port, to))
		err = vnet_port_room(n->port, to, bytes);
	if (to && err == -EAGAIN)
		return tx_full(n, to);
	if (err) {
		vnet_port_drop(n->port, to);
		return TX_DONE;
	}
	if (to) {
		n->full_ns[to->slot] = 0;
		n->slow[to->slot] = false;
	}
	vnet_port_begin(n->port, bytes, &b);
	/* What was checked is what is sent; the rest comes from the guest. */
	memcpy(b.bytes, look, looked);
	(void)!iov_read(c->iov, c->nr_out, NET_HDR_BYTES + looked,
			b.bytes + looked, bytes - looked);
	if (with_hdr)
		*b.hdr = *hdr;
	tx_refs(n, c, bytes, to, &b.refs);
	vnet_port_send(n->port, &b, to, bytes, with_hdr);
	return TX_DONE;
}

/* Return: false: the network has no answer to it. */
static bool tx_local(struct virtio_net *n, const struct vq_chain *c,
		     uint32_t bytes)
{
	if (bytes > VNET_REPLY_MAX)
		return false;
	(void)!iov_read(c->iov, c->nr_out, NET_HDR_BYTES, n->frame, bytes);
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
	struct vnet_peer *to = NULL;
	struct vnet_hdr hdr;
	uint32_t bytes;
	size_t got;

	if (c->out_bytes < NET_HDR_BYTES + VNET_ETH_BYTES ||
	    c->out_bytes > NET_HDR_BYTES + VNET_FRAME_MAX) {
		n->port->stats.refused++;
		return TX_DONE;
	}
	bytes = (uint32_t)c->out_bytes - NET_HDR_BYTES;
	(void)!iov_read(c->iov, c->nr_out, 0, &hdr, sizeof(hdr));
	got = iov_read(c->iov, c->nr_out, NET_HDR_BYTES, look,
		       min_u64(bytes, sizeof(look)));
	vnet_hdr_clean(&hdr);
	if (!vnet_hdr_valid(&hdr, bytes) ||
	    !vnet_hdr_is_apart(&hdr, look, (uint32_t)got)) {
		n->port->stats.refused++;
		return TX_DONE;
	}
	switch (vnet_port_filter(n->port, look, (uint32_t)got)) {
	case VNET_LOCAL:
		tx_note(n, pair, look, got);
		if (!tx_local(n, c, bytes))
			to = tx_asked(n, look);
		return to ? tx_forward(n, c, &hdr, look, bytes, to) : TX_DONE;
	case VNET_FORWARD:
		tx_note(n, pair, look, got);
		if (!vnet_is_group(look)) {
			to = tx_destination(n, look);
			n->port->stats.unknown += !to;
			if (!to)
				return TX_DONE;
		}
		return tx_forward(n, c, &hdr, look, bytes, to);
	default:
		n->port->stats.refused++;
		return TX_DONE;
	}
}

/* A frame that was sent or dropped. */
static void tx_dump(struct virtio_net *n, const struct vq_chain *c)
{
	struct vnet_hdr hdr;

	if (c->out_bytes < NET_HDR_BYTES + VNET_ETH_BYTES ||
	    c->out_bytes > NET_HDR_BYTES + VNET_FRAME_MAX)
		return;
	(void)!iov_read(c->iov, c->nr_out, 0, &hdr, sizeof(hdr));
	net_dump_frame(&n->dump, NET_DUMP_OUT, &hdr, c->iov, c->nr_out,
		       NET_HDR_BYTES, (uint32_t)c->out_bytes - NET_HDR_BYTES);
}

/* Frames that are done, and not published. */
struct tx_batch {
	struct vq_used used[NET_BATCH];
	unsigned nr;
	uint64_t bytes;
};

/*
 * Other ports first: their threads wake while this one signals its own guest, which
 * only gets buffers back.
 */
static void tx_publish(struct virtio_net *n, unsigned pair, struct tx_batch *b)
{
	vnet_port_flush(n->port);
	if (b->nr)
		virtio_push_all(&n->v, NET_TX(pair), b->used, b->nr);
	b->nr = 0;
	b->bytes = 0;
}

static void tx_add(struct virtio_net *n, unsigned pair, struct tx_batch *b)
{
	if (net_dump_on(&n->dump))
		tx_dump(n, &n->chain);
	b->used[b->nr++] = (struct vq_used){ .id = n->chain.head };
	b->bytes += n->chain.out_bytes;
	if (b->bytes >= NET_PUBLISH_BYTES)
		tx_publish(n, pair, b);
}

enum virtio_served net_serve_tx(struct virtio_net *n, unsigned pair)
{
	enum virtio_served served = SERVED_SOME;
	struct tx_batch b = { .nr = 0 };

	n->of[pair].waits = false;
	for (unsigned budget = NET_BATCH; budget; budget--) {
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
		tx_add(n, pair, &b);
	}
	tx_publish(n, pair, &b);
	net_batch_end(n);
	return served;
}

/* Is the next frame of this queue one that a vCPU sends? It may be none. */
static bool tx_is_lonely(const struct virtio_net *n, unsigned pair)
{
	return !n->of[pair].waits && !net_dump_on(&n->dump) &&
	       n->port->stats.received != n->answered &&
	       vq_offered(&n->v.queues[NET_TX(pair)].vq) == 1;
}

enum virtio_served net_serve_tx_exit(struct virtio_net *n, unsigned pair)
{
	struct tx_batch b = { .nr = 0 };

	if (!tx_is_lonely(n, pair))
		return SERVED_SOME;
	if (!virtio_pop(&n->v, NET_TX(pair), &n->chain))
		return SERVED_SOME;
	if (n->chain.out_bytes > NET_HDR_BYTES + VNET_SMALL_ROOM ||
	    tx_frame(n, pair, &n->chain) == TX_WAIT) {
		vq_unpop(&n->v.queues[NET_TX(pair)].vq);
		return SERVED_SOME;
	}
	n->answered = n->port->stats.received;
	tx_add(n, pair, &b);
	tx_publish(n, pair, &b);
	/* What is due once in a while is left to the I/O thread. */
	net_show_counts(n);
	return SERVED_ALL;
}
