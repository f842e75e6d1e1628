/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/caches.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cowdisk/base/cache_proto.h"
#include "memory/lease.h"
#include "monitor/control/guests/cache_images.h"
#include "monitor/control/guests/cache_peers.h"
#include "monitor/control/guests/cache_tell.h"
#include "monitor/control/guests/guests.h"
#include "monitor/ipc/fds.h"

struct hold {
	struct hold *next;
	uint64_t id;
	uint64_t store; /* its id */
	uint64_t sync;	/* what is waited for, until its worker has the map */
	nodeid_t node;
	int lease; /* for its writer; -1: it has it */
	int lease_ro;
};

struct guest_disk {
	struct guest_disk *next;
	unsigned nr; /* in the VM; from VM_MAX_DISKS on: a foreign image */
	struct cache_image *image;
	struct hold *holds;
};

/* A VM's part. */
struct guest_cache {
	struct guest_disk *disks; /* those that are cached */
	bool linked;
	bool link_waits; /* for its lease maps */
	nodeid_t home;	 /* whose agent it is linked to, or will be */
	uint64_t link;
};

static struct guest_disk *caches_disks(const struct guest *g)
{
	return g->cache ? g->cache->disks : NULL;
}

/* Does it share pages by references? */
static bool caches_refer(const struct guest *g)
{
	return g->m->merges && g->record.merge && g->record.nr_nets;
}

/* One without disks may get foreign images at any time. */
static bool caches_links(const struct guest *g)
{
	return g->cache && (g->cache->disks || caches_refer(g));
}

static void caches_complain(struct monitor *m, const struct guest *g,
			    const char *what, int err)
{
	sink_line(&m->watcher.err, "disco: %s: %s: %s", g->record.name, what,
		  strerror(-err));
}

int caches_create(struct monitor *m, const struct cache_limit *limit)
{
	m->caches = calloc(1, sizeof(*m->caches));
	if (!m->caches)
		return -ENOMEM;
	m->caches->limit = *limit;
	return 0;
}

/* --- messages --- */

static int tell_store(struct monitor *m, const struct cache_image *im,
		      const struct image_store *s)
{
	struct agent_request r = { .kind = AGENT_STORE,
				   .store = { .store = s->id,
					      .image_bytes = im->key.bytes } };
	const int fds[] = { im->file, s->memory, s->presence };

	return agents_tell(&m->agents, s->node, &r, fds);
}

/*
 * Its agent has to look at the map before the first lease is taken: messages
 * to an agent and a worker have no order, so the worker gets the map when the
 * agent has said that it does (AGENT_SYNCED).
 */
static int tell_hold(struct monitor *m, const struct guest_disk *d,
		     struct hold *h)
{
	int err =
		cache_tell_map(m, h->node, h->id, h->store, d->nr, h->lease_ro);

	if (err || h->lease < 0)
		return err;
	return cache_tell_sync(m, h->node, &h->sync);
}

/* --- holds --- */

static void hold_free(struct monitor *m, struct hold *h)
{
	(void)!cache_tell_link_end(m, h->node, h->id);
	fds_drop(&h->lease);
	fds_drop(&h->lease_ro);
	free(h);
}

/* Its link's requests may name the disk, if the link is older than the hold. */
static int hold_link(struct monitor *m, const struct guest *g,
		     const struct guest_disk *d, const struct hold *h)
{
	if (!g->cache->linked || g->cache->home != h->node ||
	    d->nr < VM_MAX_DISKS)
		return 0;
	return cache_tell_reader(m, h->node, g->cache->link, h->store, d->nr,
				 h->lease_ro);
}

static int hold_make(struct monitor *m, const struct guest *g,
		     struct guest_disk *d, const struct image_store *s)
{
	struct hold *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return -ENOMEM;
	*h = (struct hold){ .id = ++m->caches->last_id,
			    .store = s->id,
			    .node = s->node };
	err = region_prepare_pair("disco-lease",
				  lease_map_bytes(image_blocks(d->image)),
				  g->record.node, &h->lease, &h->lease_ro);
	if (err) {
		free(h);
		return err;
	}
	err = tell_hold(m, d, h);
	if (!err)
		err = hold_link(m, g, d, h);
	if (err) {
		hold_free(m, h);
		return err;
	}
	h->next = d->holds;
	d->holds = h;
	return 0;
}

