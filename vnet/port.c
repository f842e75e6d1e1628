/* SPDX-License-Identifier: BSD-2-Clause */
#include "vnet/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "numa/atomic_ops.h"

#define PREFETCH 8u /* frames ahead */

/* --- chunks: small ones are 0 .. VNET_SMALL_NR - 1, large ones follow --- */

static bool chunk_is_small(uint16_t c)
{
	return c < VNET_SMALL_NR;
}

static uint64_t chunk_offset(uint16_t c)
{
	if (chunk_is_small(c))
		return offsetof(struct vnet_shared, small) +
		       (uint64_t)c * VNET_SMALL_BYTES;
	return offsetof(struct vnet_shared, large) +
	       (uint64_t)(c - VNET_SMALL_NR) * VNET_LARGE_BYTES;
}

/* Of a descriptor that this port wrote, and that nobody else can write. */
static uint16_t chunk_of(uint64_t desc)
{
	uint64_t at = (desc & 0xffffffff) * 64;

	if (at < offsetof(struct vnet_shared, large))
		return (uint16_t)((at - offsetof(struct vnet_shared, small)) /
				  VNET_SMALL_BYTES);
	return (uint16_t)(VNET_SMALL_NR +
			  (at - offsetof(struct vnet_shared, large)) /
				  VNET_LARGE_BYTES);
}

static void chunks_init(struct vnet_port *p)
{
	for (unsigned i = 0; i < VNET_SMALL_NR; i++)
		p->free[i] = (uint16_t)(VNET_SMALL_NR - 1 - i);
	for (unsigned i = 0; i < VNET_LARGE_NR; i++)
		p->free[VNET_SMALL_NR + i] =
			(uint16_t)(VNET_SMALL_NR + VNET_LARGE_NR - 1 - i);
	p->nr_small = VNET_SMALL_NR;
	p->nr_large = VNET_LARGE_NR;
}

/* Last in, first out: its lines are in a cache most likely. */
static uint16_t chunk_get(struct vnet_port *p, bool small)
{
	return small ? p->free[--p->nr_small]
		     : p->free[VNET_SMALL_NR + --p->nr_large];
}

static void chunk_put(struct vnet_port *p, uint16_t c)
{
	if (--p->users[c])
		return;
	if (chunk_is_small(c))
		p->free[p->nr_small++] = c;
	else
		p->free[VNET_SMALL_NR + p->nr_large++] = c;
}

/* Give back the chunks of a peer's frames up to index @end. */
static void chunks_free_until(struct vnet_port *p, struct vnet_peer *q,
			      uint32_t end)
{
	while (q->freed != end) {
		uint32_t at = q->freed++ % VNET_RING_SLOTS;
		uint16_t c = chunk_of(
			shared_load(&q->tx.slots[at], memory_order_relaxed));

		if (chunk_is_small(c))
			q->held_small--;
		else
			q->held_large--;
		chunk_put(p, c);
	}
}

static int chunks_reclaim(struct vnet_port *p, struct vnet_peer *q)
{
	int err = vnet_tx_look(&q->tx);

	if (!err)
		chunks_free_until(p, q, q->tx.head);
	return err;
}

/* --- pairs that are busy, and their memory --- */

void vnet_port_show_pairs(struct vnet_port *p, struct vnet_pair_row *rows)
{
	p->rows = rows;
}

static void pair_get_row(struct vnet_port *p, struct vnet_peer *q)
{
	unsigned i;

	if (!p->rows || !~p->rows_used)
		return;
	i = (unsigned)__builtin_ctzll(~p->rows_used);
	p->rows_used |= 1ull << i;
	q->row = &p->rows[i];
	vnet_pair_begin(q->row, vnet_pair_who(q->slot, q->gen), q->counts);
}

static void pair_begin(struct vnet_port *p, struct vnet_peer *q)
{
	if (q->busy)
		return;
	q->busy = true;
	p->nr_busy++;
	p->untended |= !p->sweep_ns;
	pair_get_row(p, q);
}

