/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/net/net_guests.h"

#include <string.h>

#include "tests/unit/support.h"

void net_guest_create(struct net_guest *g, struct ports *p, uint32_t slot,
		      const char *net, unsigned pairs)
{
	memset(g, 0, sizeof(*g));
	fake_host_create(&g->h, MIB(8));
	must(virtio_net_create(&g->h.host, p->of[slot], net, NULL, pairs,
			       &g->net) == 0);
	p->of[slot] = NULL; /* the device's */
	driver_attach(&g->d, &g->h, virtio_net_dev(g->net));
}

void net_guest_start(struct net_guest *g, uint64_t features, unsigned queues,
		     uint16_t entries)
{
	memset(g->given, 0, sizeof(g->given));
	memset(g->put, 0, sizeof(g->put));
	g->ctrl = features & NET_F_MQ ? queues - 1 : NET_QUEUE_CTRL;
	driver_start(&g->d, features, queues, entries);
	must(fake_host_run(&g->h) < 4000);
}

void net_guests_destroy(struct net_guest *a, struct net_guest *b)
{
	virtio_net_destroy(a->net);
	virtio_net_destroy(b->net);
	fake_host_destroy(&a->h);
	fake_host_destroy(&b->h);
}

void net_guests_run(struct net_guest *a, struct net_guest *b)
{
	for (int i = 0; i < 4; i++) {
		must(fake_host_run(&a->h) < 4000);
		must(fake_host_run(&b->h) < 4000);
	}
}

const struct vnet_stats *net_guest_stats(const struct net_guest *g)
{
	return &virtio_net_port(g->net)->stats;
}