/* The agent looks at it: its worker may write it. */
static int caches_hand_over(struct guest *g, const struct guest_disk *d,
			    struct hold *h)
{
	const struct image_store *s = store_on(d->image, h->node);
	struct worker_request r = {
		.kind = WORKER_REQ_CACHE,
		.cache = { .image_bytes = d->image->key.bytes,
			   .image = caches_refer(g) ? d->image->number : 0,
			   .disk = d->nr,
			   .node = h->node },
	};
	int err = -ENOENT;

	if (s && s->id == h->store) {
		const int fds[] = { s->memory_ro, s->presence_ro, h->lease };

		err = vm_watch_send(&g->vm, &r, fds);
	}
	fds_drop(&h->lease);
	return err;
}

static const struct hold *hold_of(const struct guest_disk *d,
				  const struct image_store *s)
{
	const struct hold *h = d->holds;

	while (h && h->store != s->id)
		h = h->next;
	return h;
}

/* All VMs of an image may look in all its stores. */
static void hold_all(struct monitor *m, const struct cache_image *im)
{
	for (struct guest *g = m->guests; g; g = g->next)
		for (struct guest_disk *d = caches_disks(g); d; d = d->next)
			for (struct image_store *s = im->stores;
			     s && d->image == im && !g->ended; s = s->next) {
				int err = hold_of(d, s) ? 0
							: hold_make(m, g, d, s);

				if (err)
					caches_complain(m, g, "buffer cache",
							err);
			}
}

static void drop_hold(struct monitor *m, struct guest *g, struct guest_disk *d,
		      uint64_t store)
{
	struct worker_request r = { .kind = WORKER_REQ_CACHE_END,
				    .cache_end.disk = d->nr };
	struct hold **at = &d->holds, *h;

	while (*at && (*at)->store != store)
		at = &(*at)->next;
	h = *at;
	if (!h)
		return;
	*at = h->next;
	r.cache_end.node = h->node;
	/* One that is gone, or reads nothing, needs no telling. */
	if (!g->ended)
		(void)!vm_watch_send(&g->vm, &r, NULL);
	hold_free(m, h);
}

/* --- stores --- */

static void store_drop(struct monitor *m, struct cache_image *im,
		       struct image_store *s)
{
	struct image_store **at = &im->stores;

	/*
	 * First: with a reader less its agent would punch what that one uses.
	 */
	(void)!cache_tell_store_end(m, s->node, s->id);
	for (struct guest *g = m->guests; g; g = g->next)
		for (struct guest_disk *d = caches_disks(g); d; d = d->next)
			if (d->image == im)
				drop_hold(m, g, d, s->id);
	peers_store_ended(m, s->id);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	image_store_free(s);
}

static int store_enter(struct monitor *m, struct cache_image *im, nodeid_t node)
{
	struct image_store *s = store_on(im, node);
	int err;

	if (s) {
		s->homes++;
		return 0;
	}
	err = store_make(im, node, ++m->caches->last_id, &s);
	if (err)
		return err;
	err = tell_store(m, im, s);
	if (err) {
		image_store_free(s);
		return err;
	}
	s->homes = 1;
	s->next = im->stores;
	im->stores = s;
	peers_make(m, im);
	return 0;
}

static void store_leave(struct monitor *m, struct cache_image *im,
			nodeid_t node)
{
	struct image_store *s = store_on(im, node);

	if (s && --s->homes == 0)
		store_drop(m, im, s);
}

/* --- links --- */

struct link_ends {
	int agent[4]; /* own region, the worker's, wakes the worker, is woken */
	int worker[4]; /* the same, seen from there */
};

static void caches_ends_close(struct link_ends *e)
{
	for (unsigned i = 0; i < 4; i++) {
		fds_drop(&e->agent[i]);
		fds_drop(&e->worker[i]);
	}
}

static int caches_ends_make(struct link_ends *e, nodeid_t node)
{
	int err;

	memset(e, -1, sizeof(*e));
	err = region_prepare_pair("disco-link", CACHE_LINK_BYTES, node,
				  &e->agent[0], &e->worker[1]);
	if (!err)
		err = region_prepare_pair("disco-link", CACHE_LINK_BYTES, node,
					  &e->worker[0], &e->agent[1]);
	if (!err)
		err = chan_wake_create(&e->agent[2], &e->worker[3]);
	if (!err)
		err = chan_wake_create(&e->worker[2], &e->agent[3]);
	if (err)
		caches_ends_close(e);
	return err;
}

static void unlink_guest(struct monitor *m, struct guest *g, bool tell)
{
	struct worker_request r = { .kind = WORKER_REQ_UNLINK };

	if (!g->cache || !g->cache->linked)
		return;
	g->cache->linked = false;
	if (tell && !g->ended)
		(void)!vm_watch_send(&g->vm, &r, NULL);
	(void)!cache_tell_link_end(m, g->cache->home, g->cache->link);
}