static void pair_show(struct vnet_peer *q)
{
	if (q->row)
		vnet_pair_update(q->row, q->counts);
}

static void pair_end(struct vnet_port *p, struct vnet_peer *q)
{
	if (!q->busy)
		return;
	q->busy = false;
	p->nr_busy--;
	if (!q->row)
		return;
	vnet_pair_end(q->row);
	p->rows_used &= ~(1ull << (q->row - p->rows));
	q->row = NULL;
}

static void ring_begin(struct vnet_port *p, struct vnet_peer *q)
{
	q->ring = true;
	p->nr_rings++;
	p->untended |= p->nr_rings == VNET_RINGS_KEPT + 1;
	pair_begin(p, q);
}

/*
 * No ring has a frame, so no chunk has one that somebody may read; unless a caller
 * writes to one.
 */
static void chunks_rest(struct vnet_port *p)
{
	size_t begin = offsetof(struct vnet_shared, small);

	if (p->nr_small == VNET_SMALL_NR && p->nr_large == VNET_LARGE_NR)
		shared_discard((uint8_t *)p->shared + begin,
			       sizeof(struct vnet_shared) - begin);
}

static void ring_gone(struct vnet_port *p, struct vnet_peer *q)
{
	q->ring = false;
	if (--p->nr_rings == 0)
		chunks_rest(p);
}

/*
 * The numbers of chunks are in the ring's slots: all of them were read there, or
 * it is not empty.
 */
static void ring_end(struct vnet_port *p, struct vnet_peer *q)
{
	if (q->ring && q->freed == q->tx.tail && vnet_tx_rest(&q->tx))
		ring_gone(p, q);
}

static void peer_sweep(struct vnet_port *p, struct vnet_peer *q)
{
	bool sent = q->tx.tail != q->swept_tail;
	bool received = q->rx.head != q->swept_head;

	q->swept_tail = q->tx.tail;
	q->swept_head = q->rx.head;
	if (!sent || p->nr_rings > VNET_RINGS_KEPT) {
		(void)!chunks_reclaim(p, q);
		ring_end(p, q);
	}
	if (!sent && !received && !q->ring)
		pair_end(p, q);
	else if (!q->row)
		pair_get_row(p, q);
}

void vnet_port_sweep(struct vnet_port *p)
{
	for (unsigned i = 0; i < p->nr_peers; i++) {
		struct vnet_peer *q = p->peers[p->list[i]];

		if (q->busy)
			peer_sweep(p, q);
	}
	vnet_claims_review(p);
}

uint64_t vnet_port_tend(struct vnet_port *p, uint64_t now_ns)
{
	uint64_t in;

	p->untended = false;
	if (p->sweep_ns && now_ns >= p->sweep_ns) {
		vnet_port_sweep(p);
		p->sweep_ns = 0;
	}
	if (!p->nr_busy) {
		p->sweep_ns = 0;
		return 0;
	}
	in = p->nr_rings > VNET_RINGS_KEPT ? VNET_SWEEP_SOON_NS : VNET_SWEEP_NS;
	if (!p->sweep_ns || p->sweep_ns > now_ns + in)
		p->sweep_ns = now_ns + in;
	return p->sweep_ns;
}

/* --- the table of ports --- */

int vnet_port_create(int region_fd, int wake_fd, uint32_t slot, uint32_t gen,
		     const struct vnet_station *own,
		     const struct vnet_plan *plan, struct vnet_port **out)
{
	struct vnet_port *p = NULL;
	int err = -EINVAL;

	if (slot >= VNET_PORTS_MAX || !gen)
		goto close_fds;
	p = calloc(1, sizeof(*p));
	err = -ENOMEM;
	if (!p)
		goto close_fds;
	err = region_take_punched(&p->own, region_fd,
				  sizeof(struct vnet_shared));
	if (err)
		goto close_fds;
	p->shared = p->own.base;
	p->wake_fd = wake_fd;
	p->slot = slot;
	p->gen = gen;
	p->station = *own;
	p->plan = *plan;
	chunks_init(p);
	*out = p;
	return 0;

close_fds:
	free(p);
	(void)close(region_fd);
	(void)close(wake_fd);
	return err;
}

