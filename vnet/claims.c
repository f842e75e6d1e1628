/* SPDX-License-Identifier: BSD-2-Clause */
#include "vnet/claims.h"

#include <errno.h>
#include <string.h>

#include "disco/clock.h"
#include "vnet/packet.h"
#include "vnet/port.h"
#include "vnet/reply.h"

/* Words that a kind of address has. */
struct words {
	unsigned at, end;
};

static struct words words_for(const uint8_t ip[VNET_IP6_BYTES])
{
	if (vnet_ip6_is_link_local(ip))
		return (struct words){ 0, VNET_CLAIMS_LINK };
	return (struct words){ VNET_CLAIMS_LINK, VNET_CLAIMS };
}

/* --- own claims --- */

static void word_set(struct vnet_port *p, unsigned i, uint64_t v)
{
	if (p->claims.words[i] == v)
		return;
	p->claims.words[i] = v;
	p->claims.changes++;
	atomic_store_explicit(&p->shared->claimed.words[i], v,
			      memory_order_release);
}

/* Return: its word; w.end: there is none. */
static unsigned own_word(const struct vnet_port *p, struct words w,
			 uint64_t half)
{
	while (w.at < w.end && p->claims.words[w.at] != half)
		w.at++;
	return w.at;
}

/*
 * A word that is free, or the one that has rested for longest, if that is long
 * enough. Return: w.end: there is none. What is not free is looked at twice before
 * it goes, VNET_CLAIM_REST_NS apart.
 */
static unsigned word_to_take(struct vnet_port *p, struct words w, uint64_t now)
{
	struct vnet_claims *c = &p->claims;
	unsigned best = own_word(p, w, 0);

	if (best < w.end)
		return best;
	for (unsigned i = w.at; i < w.end; i++) {
		if (c->used[i]) {
			c->used[i] = false;
			c->rest_ns[i] = now;
		} else if (now - c->rest_ns[i] >= VNET_CLAIM_REST_NS &&
			   (best == w.end ||
			    c->rest_ns[i] < c->rest_ns[best])) {
			best = i;
		}
	}
	return best;
}

/* --- claims of others --- */

static uint64_t peer_word(const struct vnet_peer *q, unsigned i)
{
	const struct vnet_shared *theirs = q->view.base;

	return atomic_load_explicit(&theirs->claimed.words[i],
				    memory_order_acquire);
}

/* Guarantee 4: uplink and trunk are no stations. */
static bool peer_is_station(const struct vnet_port *p,
			    const struct vnet_peer *q)
{
	return q->slot != VNET_SLOT_TRUNK &&
	       memcmp(q->station.ip, p->plan.server, 4) != 0;
}

static bool peer_may_claim(const struct vnet_port *p, const struct vnet_peer *q)
{
	return !p->plan.planned6 && peer_is_station(p, q);
}

/* Return: w.end: it does not claim it. */
static unsigned peer_claims(const struct vnet_peer *q, struct words w,
			    uint64_t half)
{
	while (w.at < w.end && peer_word(q, w.at) != half)
		w.at++;
	return w.at;
}

/* Does a port other than @but claim it? NULL: any other port. */
static bool others_claim(const struct vnet_port *p, const struct vnet_peer *but,
			 struct words w, uint64_t half)
{
	for (unsigned i = 0; i < p->nr_peers; i++) {
		const struct vnet_peer *q = p->peers[p->list[i]];

		if (q != but && peer_may_claim(p, q) &&
		    peer_claims(q, w, half) < w.end)
			return true;
	}
	return false;
}

/* A claim that was accepted, and is still there. */
static bool peer_holds(const struct vnet_peer *q, struct words w, uint64_t half)
{
	for (; w.at < w.end; w.at++)
		if (q->held[w.at] == half && peer_word(q, w.at) == half)
			return true;
	return false;
}

/* Guarantee 4. Return: it has the address from now on. */
static bool peer_accept(const struct vnet_port *p, struct vnet_peer *q,
			struct words w, uint64_t half)
{
	unsigned i = peer_claims(q, w, half);