/* Has it all lease maps? Else it would ask for what other nodes have. */
static bool holds_ready(const struct guest *g)
{
	for (const struct guest_disk *d = caches_disks(g); d; d = d->next)
		for (const struct hold *h = d->holds; h; h = h->next)
			if (h->lease >= 0)
				return false;
	return true;
}

static int link_now(struct monitor *m, struct guest *g, nodeid_t node)
{
	struct worker_request w = { .kind = WORKER_REQ_LINK,
				    .link.node = node };
	struct agent_request a = { .kind = AGENT_LINK,
				   .link.link = ++m->caches->last_id };
	struct link_ends e;
	int err;

	unlink_guest(m, g, false); /* the new one takes its place */
	g->cache->link_waits = false;
	if (!agents_running(&m->agents, node))
		return 0; /* caches_agent_started() */
	err = caches_ends_make(&e, node);
	if (err)
		return err;
	g->cache->link = a.link.link;
	g->cache->home = node;
	err = agents_tell(&m->agents, node, &a, e.agent);
	g->cache->linked = !err;
	for (struct guest_disk *d = caches_disks(g); d && !err; d = d->next)
		for (struct hold *h = d->holds; h && !err; h = h->next)
			if (h->node == node)
				err = cache_tell_reader(m, node, g->cache->link,
							h->store, d->nr,
							h->lease_ro);
	if (!err)
		err = vm_watch_send(&g->vm, &w, e.worker);
	caches_ends_close(&e);
	if (err)
		unlink_guest(m, g, true);
	return err;
}

static int link_guest(struct monitor *m, struct guest *g, nodeid_t node)
{
	if (holds_ready(g))
		return link_now(m, g, node);
	unlink_guest(m, g, true); /* the files meanwhile */
	g->cache->link_waits = true;
	g->cache->home = node;
	return 0;
}

/* Return: 0; the first error: what could be done was. */
static int guest_synced(struct monitor *m, struct guest *g, nodeid_t node,
			uint64_t id)
{
	int err, first = 0;

	for (struct guest_disk *d = caches_disks(g); d; d = d->next)
		for (struct hold *h = d->holds; h; h = h->next) {
			if (h->node != node || h->lease < 0 || h->sync > id)
				continue;
			err = caches_hand_over(g, d, h);
			first = first ? first : err;
		}
	if (g->cache && g->cache->link_waits && holds_ready(g)) {
		err = link_now(m, g, g->cache->home);
		first = first ? first : err;
	}
	return first;
}

static void guests_synced(struct monitor *m, nodeid_t node, uint64_t id)
{
	for (struct guest *g = m->guests; g; g = g->next) {
		int err = g->ended ? 0 : guest_synced(m, g, node, id);

		if (err)
			caches_complain(m, g, "buffer cache", err);
	}
}

/* --- guests --- */

/* With an agent, if that is possible at all. */
static bool caches_can_cache(struct monitor *m, nodeid_t node)
{
	struct diag d = { .status = ST_OK };
	struct agent *a;

	return !m->caches->limit.off && m->topology.this_machine &&
	       topology_find(&m->topology, node) &&
	       agents_get(&m->agents, node, &a, &d) == 0;
}

/* The first one of a guest: its home is a user of the image's store there. */
static void disk_add(struct monitor *m, struct guest *g, struct guest_disk *d)
{
	int err;

	d->next = g->cache->disks;
	g->cache->disks = d;
	err = store_enter(m, d->image, g->cache->home);
	if (err)
		caches_complain(m, g, "buffer cache", err);
	hold_all(m, d->image);
}

static void own_add(struct monitor *m, struct guest *g)
{
	const struct vm_record *r = &g->record;

	for (unsigned i = 0; i < r->nr_cached; i++) {
		struct guest_disk *d = calloc(1, sizeof(*d));
		int err = d ? image_get(&m->caches->images, r->pid,
					r->cached[i].fd, r->group, &d->image)
			    : -ENOMEM;

		if (err) {
			free(d);
			caches_complain(m, g, "a disk is not cached", err);
			continue;
		}
		d->nr = r->cached[i].disk;
		disk_add(m, g, d);
	}
}

/* --- foreign images --- */

/* Do frames between them carry references? */
static bool guests_refer(const struct guest *a, const struct guest *b)
{
	const struct vm_record *x = &a->record, *y = &b->record;

	if (a == b || !a->cache || !b->cache || a->ended || b->ended ||
	    !caches_refer(a) || !caches_refer(b) ||
	    strcmp(x->group, y->group) != 0)
		return false;
	for (unsigned i = 0; i < x->nr_nets; i++)
		for (unsigned k = 0; k < y->nr_nets; k++)
			if (!strcmp(x->nets[i].net, y->nets[k].net))
				return true;
	return false;
}