static void peer_destroy(struct vnet_peer *q)
{
	region_detach(&q->view);
	(void)close(q->wake_fd);
	free(q);
}

void vnet_port_destroy(struct vnet_port *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->nr_peers; i++)
		peer_destroy(p->peers[p->list[i]]);
	region_destroy(&p->own);
	(void)close(p->wake_fd);
	free(p);
}

static void peer_begin(struct vnet_port *p, struct vnet_peer *q)
{
	const struct vnet_shared *theirs = q->view.base;

	vnet_tx_init(&q->tx, &p->shared->lines[q->slot],
		     p->shared->rings[q->slot], &theirs->heads[p->slot], p->gen,
		     q->gen);
	vnet_rx_init(&q->rx, &p->shared->heads[q->slot],
		     &theirs->lines[p->slot], theirs->rings[p->slot], p->gen,
		     q->gen);
	p->peers[q->slot] = q;
	p->list[p->nr_peers++] = (uint16_t)q->slot;
}

int vnet_port_add(struct vnet_port *p, uint32_t slot, uint32_t gen,
		  const struct vnet_station *station, int region_fd,
		  int wake_fd)
{
	struct vnet_peer *q = NULL;
	int err = -EINVAL;

	if (slot >= VNET_PORTS_MAX || slot == p->slot || !gen)
		goto close_fds;
	q = p->peers[slot];
	err = 0;
	if (q && q->gen == gen)
		goto close_fds;
	err = -EEXIST;
	if (q && q->gen > gen)
		goto close_fds;
	vnet_port_remove(p, slot, 0);
	err = -ENOMEM;
	q = calloc(1, sizeof(*q));
	if (!q)
		goto close_fds;
	*q = (struct vnet_peer){ .slot = slot,
				 .gen = gen,
				 .station = *station,
				 .wake_fd = wake_fd };
	err = region_attach(&q->view, region_fd, sizeof(struct vnet_shared));
	if (err) {
		free(q);
		goto close_fds;
	}
	(void)close(region_fd);
	peer_begin(p, q);
	vnet_claims_review(p);
	return 0;

close_fds:
	(void)close(region_fd);
	(void)close(wake_fd);
	return err;
}

/* Who is received from next, after the list has changed. */
static void turn_reset(struct vnet_port *p)
{
	p->turn = 0;
	p->taken = 0;
	p->seen = 0;
}

void vnet_port_remove(struct vnet_port *p, uint32_t slot, uint32_t gen)
{
	struct vnet_peer *q = slot < VNET_PORTS_MAX ? p->peers[slot] : NULL;
	unsigned i = 0;

	if (!q || (gen && q->gen != gen))
		return;
	/* Whether it took them or not: nobody reads them any more. */
	chunks_free_until(p, q, q->tx.tail);
	if (q->ring) {
		shared_discard(q->tx.slots, sizeof(p->shared->rings[0]));
		ring_gone(p, q);
	}
	pair_end(p, q);
	if (q->dirty)
		p->nr_dirty--;
	while (p->list[i] != slot)
		i++;
	p->list[i] = p->list[--p->nr_peers];
	p->peers[slot] = NULL;
	peer_destroy(q);
	turn_reset(p);
}

/* At most 255 of them, and one or two lines each: no hash is faster. */
struct vnet_peer *vnet_port_by_mac(const struct vnet_port *p,
				   const uint8_t mac[VNET_MAC_BYTES])
{
	for (unsigned i = 0; i < p->nr_peers; i++) {
		struct vnet_peer *q = p->peers[p->list[i]];

		if (memcmp(q->station.mac, mac, VNET_MAC_BYTES) == 0)
			return q;
	}
	return NULL;
}

