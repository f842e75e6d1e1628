/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/agent/links.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "memory/lease.h"
#include "monitor/agent/link.h"
#include "monitor/ipc/fds.h"

#define POOL_DEPTH 64u

_Static_assert(AGENT_MAX_IMAGE == LEASE_MAX_BLOCKS * CACHE_BLOCK_BYTES,
	       "an image that control may name has lease maps");

struct agent_store {
	LIST_ENTRY(agent_store) entry;
	uint64_t id;
	struct store *store;
};

struct agent_peer {
	LIST_ENTRY(agent_peer) entry;
	uint64_t id;
	uint64_t store; /* the id of the one that copies */
	struct store_peer *peer;
};

struct links {
	int epoll_fd;
	void (*send)(void *arg, const struct agent_answer *a);
	void *arg;
	struct pool *pool;
	LIST_HEAD(agent_stores, agent_store) stores;
	LIST_HEAD(agent_peers, agent_peer) peers;
	LIST_HEAD(link_list, link) list;
	struct link_counts counts;
	uint64_t nr_links, nr_lost;
	uint64_t sync; /* id of the last AGENT_SYNC; 0: none to be answered */
	struct region figures;
};

static int links_watch(struct links *l, int fd, void *which, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = which };

	return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int links_create(int epoll_fd,
		 void (*send)(void *arg, const struct agent_answer *a),
		 void *arg, struct links **out)
{
	struct links *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	*l = (struct links){ .epoll_fd = epoll_fd, .send = send, .arg = arg };
	err = pool_create(0, POOL_DEPTH, &l->pool);
	if (err)
		goto undo;
	if (pool_event_fd(l->pool) >= 0) {
		err = links_watch(l, pool_event_fd(l->pool), l->pool, EPOLLIN);
		if (err)
			goto undo;
	}
	*out = l;
	return 0;
undo:
	links_destroy(l);
	return err;
}

/* --- links --- */

/* NULL: there is none. */
static struct link *find_link(const struct links *l, uint64_t id)
{
	struct link *k;

	LIST_FOREACH(k, &l->list, entry)
		if (k->id == id)
			break;
	return k;
}

/*
 * None there is fine. Others may have the descriptor, too: closing it would not
 * end the watch.
 */
static void end_link(struct links *l, struct link *k)
{
	if (!k)
		return;
	LIST_REMOVE(k, entry);
	l->nr_links -= k->wake_rx >= 0;
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, k->wake_rx, NULL);
	link_close(k);
}

static void lose_link(struct links *l, uint64_t id, int err)
{
	const struct agent_answer a = {
		.kind = AGENT_LINK_LOST,
		.link_lost = { .link = id, .error = (uint32_t)-err }
	};

	l->nr_lost++;
	l->send(l->arg, &a);
}

/* @fds: all -1: they did not come. */
static void open_link(struct links *l, uint64_t id, const int *fds)
{
	struct link *k;
	int err = fds[0] < 0 ? -EBADF : link_open(id, &l->counts, fds, &k);

	if (!err) {
		err = links_watch(l, k->wake_rx, k, EPOLLIN | EPOLLRDHUP);
		if (err)
			link_close(k);
	}
	if (err) {
		lose_link(l, id, err);
		return;
	}
	LIST_INSERT_HEAD(&l->list, k, entry);
	l->nr_links++;
}

/* One without a channel: nobody asks there. */
static void open_leases(struct links *l, uint64_t id)
{
	static const int none[LINK_FDS] = { -1, -1, -1, -1 };
	struct link *k;
	int err = link_open(id, &l->counts, none, &k);

	if (err) {
		lose_link(l, id, err);
		return;
	}
	LIST_INSERT_HEAD(&l->list, k, entry);
}

/* --- other nodes' stores --- */

/* NULL: there is none. */
static struct agent_peer *find_peer(const struct links *l, uint64_t id)
{
	struct agent_peer *p;

	LIST_FOREACH(p, &l->peers, entry)
		if (p->id == id)
			break;
	return p;
}

/* None there is fine. */
static void end_peer(struct agent_peer *p)
{
	if (!p)
		return;
	LIST_REMOVE(p, entry);
	store_peer_remove(p->peer);
	free(p);
}

/* --- stores --- */

/* NULL: there is none. */
static struct agent_store *links_find_store(const struct links *l, uint64_t id)
{
	struct agent_store *s;

	LIST_FOREACH(s, &l->stores, entry)
		if (s->id == id)
			break;
	return s;
}

