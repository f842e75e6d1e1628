/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests with network devices of one network (tests/unit/vnet/ports.h), and the
 * part of their drivers that tests share.
 */
#ifndef DISCO_TESTS_NET_GUESTS_H
#define DISCO_TESTS_NET_GUESTS_H

#include "monitor/dev/net/virtio_net.h"
#include "tests/unit/virtio/guest_driver.h"
#include "tests/unit/vnet/ports.h"

#define NET_GUEST_HDR 12u /* before each frame */

struct net_guest {
	struct fake_host h;
	struct virtio_net *net;
	struct driver d;
	unsigned ctrl; /* its control queue */
	/* Buffers that the test has put into each pair's queues so far. */
	unsigned given[NET_MAX_QUEUES], put[NET_MAX_QUEUES];
};

/* Port @slot becomes the device's. The driver is attached and not started. */
void net_guest_create(struct net_guest *g, struct ports *p, uint32_t slot,
		      const char *net, unsigned pairs);

/* Start its driver, with @queues queues of @entries; at first, or again. */
void net_guest_start(struct net_guest *g, uint64_t features, unsigned queues,
		     uint16_t entries);

void net_guests_destroy(struct net_guest *a, struct net_guest *b);

/* Until both have nothing more to do: each may have something for the other. */
void net_guests_run(struct net_guest *a, struct net_guest *b);

const struct vnet_stats *net_guest_stats(const struct net_guest *g);

#endif
