/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Buffers of a receive queue: chains that were taken from it and not given back,
 * until there is room for a frame in them. What is left over after a frame is
 * kept for the next one.
 *
 * Context of all functions: the device's lock is held.
 */
#ifndef DISCO_MONITOR_NET_GATHER_H
#define DISCO_MONITOR_NET_GATHER_H

#include "monitor/dev/virtio/virtio_pci.h"

#define NET_GATHER_MAX 256u /* chains for one frame */
#define NET_GATHER_IOV (2u * VQ_MAX_IOV)

struct net_gather {
	struct vq_used chains[NET_GATHER_MAX];
	uint64_t rooms[NET_GATHER_MAX]; /* of each, in bytes */
	unsigned nr_chains;
	uint64_t room; /* of all */
	struct iovec iov[NET_GATHER_IOV];
	unsigned nr_iov;
};

/* All chains are forgotten: the driver has reset the device. */
void net_gather_reset(struct net_gather *g);

enum net_gathered {
	GATHER_ROOM,
	GATHER_NONE,  /* the queue has no more chains now */
	GATHER_NEVER, /* not in as many chains or pieces as may be used */
};

/**
 * net_gather_room() - take chains of @queue until @bytes fit
 * @scratch: of the caller
 * @most:    chains for one frame, 1 .. NET_GATHER_MAX
 *
 * The chains that were taken stay in @g, whatever is returned.
 */
MUST_CHECK enum net_gathered
net_gather_room(struct net_gather *g, struct virtio_dev *v, unsigned queue,
		struct vq_chain *scratch, unsigned most, uint64_t bytes);

/* How many of the chains @bytes fill; net_gather_room() has found room. */
MUST_CHECK unsigned net_gather_count(const struct net_gather *g,
				     uint64_t bytes);

/*
 * Give back the first @nr chains, with @bytes in them: all are full but the
 * last one (5.1.6.4). All become visible at once, as a driver counts on it.
 */
void net_gather_give_back(struct net_gather *g, struct virtio_dev *v,
			  unsigned queue, unsigned nr, uint64_t bytes);

#endif