static void foreign_add(struct monitor *m, struct guest *g,
			struct cache_image *im)
{
	struct guest_disk *d;
	unsigned nr = VM_MAX_DISKS;

	for (d = caches_disks(g); d; d = d->next) {
		if (d->image == im)
			return;
		nr = d->nr >= nr ? d->nr + 1 : nr;
	}
	if (nr == VM_MAX_CACHED)
		return;
	d = calloc(1, sizeof(*d));
	if (!d) {
		caches_complain(m, g, "references", -ENOMEM);
		return;
	}
	d->nr = nr;
	d->image = im;
	im->users++;
	disk_add(m, g, d);
}

/* The disks of @from are foreign images of @to. */
static void foreign_add_all(struct monitor *m, struct guest *to,
			    const struct guest *from)
{
	for (struct guest_disk *d = caches_disks(from); d; d = d->next)
		if (d->nr < VM_MAX_DISKS)
			foreign_add(m, to, d->image);
}

void caches_guest_add(struct monitor *m, struct guest *g)
{
	const struct vm_record *r = &g->record;
	int err;

	if (!caches_can_cache(m, r->node) ||
	    (!r->nr_cached && !caches_refer(g)))
		return;
	g->cache = calloc(1, sizeof(*g->cache));
	if (!g->cache) {
		caches_complain(m, g, "its disks are not cached", -ENOMEM);
		return;
	}
	g->cache->home = r->node;
	own_add(m, g);
	for (struct guest *o = m->guests; o; o = o->next)
		if (guests_refer(o, g)) {
			foreign_add_all(m, g, o);
			foreign_add_all(m, o, g);
		}
	if (!caches_links(g))
		return;
	err = link_guest(m, g, r->node);
	if (err)
		caches_complain(m, g, "buffer cache", err);
	g->cache->home = r->node;
}

void caches_guest_home(struct monitor *m, struct guest *g, nodeid_t node)
{
	nodeid_t old = g->cache ? g->cache->home : node;
	int err = 0;

	if (!caches_links(g) || old == node || !caches_can_cache(m, node))
		return;
	for (struct guest_disk *d = caches_disks(g); d && !err; d = d->next) {
		err = store_enter(m, d->image, node);
		hold_all(m, d->image);
	}
	if (!err)
		err = link_guest(m, g, node);
	if (err)
		caches_complain(m, g, "buffer cache", err);
	g->cache->home = node;
	for (struct guest_disk *d = caches_disks(g); d; d = d->next)
		store_leave(m, d->image, old);
}

void caches_guest_remove(struct monitor *m, struct guest *g)
{
	struct guest_disk *d;

	unlink_guest(m, g, false);
	while ((d = caches_disks(g))) {
		while (d->holds)
			drop_hold(m, g, d, d->holds->store);
		store_leave(m, d->image, g->cache->home);
		g->cache->disks = d->next;
		image_put(&m->caches->images, d->image);
		free(d);
	}
	free(g->cache);
	g->cache = NULL;
}

/* --- agents --- */

static uint64_t limit_of(const struct monitor *m, nodeid_t node)
{
	const struct topology_node *n = topology_find(&m->topology, node);

	if (m->caches->limit.bytes)
		return m->caches->limit.bytes;
	return n ? n->total_bytes / 100 * m->caches->limit.percent : 0;
}

static struct region_view *figures_of(struct caches *c, nodeid_t node)
{
	unsigned i = 0;

	while (i < c->nr_seen && c->seen[i].node != node)
		i++;
	if (i == MAX_NODES)
		return NULL;
	if (i == c->nr_seen) {
		c->seen[i].node = node;
		c->nr_seen++;
	}
	return &c->seen[i].figures;
}

static int show_figures(struct monitor *m, struct agent *a)
{
	struct agent_request r = { .kind = AGENT_FIGURES };
	struct region_view *v = figures_of(m->caches, a->node);
	int rw, ro, err = v ? 0 : -ENOSPC;

	if (!err)
		err = region_prepare_pair("disco-agent", AGENT_FIGURES_BYTES,
					  a->node, &rw, &ro);
	if (err)
		return err;
	region_detach(v);
	err = region_attach(v, ro, AGENT_FIGURES_BYTES);
	if (!err)
		err = agent_ask(a, &r, &rw);
	(void)close(rw);
	(void)close(ro);
	return err;
}

