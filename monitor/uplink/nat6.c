/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/uplink/nat6.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/uplink/deliver.h"
#include "vnet/reply.h"
#include "vnet/reply6.h"
#include "vnet/segment.h"

#define ASKED	  16u
#define NS_BYTES  24u
#define NA_BYTES  32u
#define SECOND_NS 1000000000ull
#define LOOK_NS	  (60 * SECOND_NS) /* between looks at the host's routes */
#define ADVERTISE 10u /* looks, after which stations are told again */

_Static_assert(2 * ADVERTISE * (LOOK_NS / SECOND_NS) < VNET_ROUTER_SECONDS,
	       "one may be lost");

struct nat6_publish {
	struct sockaddr_in6 host, guest;
	uint8_t guest_ip4[4]; /* of the station */
	bool udp;
	bool open; /* libslirp has it */
};

struct nat6 {
	struct vnet_port *port;
	Slirp *slirp;
	uint8_t own[VNET_IP6_BYTES]; /* [I] the network's own address */
	bool on;		     /* the host has a route */
	uint64_t look_ns;	     /* when it is looked at next */
	unsigned looks;		     /* until stations are told again */
	/* Addresses that libslirp has asked for, to be answered in a moment. */
	uint8_t asked[ASKED][VNET_IP6_BYTES];
	unsigned nr_asked;
	struct knocks knocks;
	struct nat6_publish published[NAT6_PUBLISH_MAX];
	unsigned nr_published;
	uint8_t segment[VNET_SEGMENT_MAX];
};

int nat6_create(struct vnet_port *port, struct nat6 **out)
{
	struct nat6 *n = calloc(1, sizeof(*n));
	uint8_t mac[VNET_MAC_BYTES];

	if (!n)
		return -ENOMEM;
	n->port = port;
	vnet_mac_of_ip(port->plan.server, mac);
	vnet_ip6(port->plan.prefix6, mac, n->own);
	*out = n;
	return 0;
}

void nat6_destroy(struct nat6 *n)
{
	free(n);
}

void nat6_configure(const struct nat6 *n, SlirpConfig *cfg)
{
	cfg->in6_enabled = true;
	memcpy(&cfg->vprefix_addr6, n->port->plan.prefix6, VNET_PREFIX6);
	cfg->vprefix_len = 8 * VNET_PREFIX6;
	memcpy(&cfg->vhost6, n->own, sizeof(n->own));
	/* Not used: DNS is answered by workers, and disable_dns is set. */
	memcpy(&cfg->vnameserver6, n->own, sizeof(n->own));
}

void nat6_start(struct nat6 *n, Slirp *slirp)
{
	n->slirp = slirp;
}

/* --- routes --- */

/* A socket of UDP that is connected has sent nothing. */
static bool nat6_host_has_route(void)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = 9 };
	int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has;

	if (s < 0)
		return false;
	to.sin6_addr.s6_addr[0] = 0x20; /* 2000::1: global unicast */
	to.sin6_addr.s6_addr[15] = 1;
	has = connect(s, (const struct sockaddr *)&to, sizeof(to)) == 0;
	(void)close(s);
	return has;
}

static void nat6_advertise(struct nat6 *n)
{
	struct vnet_port *p = n->port;
	uint8_t frame[VNET_ADVERT_BYTES];

	for (unsigned i = 0; i < p->nr_peers; i++) {
		struct vnet_peer *to = p->peers[p->list[i]];

		if (to->station.routed4)
			continue;
		(void)deliver(p, to, frame,
			      vnet_advertise(&p->plan, to->station.mac,
					     n->on ? VNET_ROUTER_SECONDS : 0,
					     frame));
	}
}

static void nat6_look(struct nat6 *n, uint64_t now)
{
	bool on = nat6_host_has_route();

	n->look_ns = now + LOOK_NS;
	if (on == n->on && (!on || n->looks-- > 0))
		return;
	n->on = on;
	n->looks = ADVERTISE;
	/* Before: who asks from now on gets the same. */
	vnet_port_set_routes6(n->port, on);
	nat6_advertise(n);
}

void nat6_station_added(struct nat6 *n, uint64_t now_ns)
{
	/* In a moment, for all that are added with it. */
	if (n->look_ns > now_ns + SECOND_NS)
		n->look_ns = now_ns + SECOND_NS;
	n->looks = 0;
}

uint32_t nat6_rest_ms(const struct nat6 *n, uint64_t now_ns)
{
	if (n->nr_asked || now_ns >= n->look_ns)
		return 0;
	return (uint32_t)((n->look_ns - now_ns) / 1000000u) + 1;
}

/* --- frames of stations --- */

/* An address that libslirp would take for the host's, or that leads nowhere. */
static bool nat6_is_outside(const struct nat6 *n, const uint8_t *dst)
{
	static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b };
	const uint8_t *ip4 = dst + 12;

	if (memcmp(dst, nat64, sizeof(nat64)) == 0) /* RFC 6052 */
		return ip4[0] != 0 && ip4[0] != 127 && ip4[0] < 224;
	/* ::, ::1, IPv4 in clothes; groups; the link. */
	return dst[0] != 0 && dst[0] != 0xff &&
	       !(dst[0] == 0xfe && (dst[1] & 0xc0) == 0x80) &&
	       memcmp(dst, n->port->plan.prefix6, VNET_PREFIX6) != 0;
}