/* @fds: all -1: they did not come. */
static int open_store(struct links *l, const struct agent_req_store *r,
		      const int *fds, struct agent_store **out)
{
	struct agent_store *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (s && fds[0] >= 0) {
		s->id = r->store;
		err = store_open(l->pool, fds[0], r->image_bytes, fds[1],
				 fds[2], &s->store);
	} else {
		fds_close(fds, 3);
		err = s ? -EBADF : -ENOMEM;
	}
	if (err)
		free(s);
	else
		*out = s;
	return err;
}

static void begin_store(struct links *l, const struct agent_req_store *r,
			const int *fds)
{
	struct agent_answer a = { .kind = AGENT_STORE_LOST,
				  .store_lost.store = r->store };
	struct agent_store *s;
	int err = open_store(l, r, fds, &s);

	if (err) {
		a.store_lost.error = (uint32_t)-err;
		l->send(l->arg, &a);
		return;
	}
	LIST_INSERT_HEAD(&l->stores, s, entry);
}

static void end_store(struct links *l, struct agent_store *s)
{
	struct agent_peer *p, *next;
	struct link *k;

	if (!s)
		return;
	for (p = LIST_FIRST(&l->peers); p; p = next) {
		next = LIST_NEXT(p, entry);
		if (p->store == s->id)
			end_peer(p);
	}
	/* Control ended them before; if not, they end here. */
	LIST_FOREACH(k, &l->list, entry)
		for (unsigned d = 0; d < VM_MAX_CACHED; d++)
			if (k->disks[d].reader && k->disks[d].store == s->id)
				link_set_disk(k, d, NULL, 0);
	LIST_REMOVE(s, entry);
	store_close(s->store);
	free(s);
}

/* For a link or a store that was lost meanwhile: nothing. */
static void add_reader(struct links *l, const struct agent_req_reader *r,
		       int fd)
{
	struct link *k = find_link(l, r->link);
	struct agent_store *s = links_find_store(l, r->store);
	struct store_reader *reader;
	int err = -EBADF;

	if (!k || !s) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	if (fd >= 0)
		err = store_reader_add(s->store, fd, &reader);
	if (err)
		k->error = err;
	else
		link_set_disk(k, r->disk, reader, s->id);
}

/* @fds: all -1: they did not come. */
static int open_peer(const struct agent_store *s,
		     const struct agent_req_peer *r, const int *fds,
		     struct agent_peer **out)
{
	struct agent_peer *p = calloc(1, sizeof(*p));
	int err = -ENOMEM;

	if (!p || fds[0] < 0) {
		fds_close(fds, 3);
		err = p ? -EBADF : -ENOMEM;
	} else {
		*p = (struct agent_peer){ .id = r->peer, .store = r->store };
		err = store_peer_add(s->store, fds[0], fds[1], fds[2],
				     &p->peer);
	}
	if (err)
		free(p);
	else
		*out = p;
	return err;
}

/* Of a store that was lost meanwhile: nothing. */
static void begin_peer(struct links *l, const struct agent_req_peer *r,
		       const int *fds)
{
	struct agent_answer a = { .kind = AGENT_PEER_LOST,
				  .peer_lost.peer = r->peer };
	const struct agent_store *s = links_find_store(l, r->store);
	struct agent_peer *p;
	int err;

	if (!s) {
		fds_close(fds, 3);
		return;
	}
	err = open_peer(s, r, fds, &p);
	if (err) {
		a.peer_lost.error = (uint32_t)-err;
		l->send(l->arg, &a);
		return;
	}
	LIST_INSERT_HEAD(&l->peers, p, entry);
}

/* --- figures --- */

static void take_figures(struct links *l, int fd)
{
	struct agent_figures *f;

	region_destroy(&l->figures);
	if (fd < 0)
		return;
	if (region_take(&l->figures, fd, AGENT_FIGURES_BYTES) < 0) {
		(void)close(fd); /* control sees that there are none */
		return;
	}
	f = l->figures.base;
	atomic_store_explicit(&f->magic, AGENT_FIGURES_MAGIC,
			      memory_order_relaxed);
}

#define PUBLISH(f, field, value)                                               \
	atomic_store_explicit(&(f)->field, value, memory_order_relaxed)

