/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link to the agent, and the reads that wait for it.
 *
 *	FREE --get--> READY(ask) --link_ask()--> ASKED --.
 *	  ^                         ^                    | answer; late;
 *	  `---put--- READY <--------+--------------------' link lost
 *
 * cache_ready() runs without the lock of a disk's front-end, so it must not
 * call done(). It puts ready waits into their queue and makes the queue's event
 * descriptor readable; cache_io.c or dax_cache.c continues from there.
 *
 * A late answer makes the link *silent*: until the agent answers again, misses
 * are still requested, but no read waits for them. So an agent that hangs costs
 * a guest one CACHE_PATIENCE_NS in total, not one per read.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cowdisk/cache/cache_internal.h"
#include "disco/clock.h"

/* --- waiting --- */

struct cache_wait *link_wait_get(struct cache *c, struct cache_queue *q,
				 void *what)
{
	struct cache_wait *w = STAILQ_FIRST(&c->free);

	if (!w)
		return NULL;
	STAILQ_REMOVE_HEAD(&c->free, link);
	c->nr_waits++;
	*w = (struct cache_wait){ .state = WAIT_READY,
				  .deadline_ns =
					  clock_now_ns() + c->patience_ns,
				  .q = q,
				  .what = what };
	return w;
}

void link_wait_put(struct cache *c, struct cache_wait *w)
{
	w->state = WAIT_FREE;
	STAILQ_INSERT_HEAD(&c->free, w, link);
	c->nr_waits--;
}

static void make_ready(struct cache_wait *w)
{
	struct cache_queue *q = w->q;

	/* One that is in the list has made it readable. */
	if (STAILQ_EMPTY(&q->ready))
		(void)eventfd_write(q->event_fd, 1);
	w->state = WAIT_READY;
	STAILQ_INSERT_TAIL(&q->ready, w, link);
}

struct cache_wait *link_wait_next(struct cache_queue *q)
{
	struct cache_wait *w = STAILQ_FIRST(&q->ready);

	if (w)
		STAILQ_REMOVE_HEAD(&q->ready, link);
	return w;
}

void link_give_up(struct cache *c, const struct cache_queue *q)
{
	for (unsigned i = 0; c->nr_waits && i < CACHE_MAX_WAITS; i++) {
		struct cache_wait *w = &c->waits[i];

		if (w->state == WAIT_FREE || (q && w->q != q))
			continue;
		w->last = true;
		if (w->state == WAIT_ASKED) {
			w->direct = true;
			make_ready(w);
		}
	}
}

/* --- time-outs --- */

static void set_timer(struct cache *c, uint64_t at_ns)
{
	struct itimerspec t = { .it_value = { (time_t)(at_ns / 1000000000u),
					      (long)(at_ns % 1000000000u) } };

	(void)timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
	c->timer_ns = at_ns;
}

static void link_late(struct cache *c, struct cache_wait *w)
{
	c->stats.late++;
	if (c->link)
		c->link->silent = true;
	w->direct = true;
	make_ready(w);
}

static void link_expire(struct cache *c)
{
	uint64_t now = clock_now_ns(), next = UINT64_MAX, count;

	(void)!read(c->timer_fd, &count, sizeof(count));
	c->timer_ns = UINT64_MAX;
	for (unsigned i = 0; c->nr_waits && i < CACHE_MAX_WAITS; i++) {
		struct cache_wait *w = &c->waits[i];

		if (w->state != WAIT_FREE && w->deadline_ns > now)
			next = min_u64(next, w->deadline_ns);
		else if (w->state == WAIT_ASKED)
			link_late(c, w);
	}
	if (next != UINT64_MAX)
		set_timer(c, next);
}

/* --- requests --- */

static int link_send_request(struct cache *c, enum cache_request_kind kind,
			     unsigned disk, uint64_t first, unsigned nr,
			     uint32_t tag)
{
	const struct cache_request q = {
		.kind = kind, .disk = disk, .first = first, .nr = nr, .tag = tag
	};
	int err = chan_try_send(&c->link->tx, &q);

	if (err == 0)
		c->stats.asked++;
	else if (err == -EAGAIN)
		c->stats.lost++;
	else
		cache_unlink(c);
	return err;
}

/*
 * A tag is not reused before 2^24 other requests were sent, so a late answer
 * does not match a new request.
 */
static uint32_t new_tag(struct cache *c, const struct cache_wait *w)
{
	c->generation++;
	return c->generation * CACHE_MAX_WAITS + (uint32_t)(w - c->waits);
}

bool link_ask(struct cache *c, struct cache_wait *w, uint64_t first,
	      unsigned nr)
{
	uint32_t tag = new_tag(c, w);

	if (!c->link || clock_now_ns() >= w->deadline_ns ||
	    link_send_request(c, CACHE_FILL, w->q->disk, first, nr, tag))
		return false;
	c->stats.missed_blocks += nr;
	c->link->nr_unanswered++;
	if (c->link->silent)
		return false;
	w->tag = tag;
	w->state = WAIT_ASKED;
	if (w->deadline_ns < c->timer_ns)
		set_timer(c, w->deadline_ns);
	return true;
}

static bool send_hint(struct cache *c, enum cache_request_kind kind,
		      unsigned disk, uint64_t first, unsigned nr)
{
	return cache_can_ask(c, disk) && !c->link->silent &&
	       link_send_request(c, kind, disk, first, nr, 0) == 0;
}

bool link_ahead(struct cache *c, unsigned disk, uint64_t first, unsigned nr)
{
	return send_hint(c, CACHE_AHEAD, disk, first, nr);
}

bool link_replicate(struct cache *c, unsigned disk, uint64_t first, unsigned nr)
{
	uint32_t depth;

	/* The rest of the ring is for what is waited for. */
	if (!c->link || chan_tx_depth(&c->link->tx, &depth) ||
	    depth >= CACHE_LINK_SLOTS / 2)
		return false;
	return send_hint(c, CACHE_REPLICATE, disk, first, nr);
}

/* --- answers --- */

/* An answer that was not asked for, or too late, has no one waiting. */
static int link_answered(struct cache *c, const struct cache_answer *a)
{
	struct cache_wait *w = &c->waits[a->tag % CACHE_MAX_WAITS];

	/* One a request: so the loop around this ends. */
	if (!c->link->nr_unanswered)
		return -EPROTO;
	c->link->nr_unanswered--;
	c->link->silent = false;
	if (w->state == WAIT_ASKED && w->tag == a->tag) {
		w->last = a->error != 0;
		make_ready(w);
	}
	return 0;
}

static void link_receive(struct cache *c)
{
	struct chan_rx *rx = &c->link->rx;
	struct cache_answer a;
	int err;

	chan_sleep_end(rx);
	do {
		while ((err = chan_try_recv(rx, &a)) == 0) {
			err = link_answered(c, &a);
			if (err)
				break;
		}
		if (err == -EAGAIN)
			err = chan_sleep_begin(rx);
	} while (err == -EAGAIN);
	if (err)
		cache_unlink(c);
}

int cache_event_fd(const struct cache *c)
{
	return c->epoll_fd;
}

void cache_ready(struct cache *c)
{
	struct epoll_event e[2];
	bool hung_up = false;
	int n = epoll_wait(c->epoll_fd, e, ARRAY_SIZE(e), 0);

	for (int i = 0; i < n; i++)
		if (e[i].data.fd == c->timer_fd)
			link_expire(c);
		else if (e[i].events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
			hung_up = true;
	if (c->link)
		link_receive(c);
	if (hung_up)
		cache_unlink(c);
	cache_reap(c);
}

/* --- the link --- */

static void link_destroy(struct cache *c, struct cache_link *l)
{
	/* By name: whoever handed it over may have it open still. */
	(void)epoll_ctl(c->epoll_fd, EPOLL_CTL_DEL, l->wake_rx, NULL);
	region_destroy(&l->own);
	region_detach(&l->peer);
	(void)close(l->wake_tx);
	(void)close(l->wake_rx);
	free(l);
}

void cache_unlink(struct cache *c)
{
	struct cache_link *l = c->link;

	if (!l)
		return;
	c->link = NULL;
	link_destroy(c, l);
	link_give_up(c, NULL);
}

static int link_channels(struct cache_link *l)
{
	uint8_t *own = l->own.base;
	const uint8_t *peer = l->peer.base;
	int err = chan_tx_init(
		&l->tx, CACHE_REQUESTS, (void *)(own + CACHE_LINK_RING_OFF),
		(const void *)(peer + CACHE_LINK_READER_OFF), l->wake_tx);

	if (!err)
		err = chan_rx_init(&l->rx, CACHE_ANSWERS,
				   (void *)(own + CACHE_LINK_READER_OFF),
				   (const void *)(peer + CACHE_LINK_RING_OFF),
				   l->wake_rx);
	if (!err)
		err = chan_sleep_begin(&l->rx);
	return err == -EAGAIN ? -EPROTO : err; /* nothing was asked yet */
}

static int link_make(struct cache *c, struct cache_link *l, int own, int peer)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLRDHUP,
				 .data.fd = l->wake_rx };
	int err = region_take(&l->own, own, CACHE_LINK_BYTES);

	if (err)
		(void)close(own);
	else
		err = region_attach(&l->peer, peer, CACHE_LINK_BYTES);
	(void)close(peer);
	if (!err)
		err = link_channels(l);
	if (!err && epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, l->wake_rx, &e) < 0)
		err = -errno;
	return err;
}

int cache_link(struct cache *c, int own, int peer, int wake_tx, int wake_rx)
{
	struct cache_link *l = calloc(1, sizeof(*l));
	int err;

	cache_unlink(c);
	if (!l) {
		const int fds[] = { own, peer, wake_tx, wake_rx };

		for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
			(void)close(fds[i]);
		return -ENOMEM;
	}
	l->wake_tx = wake_tx;
	l->wake_rx = wake_rx;
	err = link_make(c, l, own, peer);
	if (err)
		link_destroy(c, l);
	else
		c->link = l;
	return err;
}
