/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/net/net_gather.h"

#include <string.h>

void net_gather_reset(struct net_gather *g)
{
	g->nr_chains = g->nr_iov = 0;
	g->room = 0;
}

enum net_gathered net_gather_room(struct net_gather *g, struct virtio_dev *v,
				  unsigned queue, struct vq_chain *scratch,
				  unsigned most, uint64_t bytes)
{
	const struct vq_chain *c = scratch;

	while (g->room < bytes) {
		if (g->nr_chains == most)
			return GATHER_NEVER;
		if (!virtio_pop(v, queue, scratch))
			return GATHER_NONE;
		g->chains[g->nr_chains].id = c->head;
		g->rooms[g->nr_chains++] = 0;
		if (g->nr_iov + c->nr_in > NET_GATHER_IOV)
			return GATHER_NEVER;
		g->rooms[g->nr_chains - 1] = c->in_bytes;
		memcpy(g->iov + g->nr_iov, c->iov + c->nr_out,
		       c->nr_in * sizeof(c->iov[0]));
		g->nr_iov += c->nr_in;
		g->room += c->in_bytes;
	}
	return GATHER_ROOM;
}

unsigned net_gather_count(const struct net_gather *g, uint64_t bytes)
{
	uint64_t room = 0;
	unsigned n = 0;

	while (room < bytes)
		room += g->rooms[n++];
	return n;
}

void net_gather_give_back(struct net_gather *g, struct virtio_dev *v,
			  unsigned queue, unsigned nr, uint64_t bytes)
{
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
	virtio_push_all(v, queue, g->chains, nr);
	g->nr_chains -= nr;
	g->nr_iov -= iov;
	memmove(g->chains, g->chains + nr, g->nr_chains * sizeof(g->chains[0]));
	memmove(g->rooms, g->rooms + nr, g->nr_chains * sizeof(g->rooms[0]));
	memmove(g->iov, g->iov + iov, g->nr_iov * sizeof(g->iov[0]));
}