struct vnet_peer *vnet_port_by_ip(const struct vnet_port *p,
				  const uint8_t ip[4])
{
	static const uint8_t none[4];

	if (memcmp(ip, none, 4) == 0)
		return NULL;
	for (unsigned i = 0; i < p->nr_peers; i++) {
		struct vnet_peer *q = p->peers[p->list[i]];

		if (memcmp(q->station.ip, ip, 4) == 0)
			return q;
	}
	return NULL;
}

/* --- sending --- */

static bool frame_is_small(uint32_t bytes)
{
	return bytes <= VNET_SMALL_ROOM;
}

/* Guarantee 2 of progress. */
static bool peer_may_hold(const struct vnet_port *p, const struct vnet_peer *q,
			  bool small)
{
	if (vnet_tx_depth(&q->tx) >= VNET_RING_SLOTS)
		return false;
	return small ? q->held_small < p->nr_small
		     : q->held_large < p->nr_large;
}

/* What all peers have taken, too: one of them may have taken the last ones. */
static void chunks_reclaim_all(struct vnet_port *p)
{
	for (unsigned i = 0; i < p->nr_peers; i++)
		(void)!chunks_reclaim(p, p->peers[p->list[i]]);
}

static int peer_room(struct vnet_port *p, struct vnet_peer *q, bool small)
{
	int err;

	if (peer_may_hold(p, q, small))
		return 0;
	/* It cannot take what it does not see. */
	vnet_port_flush(p);
	err = chunks_reclaim(p, q);
	if (err)
		return -ENOBUFS;
	if (peer_may_hold(p, q, small))
		return 0;
	chunks_reclaim_all(p);
	if (peer_may_hold(p, q, small))
		return 0;
	return vnet_tx_depth(&q->tx) ? -EAGAIN : -ENOBUFS;
}

int vnet_port_room(struct vnet_port *p, struct vnet_peer *to, uint32_t bytes)
{
	bool small = frame_is_small(bytes);

	if (to)
		return peer_room(p, to, small);
	if (small ? p->nr_small : p->nr_large)
		return 0;
	chunks_reclaim_all(p);
	return (small ? p->nr_small : p->nr_large) ? 0 : -ENOBUFS;
}

/*
 * Not after an announcement: it could take the wake-up for that (guarantees 4 and 5
 * of vnet/ring.h).
 */
static void port_drain(struct vnet_port *p)
{
	if (p->undrained)
		shared_drain(p->wake_fd);
	p->undrained = false;
}

bool vnet_port_want(struct vnet_port *p, struct vnet_peer *to)
{
	int n;

	vnet_port_flush(p);
	port_drain(p);
	n = vnet_tx_want(&to->tx);
	chunks_free_until(p, to, to->tx.head);
	return n == 1;
}

void vnet_port_begin(struct vnet_port *p, uint32_t bytes, struct vnet_buf *b)
{
	uint8_t *at;

	b->chunk = chunk_get(p, frame_is_small(bytes));
	at = (uint8_t *)p->shared + chunk_offset(b->chunk);
	b->hdr = (struct vnet_hdr *)(void *)at;
	b->bytes = at + VNET_HDR_ROOM;
	b->refs = (struct vnet_refs){ .image = 0 };
}

static void peer_put(struct vnet_port *p, struct vnet_peer *q, uint16_t chunk,
		     uint64_t desc)
{
	p->users[chunk]++;
	if (chunk_is_small(chunk))
		q->held_small++;
	else
		q->held_large++;
	if (!q->ring)
		ring_begin(p, q);
	vnet_tx_put(&q->tx, desc);
	q->counts[VNET_PAIR_SENT]++;
	q->counts[VNET_PAIR_SENT_BYTES] += desc >> 32 & 0xffffff;
	if (!q->dirty)
		p->nr_dirty++;
	q->dirty = true;
}

