/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/cache_peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/lease.h"
#include "monitor/control/guests/cache_images.h"
#include "monitor/control/guests/cache_tell.h"
#include "monitor/control/guests/guests.h"

enum peer_state { PEER_NEW, PEER_READY, PEER_ENDING };

/* An end of it: a store, and the node of its agent. */
struct peer_end {
	uint64_t store;
	nodeid_t node;
};

struct peer {
	struct peer *next;
	enum peer_state state;
	uint64_t id;		  /* of the link at j, and of the peer at i */
	uint64_t sync;		  /* what is waited for */
	struct peer_end from, to; /* j, i */
	int lease;		  /* for its writer; -1: i has it */
	int lease_ro;
};

/* --- messages --- */

/* The map is one more that j looks at. */
static int tell_from(struct monitor *m, struct peer *p)
{
	int err = cache_tell_map(m, p->from.node, p->id, p->from.store, 0,
				 p->lease_ro);

	if (err || p->state != PEER_NEW)
		return err;
	return cache_tell_sync(m, p->from.node, &p->sync);
}

static const struct image_store *cache_peers_find_store(const struct monitor *m,
							uint64_t id)
{
	for (const struct cache_image *im = m->caches->images; im;
	     im = im->next)
		for (const struct image_store *s = im->stores; s; s = s->next)
			if (s->id == id)
				return s;
	return NULL;
}

static int tell_to(struct monitor *m, struct peer *p)
{
	struct agent_request r = { .kind = AGENT_PEER,
				   .peer = { .peer = p->id,
					     .store = p->to.store } };
	const struct image_store *s = cache_peers_find_store(m, p->from.store);
	int err = -ENOENT;

	if (s) {
		const int fds[] = { s->memory_ro, s->presence_ro, p->lease };

		err = agents_tell(&m->agents, p->to.node, &r, fds);
	}
	(void)close(p->lease);
	p->lease = -1;
	p->state = PEER_READY;
	return err;
}

/* --- life --- */

static void cache_peer_free(struct peer *p)
{
	if (p->lease >= 0)
		(void)close(p->lease);
	if (p->lease_ro >= 0)
		(void)close(p->lease_ro);
	free(p);
}

/* Nobody writes the map. */
static void cache_peers_forget(struct monitor *m, struct peer *p)
{
	struct peer **at = &m->caches->peers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	(void)!cache_tell_link_end(m, p->from.node, p->id);
	cache_peer_free(p);
}

/* Should a message not be sent, the map is looked at until i dies. */
static void begin_end(struct monitor *m, struct peer *p)
{
	if (p->state == PEER_NEW) {
		cache_peers_forget(m, p);
	} else if (p->state == PEER_READY) {
		p->state = PEER_ENDING;
		if (cache_tell_peer_end(m, p->to.node, p->id) ||
		    cache_tell_sync(m, p->to.node, &p->sync))
			p->sync = UINT64_MAX;
	}
}

static void cache_peers_complain(struct monitor *m, const struct peer *p,
				 int err)
{
	sink_line(&m->watcher.err,
		  "disco: node %d gets no copies of cached blocks of node %d: "
		  "%s",
		  p->to.node, p->from.node, strerror(-err));
}

static bool cache_peers_have(const struct monitor *m,
			     const struct image_store *from,
			     const struct image_store *to)
{
	const struct peer *p = m->caches->peers;

	while (p && (p->from.store != from->id || p->to.store != to->id ||
		     p->state == PEER_ENDING))
		p = p->next;
	return p != NULL;
}

static void cache_peers_make(struct monitor *m, const struct cache_image *im,
			     const struct image_store *from,
			     const struct image_store *to)
{
	struct peer *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return;
	*p = (struct peer){ .next = m->caches->peers,
			    .id = ++m->caches->last_id,
			    .from = { from->id, from->node },
			    .to = { to->id, to->node },
			    .lease = -1,
			    .lease_ro = -1 };
	m->caches->peers = p;
	err = region_prepare_pair("disco-lease",
				  lease_map_bytes(image_blocks(im)), to->node,
				  &p->lease, &p->lease_ro);
	if (!err)
		err = tell_from(m, p);
	if (err) {
		cache_peers_complain(m, p, err);
		cache_peers_forget(m, p);
	}
}

void peers_make(struct monitor *m, const struct cache_image *im)
{
	for (const struct image_store *to = im->stores; to; to = to->next) {
		/* What it did not hear it would never be told. */
		if (!agents_running(&m->agents, to->node))
			continue;
		for (const struct image_store *s = im->stores; s; s = s->next)
			if (s != to && !cache_peers_have(m, s, to))
				cache_peers_make(m, im, s, to);
	}
}

void peers_store_ended(struct monitor *m, uint64_t store)
{
	struct peer *next;

	for (struct peer *p = m->caches->peers; p; p = next) {
		next = p->next;
		if (p->from.store == store || p->to.store == store)
			begin_end(m, p);
	}
}

int peers_agent_started(struct monitor *m, nodeid_t node)
{
	int err = 0;

	for (struct peer *p = m->caches->peers; p && !err; p = p->next)
		if (p->from.node == node)
			err = tell_from(m, p);
	return err;
}

void peers_agent_died(struct monitor *m, nodeid_t node)
{
	struct peer *next;

	for (struct peer *p = m->caches->peers; p; p = next) {
		next = p->next;
		if (p->to.node == node)
			cache_peers_forget(m, p);
	}
}

/* What was waited for is there. */
static void cache_peers_go_on(struct monitor *m, struct peer *p)
{
	int err;

	if (p->state == PEER_ENDING) {
		cache_peers_forget(m, p);
		return;
	}
	err = tell_to(m, p);
	if (err) {
		cache_peers_complain(m, p, err);
		cache_peers_forget(m, p);
	}
}

/* Whose AGENT_SYNCED it waits for; NODE_AUTO: nobody's. */
static nodeid_t cache_peers_awaited(const struct peer *p)
{
	if (p->state == PEER_READY)
		return NODE_AUTO;
	return p->state == PEER_NEW ? p->from.node : p->to.node;
}

void peers_synced(struct monitor *m, nodeid_t node, uint64_t id)
{
	struct peer *next;

	for (struct peer *p = m->caches->peers; p; p = next) {
		next = p->next;
		if (p->sync <= id && cache_peers_awaited(p) == node)
			cache_peers_go_on(m, p);
	}
}

void peers_lost(struct monitor *m, nodeid_t node, uint64_t id)
{
	struct peer *p = m->caches->peers;

	while (p && p->id != id)
		p = p->next;
	if (p && p->to.node == node)
		cache_peers_forget(m, p); /* it could not be made */
	else if (p && p->from.node == node)
		begin_end(m, p);
}

void peers_destroy(struct caches *c)
{
	while (c->peers) {
		struct peer *p = c->peers;

		c->peers = p->next;
		cache_peer_free(p);
	}
}