/* @ip: @len bytes. */
static bool nat6_wants(const struct nat6 *n, const struct vnet_frame *f,
		       const uint8_t *ip, uint32_t len)
{
	const uint8_t *src = ip + IP6_SRC, *dst = ip + IP6_DST;
	unsigned next = ip[IP6_NEXT];
	uint32_t bytes;

	if (f->from->station.routed4 || len < IP6_BYTES || ip[0] >> 4 != 6)
		return false;
	bytes = vnet_get16(ip + IP6_LEN);
	if (bytes > len - IP6_BYTES || !ip[IP6_HOPS] ||
	    !((next == PROTO_TCP && bytes >= TCP_BYTES) ||
	      (next == PROTO_UDP && bytes >= UDP_BYTES)))
		return false;
	if (memcmp(src, n->port->plan.prefix6, VNET_PREFIX6) != 0 ||
	    !vnet_peer_has_ip6(n->port, f->from, src))
		return false;
	if (memcmp(dst, n->own, sizeof(n->own)) == 0)
		return knocks_answer(&n->knocks, next, ip + IP6_BYTES, bytes,
				     src, VNET_IP6_BYTES);
	return nat6_is_outside(n, dst);
}

/* libslirp takes no IPv6 packet that is larger than its MTU. */
static bool nat6_input_whole(struct nat6 *n, const struct vnet_frame *f,
			     uint8_t *frame)
{
	struct vnet_segments s;

	/* Nor is anything else written where it was looked at. */
	if (f->hdr.csum_start != VNET_ETH_BYTES + IP6_BYTES ||
	    !vnet_segments_begin(&s, &f->hdr, frame, f->len))
		return false;
	for (; vnet_segments_left(&s); vnet_segments_advance(&s))
		slirp_input(n->slirp, n->segment,
			    (int)vnet_segments_next(&s, n->segment));
	return true;
}

bool nat6_input(struct nat6 *n, const struct vnet_frame *f, uint8_t *frame)
{
	const uint8_t *ip = frame + VNET_ETH_BYTES;
	uint32_t len;

	if (memcmp(frame + ETH_SRC, f->from->station.mac, VNET_MAC_BYTES) !=
		    0 ||
	    !nat6_wants(n, f, ip, f->len - VNET_ETH_BYTES))
		return false;
	if (f->hdr.gso_type != VNET_GSO_NONE)
		return nat6_input_whole(n, f, frame);
	len = IP6_BYTES + vnet_get16(ip + IP6_LEN);
	if (len > VNET_MTU)
		return false;
	slirp_input(n->slirp, frame, (int)(VNET_ETH_BYTES + len));
	return true;
}

/* --- packets of libslirp --- */

/*
 * The station that libslirp has noted may not have the address any more: so it is
 * asked whether it has.
 */
static struct vnet_peer *nat6_station(struct nat6 *n, const uint8_t *frame)
{
	const uint8_t *dst = frame + VNET_ETH_BYTES + IP6_DST;
	struct vnet_peer *to = vnet_port_by_mac(n->port, frame + ETH_DST);

	return to && vnet_peer_has_ip6(n->port, to, dst)
		       ? to
		       : vnet_port_by_ip6(n->port, dst);
}

void nat6_on_packet(struct nat6 *n, const uint8_t *frame, uint32_t len)
{
	const uint8_t *ip = frame + VNET_ETH_BYTES, *l4 = ip + IP6_BYTES;
	struct vnet_peer *to;

	if (len < VNET_ETH_BYTES + IP6_BYTES + UDP_BYTES)
		return;
	if (ip[IP6_NEXT] == PROTO_ICMP6 && l4[0] == ICMP6_WHO) {
		if (len >= VNET_ETH_BYTES + IP6_BYTES + NS_BYTES &&
		    n->nr_asked < ASKED)
			memcpy(n->asked[n->nr_asked++], l4 + ICMP6_TARGET,
			       VNET_IP6_BYTES);
		return;
	}
	/* A router advertisement, for example. */
	if (ip[IP6_DST] == 0xff)
		return;
	to = nat6_station(n, frame);
	if (to && to->station.routed4)
		return;
	if (deliver(n->port, to, frame, len) && ip[IP6_NEXT] == PROTO_UDP &&
	    memcmp(ip + IP6_SRC, n->own, sizeof(n->own)) == 0)
		knocks_note(&n->knocks, l4, ip + IP6_DST, VNET_IP6_BYTES);
}