	if (i == w.end || own_word(p, w, half) < w.end ||
	    others_claim(p, q, w, half))
		return false;
	q->held[i] = half;
	return true;
}

/* --- claiming --- */

int vnet_port_claim(struct vnet_port *p, const uint8_t ip[VNET_IP6_BYTES],
		    uint64_t now_ns)
{
	struct words w = words_for(ip);
	uint64_t half = vnet_ip6_half(ip);
	unsigned i;

	if (!vnet_ip6_is_free(ip, p->plan.prefix6))
		return -EINVAL;
	if (p->plan.planned6)
		return -EPERM;
	i = own_word(p, w, half);
	if (i < w.end) {
		p->claims.used[i] = true;
		return 0;
	}
	i = word_to_take(p, w, now_ns);
	if (i == w.end)
		return -ENOSPC;
	/* Before one of its own is given up for it. */
	if (others_claim(p, NULL, w, half))
		return -EEXIST;
	word_set(p, i, half);
	p->claims.used[i] = true;
	/* Guarantee 1: others read this word, or this port theirs. */
	vnet_fence();
	if (others_claim(p, NULL, w, half)) {
		word_set(p, i, 0);
		return -EEXIST;
	}
	return 0;
}

/* Does it have it already? Without the time of day. */
static bool port_touches(struct vnet_port *p, const uint8_t ip[VNET_IP6_BYTES])
{
	struct words w = words_for(ip);
	unsigned i = own_word(p, w, vnet_ip6_half(ip));

	if (i == w.end)
		return false;
	p->claims.used[i] = true;
	return true;
}

enum vnet_verdict vnet_port_filter(struct vnet_port *p, const uint8_t *frame,
				   uint32_t len)
{
	struct vnet_uses uses;
	enum vnet_verdict v =
		vnet_filter_uses(&p->station, &p->plan, frame, len, &uses);
	bool all = true;

	if (v == VNET_REFUSE)
		return v;
	if (uses.planned)
		word_set(p, VNET_CLAIM_PLANNED, 1);
	for (unsigned i = 0; i < uses.nr; i++)
		all = all &&
		      (port_touches(p, uses.ip[i]) ||
		       vnet_port_claim(p, uses.ip[i], clock_now_ns()) == 0);
	return all || uses.probe ? v : VNET_REFUSE;
}

void vnet_port_forget(struct vnet_port *p)
{
	for (unsigned i = 0; i < VNET_CLAIM_WORDS; i++)
		word_set(p, i, 0);
}

/* Of one claim: does an older port have it, too? */
static bool claim_is_late(const struct vnet_port *p, struct words w,
			  uint64_t half)
{
	for (unsigned i = 0; i < p->nr_peers; i++) {
		const struct vnet_peer *q = p->peers[p->list[i]];

		if (q->gen < p->gen && peer_may_claim(p, q) &&
		    peer_claims(q, w, half) < w.end)
			return true;
	}
	return false;
}

void vnet_claims_review(struct vnet_port *p)
{
	for (unsigned i = 0; i < VNET_CLAIMS; i++) {
		struct words w = { 0, VNET_CLAIMS_LINK };

		if (i >= VNET_CLAIMS_LINK)
			w = (struct words){ VNET_CLAIMS_LINK, VNET_CLAIMS };
		if (p->claims.words[i] &&
		    claim_is_late(p, w, p->claims.words[i]))
			word_set(p, i, 0);
	}
}

/* --- who has an address --- */

bool vnet_port_has_ip6(const struct vnet_port *p,
		       const uint8_t ip[VNET_IP6_BYTES])
{
	struct words w = words_for(ip);

	if (vnet_is_ip6_of(ip, p->plan.prefix6, p->station.mac))
		return true;
	return vnet_ip6_is_free(ip, p->plan.prefix6) &&
	       own_word(p, w, vnet_ip6_half(ip)) < w.end;
}