static int tell_all_of(struct monitor *m, struct guest *g, nodeid_t node)
{
	int err = 0;

	for (struct guest_disk *d = caches_disks(g); d && !err; d = d->next)
		for (struct hold *h = d->holds; h && !err; h = h->next)
			if (h->node == node)
				err = tell_hold(m, d, h);
	if (!err && caches_links(g) && g->cache->home == node && !g->ended)
		err = link_guest(m, g, node);
	return err;
}

void caches_agent_started(struct monitor *m, struct agent *a)
{
	struct agent_request r = { .kind = AGENT_LIMIT,
				   .limit.cache_bytes = limit_of(m, a->node) };
	int err = show_figures(m, a);

	for (struct cache_image *im = m->caches->images; im && !err;
	     im = im->next) {
		struct image_store *s = store_on(im, a->node);

		if (s)
			err = tell_store(m, im, s);
	}
	for (struct guest *g = m->guests; g && !err; g = g->next)
		err = tell_all_of(m, g, a->node);
	if (!err)
		err = peers_agent_started(m, a->node);
	/* Last: it evicts nothing before, as it has to know every lease. */
	if (!err)
		err = agent_ask(a, &r, NULL);
	for (struct cache_image *im = m->caches->images; im && !err;
	     im = im->next)
		peers_make(m, im);
	if (err)
		sink_line(&m->watcher.err,
			  "disco: the agent of node %d does not serve its "
			  "buffer cache: %s",
			  a->node, strerror(-err));
}

void caches_agent_died(struct monitor *m, struct agent *a)
{
	peers_agent_died(m, a->node);
	for (struct guest *g = m->guests; g; g = g->next)
		if (g->cache && g->cache->linked && g->cache->home == a->node)
			unlink_guest(m, g, true);
}

static void caches_part_lost(struct monitor *m, const struct agent *a,
			     uint32_t error)
{
	sink_line(&m->watcher.err,
		  "disco: the agent of node %d has lost a part of its buffer "
		  "cache: %s",
		  a->node, strerror((int)error));
}

static void caches_link_lost(struct monitor *m, const struct agent *a,
			     const struct agent_ans_link_lost *lost)
{
	peers_lost(m, a->node, lost->link);
	for (struct guest *g = m->guests; g; g = g->next) {
		if (!g->cache || !g->cache->linked ||
		    g->cache->link != lost->link || g->cache->home != a->node)
			continue;
		/* The worker's end is gone: so is it, which is told. */
		if (lost->error != EPIPE)
			caches_complain(
				m, g,
				"reads its disks without the buffer cache "
				"from now on",
				-(int)lost->error);
		unlink_guest(m, g, true);
		return;
	}
	caches_part_lost(m, a, lost->error);
}

void caches_agent_said(struct monitor *m, const struct agent *a,
		       const struct agent_answer *what)
{
	switch ((enum agent_answer_kind)what->kind) {
	case AGENT_SYNCED:
		guests_synced(m, a->node, what->id);
		peers_synced(m, a->node, what->id);
		break;
	case AGENT_LINK_LOST:
		caches_link_lost(m, a, &what->link_lost);
		break;
	case AGENT_STORE_LOST:
		caches_part_lost(m, a, what->store_lost.error);
		break;
	case AGENT_VIEW_LATE:
		break; /* segments_agent_said() */
	case AGENT_PEER_LOST:
		peers_lost(m, a->node, what->peer_lost.peer);
		caches_part_lost(m, a, what->peer_lost.error);
		break;
	case AGENT_PROGRESS:
	case AGENT_DONE:
		break; /* of a move */
	}
}

void caches_destroy(struct monitor *m)
{
	struct caches *c = m->caches;

	if (!c)
		return;
	for (struct guest *g = m->guests; g; g = g->next)
		caches_guest_remove(m, g);
	peers_destroy(c);
	for (unsigned i = 0; i < c->nr_seen; i++)
		region_detach(&c->seen[i].figures);
	free(c);
	m->caches = NULL;
}

/* --- figures --- */

const struct agent_figures *caches_figures(const struct caches *c,
					   nodeid_t node)
{
	const struct agent_figures *f = NULL;

	for (unsigned i = 0; i < c->nr_seen; i++)
		if (c->seen[i].node == node)
			f = c->seen[i].figures.base;
	/* Not before the agent came to it. */
	if (f && atomic_load_explicit(&f->magic, memory_order_relaxed) !=
			 AGENT_FIGURES_MAGIC)
		return NULL;
	return f;
}