void vnet_port_send(struct vnet_port *p, const struct vnet_buf *b,
		    struct vnet_peer *to, uint32_t bytes, bool hdr)
{
	bool refs = to && to->station.shares && b->refs.image;
	uint64_t desc = vnet_desc(chunk_offset(b->chunk), bytes,
				  refs ? VNET_REFS : VNET_INLINE,
				  hdr ? VNET_WITH_HDR : 0);
	bool small = chunk_is_small(b->chunk);

	if (refs)
		memcpy(b->bytes - VNET_HDR_ROOM + VNET_REFS_AT, &b->refs,
		       sizeof(b->refs));
	p->stats.sent++;
	p->stats.sent_bytes += bytes;
	if (to) {
		peer_put(p, to, b->chunk, desc);
		return;
	}
	p->users[b->chunk] = 1; /* ours, until all have it */
	for (unsigned i = 0; i < p->nr_peers; i++) {
		struct vnet_peer *q = p->peers[p->list[i]];

		if (!peer_may_hold(p, q, small))
			(void)!chunks_reclaim(p, q);
		if (peer_may_hold(p, q, small) && !q->tx.dead) {
			peer_put(p, q, b->chunk, desc);
		} else {
			vnet_port_drop(p, q);
		}
	}
	chunk_put(p, b->chunk);
}

void vnet_port_drop(struct vnet_port *p, struct vnet_peer *to)
{
	p->stats.full++;
	if (!to)
		return;
	pair_begin(p, to);
	to->counts[VNET_PAIR_FULL]++;
	pair_show(to);
}

void vnet_port_flush(struct vnet_port *p)
{
	if (!p->nr_dirty)
		return;
	for (unsigned i = 0; i < p->nr_peers; i++)
		(void)vnet_tx_publish(&p->peers[p->list[i]]->tx);
	vnet_fence(); /* D */
	for (unsigned i = 0; i < p->nr_peers && p->nr_dirty; i++) {
		struct vnet_peer *q = p->peers[p->list[i]];
		const struct vnet_shared *theirs = q->view.base;

		if (!q->dirty)
			continue;
		q->dirty = false;
		p->nr_dirty--;
		if (vnet_tx_must_wake(&q->tx, &theirs->sleep))
			vnet_wake(q->wake_fd);
		pair_show(q);
	}
}

/* --- receiving --- */

/* References that are none do not make a frame a bad one: it has all its bytes. */
static void refs_of(const struct vnet_peer *q, const uint8_t *chunk,
		    struct vnet_frame *f)
{
	shared_copy_out(&f->refs, chunk + VNET_REFS_AT, sizeof(f->refs));
	f->bad_refs = !q->station.shares || !vnet_refs_check(&f->refs);
	if (f->bad_refs)
		f->refs.image = 0;
}

/* One copy of a descriptor. Return: true: @f is a frame inside the region. */
static bool frame_of(struct vnet_peer *q, uint64_t desc, struct vnet_frame *f)
{
	uint64_t at = (desc & 0xffffffff) * 64;
	uint32_t len = desc >> 32 & 0xffffff;
	unsigned type = desc >> 56 & 15;
	const uint8_t *base = q->view.base;

	if ((type != VNET_INLINE && type != VNET_REFS) ||
	    len < VNET_ETH_BYTES || len > VNET_FRAME_MAX ||
	    at < offsetof(struct vnet_shared, small) ||
	    !range_fits(at, VNET_HDR_ROOM + len, sizeof(struct vnet_shared)))
		return false;
	f->from = q;
	f->bytes = base + at + VNET_HDR_ROOM;
	f->len = len;
	if (desc >> 60 & VNET_WITH_HDR)
		shared_copy_out(&f->hdr, base + at, sizeof(f->hdr));
	else
		memset(&f->hdr, 0, sizeof(f->hdr));
	if (!vnet_hdr_valid(&f->hdr, len))
		return false;
	f->refs.image = 0;
	f->bad_refs = false;
	if (type == VNET_REFS)
		refs_of(q, base + at, f);
	return true;
}

/*
 * The first line of a frame that comes soon. Whatever the descriptor says: an
 * address that is not there is no fault of a prefetch.
 */