static void links_publish(const struct links *l)
{
	struct agent_figures *f = l->figures.base;
	struct pool_stats st;

	if (!f)
		return;
	pool_get_stats(l->pool, &st);
	PUBLISH(f, limit_blocks, st.limit_blocks);
	PUBLISH(f, present_blocks, st.present_blocks);
	PUBLISH(f, filling_blocks, st.filling_blocks);
	PUBLISH(f, asked_blocks, st.asked_blocks);
	PUBLISH(f, joined_blocks, st.joined_blocks);
	PUBLISH(f, read_bytes, st.read_bytes);
	PUBLISH(f, ahead_blocks, st.ahead_blocks);
	PUBLISH(f, evicted_blocks, st.evicted_blocks);
	PUBLISH(f, leased_blocks, st.leased_blocks);
	PUBLISH(f, refused_blocks, st.refused_blocks);
	PUBLISH(f, failed_reads, st.failed_reads);
	PUBLISH(f, replica_blocks, st.replica_blocks);
	PUBLISH(f, replicated_blocks, st.replicated_blocks);
	PUBLISH(f, links, l->nr_links);
	PUBLISH(f, links_lost, l->nr_lost);
	PUBLISH(f, requests, l->counts.requests);
	PUBLISH(f, answers_lost, l->counts.answers_lost);
}

/* --- all of it --- */

void links_destroy(struct links *l)
{
	struct agent_store *s;
	struct link *k;

	if (!l)
		return;
	while ((k = LIST_FIRST(&l->list)))
		end_link(l, k);
	while ((s = LIST_FIRST(&l->stores)))
		end_store(l, s);
	pool_destroy(l->pool);
	region_destroy(&l->figures);
	free(l);
}

static bool links_id_in_use(struct links *l, const struct agent_request *r)
{
	switch ((enum agent_request_kind)r->kind) {
	case AGENT_LINK:
	case AGENT_LEASES:
		return find_link(l, r->link.link);
	case AGENT_STORE:
		return links_find_store(l, r->store.store);
	case AGENT_PEER:
		return find_peer(l, r->peer.peer);
	default:
		return false;
	}
}

int links_obey(struct links *l, const struct agent_request *r, const int *fds)
{
	if (links_id_in_use(l, r)) {
		fds_close(fds, FDS_MAX);
		return -EINVAL;
	}
	switch ((enum agent_request_kind)r->kind) {
	case AGENT_STORE:
		begin_store(l, &r->store, fds);
		break;
	case AGENT_STORE_END:
		end_store(l, links_find_store(l, r->store_end.store));
		break;
	case AGENT_LINK:
		open_link(l, r->link.link, fds);
		break;
	case AGENT_LEASES:
		open_leases(l, r->link.link);
		break;
	case AGENT_LINK_END:
		end_link(l, find_link(l, r->link.link));
		break;
	case AGENT_READER:
		add_reader(l, &r->reader, fds[0]);
		break;
	case AGENT_LIMIT:
		pool_set_limit(l->pool, r->limit.cache_bytes);
		break;
	case AGENT_FIGURES:
		take_figures(l, fds[0]);
		break;
	case AGENT_PEER:
		begin_peer(l, &r->peer, fds);
		break;
	case AGENT_PEER_END:
		end_peer(find_peer(l, r->peer_end.peer));
		break;
	case AGENT_SYNC:
		l->sync = r->id;
		break;
	case AGENT_PULL:
	case AGENT_COPY:
	case AGENT_MACHINE:
	case AGENT_NODES:
	case AGENT_PLACE:
	case AGENT_POLICY:
	case AGENT_PLACE_END:
	case AGENT_TRACE:
	case AGENT_TRACE_END:
	case AGENT_COPIES:
	case AGENT_SEGMENT:
	case AGENT_SEGMENT_NODE:
	case AGENT_VIEW:
	case AGENT_VIEW_END:
	case AGENT_SEGMENT_READY:
	case AGENT_SEGMENT_END:
	case AGENT_SEGMENT_DO:
	case AGENT_HEAT:
		fds_close(fds, FDS_MAX);
		return -EINVAL;
	}
	return 0;
}

void links_wake(struct links *l, void *which, uint32_t events)
{
	if (which == l->pool)
		pool_ready(l->pool);
	else
		link_wake(which, events);
}

bool links_in_doubt(const struct links *l)
{
	const struct link *k;

	LIST_FOREACH(k, &l->list, entry)
		if (k->in_doubt)
			return true;
	return false;
}

/* Last in a turn: what is lost was said before. */
static void links_answer_sync(struct links *l)
{
	const struct agent_answer a = { .kind = AGENT_SYNCED, .id = l->sync };

	if (l->sync)
		l->send(l->arg, &a);
	l->sync = 0;
}

bool links_turn(struct links *l)
{
	bool busy = pool_turn(l->pool);
	struct link *k, *next;

	for (k = LIST_FIRST(&l->list); k; k = next) {
		next = LIST_NEXT(k, entry);
		link_turn(k);
		if (k->error) {
			uint64_t id = k->id;
			int err = k->error;

			end_link(l, k);
			lose_link(l, id, err);
			continue;
		}
		busy |= k->awake;
	}
	links_answer_sync(l);
	links_publish(l);
	return busy;
}