/* Who has an address, to libslirp: RFC 4861, 4.4. */
static void nat6_answer(struct nat6 *n, const uint8_t target[VNET_IP6_BYTES])
{
	const struct vnet_peer *q = vnet_port_by_ip6(n->port, target);
	uint8_t f[VNET_ETH_BYTES + IP6_BYTES + NA_BYTES] = { 0 };
	uint8_t *ip = f + VNET_ETH_BYTES, *icmp = ip + IP6_BYTES;

	if (!q)
		return;
	memcpy(f + ETH_DST, n->port->station.mac, VNET_MAC_BYTES);
	memcpy(f + ETH_SRC, q->station.mac, VNET_MAC_BYTES);
	vnet_put16(f + ETH_TYPE, ETHERTYPE_IP6);
	ip[0] = 0x60;
	vnet_put16(ip + IP6_LEN, NA_BYTES);
	ip[IP6_NEXT] = PROTO_ICMP6;
	ip[IP6_HOPS] = 255;
	memcpy(ip + IP6_SRC, target, VNET_IP6_BYTES);
	memcpy(ip + IP6_DST, n->own, VNET_IP6_BYTES);
	icmp[0] = ICMP6_ANSWER;
	icmp[4] = 0x60; /* solicited, override */
	memcpy(icmp + ICMP6_TARGET, target, VNET_IP6_BYTES);
	icmp[24] = 2; /* option: the target's link-layer address */
	icmp[25] = 1;
	memcpy(icmp + 26, q->station.mac, VNET_MAC_BYTES);
	vnet_put16(icmp + 2, vnet_icmp6_sum(ip, NA_BYTES));
	slirp_input(n->slirp, f, sizeof(f));
}

/* --- published ports --- */

static int publish_flags(const struct nat6_publish *p)
{
	return SLIRP_HOSTFWD_V6ONLY | (p->udp ? SLIRP_HOSTFWD_UDP : 0);
}

static void publish_close(struct nat6 *n, struct nat6_publish *p)
{
	if (p->open)
		(void)slirp_remove_hostxfwd(n->slirp,
					    (const struct sockaddr *)&p->host,
					    sizeof(p->host), publish_flags(p));
	p->open = false;
}

/* Open it, or follow its station. */
static int publish_update(struct nat6 *n, struct nat6_publish *p)
{
	struct vnet_peer *q = vnet_port_by_ip(n->port, p->guest_ip4);
	uint8_t ip[VNET_IP6_BYTES];

	if (!q)
		return -ENOENT;
	vnet_port_named_ip6(n->port, q, ip);
	if (p->open && memcmp(&p->guest.sin6_addr, ip, sizeof(ip)) == 0)
		return 0;
	publish_close(n, p);
	memcpy(&p->guest.sin6_addr, ip, sizeof(ip));
	errno = 0;
	if (slirp_add_hostxfwd(n->slirp, (const struct sockaddr *)&p->host,
			       sizeof(p->host),
			       (const struct sockaddr *)&p->guest,
			       sizeof(p->guest), publish_flags(p)) < 0)
		return -(errno ? errno : EADDRINUSE);
	p->open = true;
	return 0;
}

static struct nat6_publish *publish_find(struct nat6 *n,
					 const struct nat6_publish *like)
{
	for (unsigned i = 0; i < n->nr_published; i++) {
		struct nat6_publish *p = &n->published[i];

		if (p->udp == like->udp &&
		    p->host.sin6_port == like->host.sin6_port &&
		    memcmp(&p->host.sin6_addr, &like->host.sin6_addr,
			   sizeof(p->host.sin6_addr)) == 0)
			return p;
	}
	return NULL;
}

int nat6_publish(struct nat6 *n, const struct worker_req_net_publish *r)
{
	const struct vnet_peer *q = vnet_port_by_ip(n->port, r->guest_ip);
	struct nat6_publish one = {
		.host = { .sin6_family = AF_INET6,
			  .sin6_port = htons(r->host_port) },
		.guest = { .sin6_family = AF_INET6,
			   .sin6_port = htons(r->guest_port) },
		.udp = r->udp,
	};
	struct nat6_publish *p;
	int err;

	memcpy(&one.host.sin6_addr, r->host_ip, sizeof(r->host_ip));
	memcpy(one.guest_ip4, r->guest_ip, sizeof(one.guest_ip4));
	p = publish_find(n, &one);
	if (!r->on) {
		if (!p)
			return -ENOENT;
		publish_close(n, p);
		*p = n->published[--n->nr_published];
		return 0;
	}
	if (p)
		return -EADDRINUSE;
	if (!q)
		return -ENOENT;
	if (q->station.routed4)
		return -EPERM;
	if (n->nr_published == NAT6_PUBLISH_MAX)
		return -ENOSPC;
	err = publish_update(n, &one);
	if (!err)
		n->published[n->nr_published++] = one;
	return err;
}

void nat6_tend(struct nat6 *n, uint64_t now_ns)
{
	/* Before packets are sent on: those that wait for it are sent now. */
	for (unsigned i = 0; i < n->nr_asked; i++)
		nat6_answer(n, n->asked[i]);
	n->nr_asked = 0;
	/* Before connections are accepted. */
	for (unsigned i = 0; i < n->nr_published; i++)
		(void)!publish_update(n, &n->published[i]);
	if (now_ns >= n->look_ns)
		nat6_look(n, now_ns);
}