bool vnet_peer_has_ip6(const struct vnet_port *p, struct vnet_peer *q,
		       const uint8_t ip[VNET_IP6_BYTES])
{
	struct words w = words_for(ip);
	uint64_t half = vnet_ip6_half(ip);

	if (vnet_is_ip6_of(ip, p->plan.prefix6, q->station.mac))
		return true;
	return peer_may_claim(p, q) && vnet_ip6_is_free(ip, p->plan.prefix6) &&
	       (peer_holds(q, w, half) || peer_accept(p, q, w, half));
}

static struct vnet_peer *port_by_plan(const struct vnet_port *p,
				      const uint8_t ip[VNET_IP6_BYTES])
{
	for (unsigned i = 0; i < p->nr_peers; i++) {
		struct vnet_peer *q = p->peers[p->list[i]];

		if (vnet_is_ip6_of(ip, p->plan.prefix6, q->station.mac))
			return q;
	}
	return NULL;
}

struct vnet_peer *vnet_port_by_ip6(const struct vnet_port *p,
				   const uint8_t ip[VNET_IP6_BYTES])
{
	struct words w = words_for(ip);
	uint64_t half = vnet_ip6_half(ip);

	if (!vnet_ip6_is_free(ip, p->plan.prefix6))
		return port_by_plan(p, ip);
	/* Whoever was accepted, before who might be. */
	for (int accept = 0; accept < 2; accept++)
		for (unsigned i = 0; i < p->nr_peers; i++) {
			struct vnet_peer *q = p->peers[p->list[i]];

			if (peer_may_claim(p, q) &&
			    (accept ? peer_accept(p, q, w, half)
				    : peer_holds(q, w, half)))
				return q;
		}
	return NULL;
}

void vnet_port_named_ip6(const struct vnet_port *p, struct vnet_peer *q,
			 uint8_t ip[VNET_IP6_BYTES])
{
	uint8_t one[VNET_IP6_BYTES];

	vnet_ip6(p->plan.prefix6, q ? q->station.mac : p->station.mac, ip);
	if (q ? !peer_may_claim(p, q) || peer_word(q, VNET_CLAIM_PLANNED)
	      : p->claims.words[VNET_CLAIM_PLANNED])
		return;
	memcpy(one, p->plan.prefix6, VNET_PREFIX6);
	for (unsigned i = VNET_CLAIMS_LINK; i < VNET_CLAIMS; i++) {
		uint64_t half = q ? peer_word(q, i) : p->claims.words[i];

		vnet_ip6_set_half(one, half);
		if (half && (!q || vnet_peer_has_ip6(p, q, one))) {
			memcpy(ip, one, sizeof(one));
			return;
		}
	}
}

bool vnet_port_believes(const struct vnet_port *p, const struct vnet_peer *q,
			const uint8_t *frame, uint32_t len)
{
	uint8_t look[VNET_LOOK_BYTES];
	uint32_t n = (uint32_t)min_u64(len, sizeof(look));
	struct vnet_uses uses;

	if (!p->plan.planned6 || !peer_is_station(p, q))
		return true;
	/* Once: its sender may change it at any time. */
	memcpy(look, frame, n);
	atomic_signal_fence(memory_order_seq_cst);
	(void)!vnet_filter_uses(&q->station, &p->plan, look, n, &uses);
	return !uses.nr;
}

/* --- the way out --- */

void vnet_port_set_routes6(struct vnet_port *p, bool on)
{
	atomic_store_explicit(&p->shared->claimed.routes6, on,
			      memory_order_release);
}

bool vnet_port_routes6(const struct vnet_port *p)
{
	const struct vnet_shared *theirs;
	const struct vnet_peer *q;
	uint8_t mac[VNET_MAC_BYTES];

	if (!p->plan.routed || p->plan.routed4)
		return false;
	vnet_mac_of_ip(p->plan.server, mac);
	q = vnet_port_by_mac(p, mac);
	if (!q)
		return false;
	theirs = q->view.base;
	return atomic_load_explicit(&theirs->claimed.routes6,
				    memory_order_acquire) != 0;
}
