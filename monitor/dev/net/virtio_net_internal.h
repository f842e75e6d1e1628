/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network device, for virtio_net.c (receiving, the loop) and net_tx.c
 * (sending). The device's lock covers all that is not [I].
 */
#ifndef DISCO_MONITOR_VIRTIO_NET_INTERNAL_H
#define DISCO_MONITOR_VIRTIO_NET_INTERNAL_H

#include "monitor/dev/net/net_dump.h"
#include "monitor/dev/net/net_gather.h"
#include "monitor/dev/net/net_steer.h"
#include "monitor/dev/net/virtio_net.h"
#include "vnet/reply.h"
#include "vnet/segment.h"

#define NET_BATCH 64u /* frames, before others have their turn */
/* Of frames, that are published at once: the receiver works on them meanwhile. */
#define NET_PUBLISH_BYTES 65536u
/* Of frames, after which a guest that waits for them is signalled. */
#define NET_SIGNAL_BYTES 4096u
#define NET_REPLIES	 8u  /* answers that wait for buffers */
#define NET_HDR_BYTES	 12u /* 5.1.6.1: with VERSION_1, always num_buffers */

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
	const struct net_refs_ops *refs; /* [I] NULL: none are sent or taken */
	void *refs_arg;			 /* [I] */
	uint32_t shown;			 /* changes of claims that are there */
	struct net_dump dump;
	struct io_watch wake, timer;
	uint64_t timer_ns; /* when it expires; 0: it is not set */
	bool deaf;	   /* @wake is of no use any more: net_deafen() */
	/* By slot of a peer: since when it has no room; 0: it had some. */
	uint64_t full_ns[VNET_PORTS_MAX];
	bool slow[VNET_PORTS_MAX]; /* by slot: not waited for */
	struct net_pair *of;	   /* owned, @max_pairs of them */
	unsigned max_pairs;	   /* [I] */
	unsigned pairs;		   /* in use; 1 .. max_pairs */
	unsigned short_of;	   /* pair whose buffers a frame waits for */
	unsigned tx_turn;	   /* pair that is the first to go on */
	/* Frames received when a vCPU sent one last: LONELY FRAMES. */
	uint64_t answered;
	struct net_steer steer;
	struct {
		uint32_t bytes;
		uint8_t frame[VNET_REPLY_MAX];
	} replies[NET_REPLIES];
	unsigned reply_head, nr_replies;
	struct vq_chain chain;	       /* the one that is looked at */
	uint8_t frame[VNET_FRAME_MAX]; /* private copy, where one is needed */
	/* A frame that the guest takes in segments only, and what is left. */
	struct vnet_segments segments;
	uint8_t whole[VNET_FRAME_MAX];
	uint8_t segment[VNET_SEGMENT_MAX];
};

static inline bool net_running(const struct virtio_net *n)
{
	return (n->v.status &
		(VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) ==
	       VIRTIO_STATUS_DRIVER_OK;
}

static inline bool net_has(const struct virtio_net *n, uint64_t feature)
{
	return n->v.driver_features & feature;
}

/* Pairs that the driver may use. */
static inline unsigned net_most_pairs(const struct virtio_net *n)
{
	return net_has(n, NET_F_MQ) ? n->max_pairs : 1;
}

static inline unsigned net_pairs(const struct virtio_net *n)
{
	return net_has(n, NET_F_MQ) ? n->pairs : 1;
}

/* The timer expires @ns after @now, and not at the time that was set before. */
void net_arm(struct virtio_net *n, uint64_t now, uint64_t ns);

/* The timer expires at @at_ns, or at the time that was set if that is before. */
void net_arm_by(struct virtio_net *n, uint64_t at_ns);

/* What the port has counted, for whoever reads it. */
void net_show_counts(struct virtio_net *n);

/* After each batch: net_show_counts(), and vnet_port_tend() where that is due. */
void net_batch_end(struct virtio_net *n);

/* Serve the transmit queue of a pair; see virtio_ops.serve(). */
enum virtio_served net_serve_tx(struct virtio_net *n, unsigned pair);
/* The same in the exit of the vCPU that has notified: LONELY FRAMES. */
enum virtio_served net_serve_tx_exit(struct virtio_net *n, unsigned pair);

#endif