static void peer_prefetch(const struct vnet_port *p, const struct vnet_peer *q)
{
	uint64_t desc;

	if (p->seen <= PREFETCH)
		return;
	desc = vnet_rx_get(&q->rx, PREFETCH);
	__builtin_prefetch((const uint8_t *)q->view.base +
			   (desc & 0xffffffff) * 64 + VNET_HDR_ROOM);
}

/* The next frame of this peer, if there is one; bad ones are passed over. */
static bool peer_next(struct vnet_port *p, struct vnet_peer *q,
		      struct vnet_frame *f)
{
	while (p->taken < VNET_TURN) {
		if (!p->seen) {
			int n = vnet_rx_look(&q->rx);

			if (n <= 0)
				return false;
			p->seen = (uint32_t)n;
		}
		peer_prefetch(p, q);
		if (frame_of(q, vnet_rx_get(&q->rx, 0), f) &&
		    vnet_port_believes(p, q, f->bytes, f->len))
			return true;
		p->stats.bad++;
		pair_begin(p, q);
		q->counts[VNET_PAIR_BAD]++;
		vnet_rx_take(&q->rx, 1);
		p->seen--;
		p->taken++;
	}
	return false;
}

/* Let its sender see what was taken from it. */
static void peer_settle(struct vnet_peer *q)
{
	if (vnet_rx_publish(&q->rx))
		pair_show(q);
}

bool vnet_port_next(struct vnet_port *p, struct vnet_frame *f)
{
	/* One more than there are: the first may have had its turn. */
	for (unsigned i = 0; i <= p->nr_peers && p->nr_peers; i++) {
		if (peer_next(p, p->peers[p->list[p->turn]], f))
			return true;
		peer_settle(p->peers[p->list[p->turn]]);
		p->turn = (p->turn + 1) % p->nr_peers;
		p->taken = 0;
		p->seen = 0;
	}
	return false;
}

void vnet_port_take(struct vnet_port *p, const struct vnet_frame *f)
{
	vnet_rx_take(&f->from->rx, 1);
	p->seen--;
	p->taken++;
	pair_begin(p, f->from);
	f->from->counts[VNET_PAIR_RECEIVED]++;
	f->from->counts[VNET_PAIR_RECEIVED_BYTES] += f->len;
	f->from->counts[VNET_PAIR_BAD] += f->bad_refs;
	p->stats.bad += f->bad_refs;
	p->stats.received++;
	p->stats.received_bytes += f->len;
}

void vnet_port_lose(struct vnet_port *p, struct vnet_peer *from)
{
	p->stats.lost++;
	if (from)
		from->counts[VNET_PAIR_LOST]++;
}

void vnet_port_settle(struct vnet_port *p)
{
	port_drain(p);
	if (!p->nr_peers)
		return;
	for (unsigned i = 0; i < p->nr_peers; i++)
		peer_settle(p->peers[p->list[i]]);
	vnet_fence(); /* W */
	for (unsigned i = 0; i < p->nr_peers; i++) {
		struct vnet_peer *q = p->peers[p->list[i]];

		if (vnet_rx_must_wake(&q->rx))
			vnet_wake(q->wake_fd);
	}
}

static void port_set_sleep(struct vnet_port *p)
{
	p->sleep++;
	vnet_set_sleep(&p->shared->sleep, p->sleep);
}

bool vnet_port_sleep(struct vnet_port *p)
{
	vnet_port_settle(p); /* and drain */
	/* If it is asleep: a wake-up for this sleep is still in the socket. */
	if (!(p->sleep & 1))
		port_set_sleep(p);
	vnet_fence(); /* D */
	for (unsigned i = 0; i < p->nr_peers; i++) {
		if (vnet_rx_look(&p->peers[p->list[i]]->rx) > 0) {
			port_set_sleep(p);
			return false;
		}
	}
	return true;
}

void vnet_port_awake(struct vnet_port *p)
{
	p->undrained = true;
	if (p->sleep & 1)
		port_set_sleep(p);
}
