/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cowdisk/cache/cache_internal.h"

/* --- life --- */

static int cache_make_events(struct cache *c)
{
	struct epoll_event e = { .events = EPOLLIN };

	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd < 0)
		return -errno;
	c->timer_fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->timer_fd < 0)
		return -errno;
	e.data.fd = c->timer_fd;
	return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->timer_fd, &e) < 0
		       ? -errno
		       : 0;
}

int cache_create(struct pmap *pm, struct cache **out)
{
	struct cache *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->pm = pm;
	c->home = NODE_AUTO;
	c->epoll_fd = c->timer_fd = -1;
	c->timer_ns = UINT64_MAX;
	c->patience_ns = CACHE_PATIENCE_NS;
	c->run_min = CACHE_RUN_MIN;
	STAILQ_INIT(&c->free);
	for (unsigned i = 0; i < CACHE_MAX_WAITS; i++)
		STAILQ_INSERT_TAIL(&c->free, &c->waits[i], link);
	err = cache_make_events(c);
	if (err) {
		cache_destroy(c);
		return err;
	}
	*out = c;
	return 0;
}

static void destroy_list(struct cache *c, struct cache_source *s)
{
	while (s) {
		struct cache_source *next = s->next;

		source_destroy(c->pm, s);
		s = next;
	}
}

void cache_destroy(struct cache *c)
{
	if (!c)
		return;
	cache_unlink(c);
	for (unsigned i = 0; i < VM_MAX_CACHED; i++)
		destroy_list(c, c->disks[i]);
	destroy_list(c, c->retired);
	if (c->timer_fd >= 0)
		(void)close(c->timer_fd);
	if (c->epoll_fd >= 0)
		(void)close(c->epoll_fd);
	free(c);
}

/* --- attachments, and the order of lookup --- */

static bool is_home(const struct cache *c, const struct cache_source *s)
{
	return s->node == c->home;
}

static void cache_retire(struct cache *c, struct cache_source **at)
{
	struct cache_source *s = *at;

	*at = s->next;
	s->next = c->retired;
	c->retired = s;
}

void cache_reap(struct cache *c)
{
	struct cache_source **at = &c->retired;

	while (*at) {
		struct cache_source *s = *at;

		if (s->nr_leased) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		if (s->id)
			c->by_id[s->id] = NULL;
		source_destroy(c->pm, s);
	}
}

/* The newest source comes last, except that the home node's comes first. */
static void cache_insert(struct cache *c, struct cache_source *s)
{
	struct cache_source **at = &c->disks[s->disk];

	if (!is_home(c, s))
		while (*at)
			at = &(*at)->next;
	s->next = *at;
	*at = s;
}

/* All attachments of a disk must be of one image. */
static bool same_image(const struct cache *c, unsigned disk, nodeid_t node,
		       uint64_t bytes)
{
	for (const struct cache_source *s = c->disks[disk]; s; s = s->next)
		if (s->node != node && c->bytes[disk] != bytes)
			return false;
	return true;
}

void cache_detach(struct cache *c, unsigned disk, nodeid_t node)
{
	struct cache_source **at;

	if (disk >= VM_MAX_CACHED)
		return;
	for (at = &c->disks[disk]; *at; at = &(*at)->next)
		if ((*at)->node == node) {
			cache_retire(c, at);
			break;
		}
	cache_reap(c);
}

int cache_attach(struct cache *c, unsigned disk, nodeid_t node, uint64_t bytes,
		 int memory, int presence, int lease)
{
	struct cache_source *s;
	int err;

	if (disk >= VM_MAX_CACHED || node < 0 || node >= MAX_NODES ||
	    !same_image(c, disk, node, bytes)) {
		(void)close(memory);
		(void)close(presence);
		(void)close(lease);
		return -EINVAL;
	}
	cache_reap(c); /* its number may be needed */
	err = source_create(c->pm, bytes, memory, presence, lease, &s);
	if (err)
		return err;
	s->disk = disk;
	s->node = node;
	s->serial = ++c->last_serial;
	cache_detach(c, disk, node);
	c->bytes[disk] = bytes;
	if (s->id)
		c->by_id[s->id] = s;
	cache_insert(c, s);
	return 0;
}

struct cache_source *cache_home_source(const struct cache *c, unsigned disk)
{
	struct cache_source *s = c->disks[disk];

	return s && is_home(c, s) ? s : NULL;
}

void cache_set_home(struct cache *c, nodeid_t node)
{
	c->home = node;
	for (unsigned i = 0; i < VM_MAX_CACHED; i++) {
		struct cache_source **at = &c->disks[i], *s;

		while (*at && !is_home(c, *at))
			at = &(*at)->next;
		s = *at;
		if (!s)
			continue;
		*at = s->next;
		cache_insert(c, s);
	}
}

/* --- lookup --- */

unsigned cache_take(struct cache *c, unsigned disk, uint64_t first, unsigned nr,
		    struct cache_source **from)
{
	for (struct cache_source *s = c->disks[disk]; s; s = s->next) {
		unsigned n = source_take(s, first, nr);

		if (n) {
			c->stats.hit_blocks += n;
			if (!is_home(c, s))
				cache_used_afar(c, s, first, n);
			*from = s;
			return n;
		}
		/* A farther one's run ends where a nearer one's begins. */
		if (s->next)
			nr = (unsigned)max_u64(source_lacks(s, first, nr), 1);
	}
	return 0;
}

static bool is_anywhere(const struct cache *c, unsigned disk, uint64_t block)
{
	for (const struct cache_source *s = c->disks[disk]; s; s = s->next)
		if (source_has(s, block))
			return true;
	return false;
}

unsigned cache_absent(const struct cache *c, unsigned disk, uint64_t first,
		      unsigned nr)
{
	unsigned n = 0;

	while (n < nr && !is_anywhere(c, disk, first + n))
		n++;
	return n;
}

bool cache_can_ask(const struct cache *c, unsigned disk)
{
	if (!c->link)
		return false;
	return c->home == NODE_AUTO ? c->disks[disk] != NULL
				    : cache_home_source(c, disk) != NULL;
}

static const uint8_t *base_of(const struct cache_source *s)
{
	return s->memory.base;
}

unsigned cache_lookup(struct cache *c, unsigned disk, uint64_t first,
		      unsigned nr, const uint8_t **page)
{
	struct cache_source *s;
	unsigned n;

	if (disk >= VM_MAX_CACHED)
		return 0;
	n = cache_take(c, disk, first, (unsigned)min_u64(nr, LEASE_RUN_MAX),
		       &s);
	if (n)
		*page = base_of(s) + first * PAGE_BYTES;
	return n;
}

static bool put_in(struct cache_source *list, unsigned disk,
		   const uint8_t *page, unsigned nr)
{
	for (struct cache_source *s = list; s; s = s->next) {
		uint64_t off = (uintptr_t)page - (uintptr_t)base_of(s);

		if (s->disk != disk || off >= s->memory.bytes)
			continue;
		source_put(s, off / PAGE_BYTES, nr);
		return true;
	}
	return false;
}

void cache_put(struct cache *c, unsigned disk, const uint8_t *page, unsigned nr)
{
	if (!put_in(c->disks[disk], disk, page, nr))
		(void)put_in(c->retired, disk, page, nr);
}

/* --- moves to another node --- */

unsigned cache_rehome(void *arg, unsigned id, uint64_t index, uint64_t *nr)
{
	struct cache *c = arg;
	struct cache_source *s = id < PMAP_MAX_SOURCES ? c->by_id[id] : NULL;
	struct cache_source *home = s ? cache_home_source(c, s->disk) : NULL;

	if (!s || s == home)
		return id; /* somebody else's, or where it should be */
	if (!home)
		return 0;
	return source_take_or_lack(home, index, nr) ? home->id : 0;
}

/* Return: false: the agent takes no more requests. */
static bool prefetch_run(struct cache *c, const struct cache_source *home,
			 uint64_t first, unsigned nr)
{
	while (nr) {
		unsigned n = source_lacks(home, first, nr);

		if (n && !link_ahead(c, home->disk, first, n))
			return false;
		n = n ? n : 1;
		first += n;
		nr -= n;
	}
	return true;
}

static bool prefetch_from(struct cache *c, const struct cache_source *s)
{
	const struct cache_source *home = cache_home_source(c, s->disk);
	uint64_t first = 0;
	unsigned n;

	if (!home || s == home)
		return true;
	while ((n = source_next_leased(s, &first, CACHE_FILL_MAX))) {
		if (!prefetch_run(c, home, first, n))
			return false;
		first += n;
	}
	return true;
}

void cache_prefetch(struct cache *c)
{
	const struct cache_source *s;

	for (unsigned i = 0; i < VM_MAX_CACHED; i++)
		for (s = c->disks[i]; s; s = s->next)
			if (!prefetch_from(c, s))
				return;
	for (s = c->retired; s; s = s->next)
		if (!prefetch_from(c, s))
			return;
}

void cache_get_stats(const struct cache *c, struct cache_stats *out)
{
	*out = c->stats;
	out->linked = c->link != NULL;
	out->depth = 0;
	if (c->link && chan_tx_depth(&c->link->tx, &out->depth))
		out->depth = 0;
}
