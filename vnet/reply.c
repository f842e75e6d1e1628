/* SPDX-License-Identifier: BSD-2-Clause */
#include "vnet/reply.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "vnet/packet.h"
#include "vnet/reply6.h"

/* A question, and the answer as far as it is made. */
struct reply {
	const struct vnet_port *p;
	const char *net;
	const uint8_t *frame;
	uint32_t len;
	uint8_t *out;
	uint8_t server[4]; /* the network's own address */
};

void vnet_mac_of_ip(const uint8_t ip[4], uint8_t mac[VNET_MAC_BYTES])
{
	mac[0] = 0x02; /* locally administered */
	mac[1] = 0xd1;
	memcpy(mac + 2, ip, 4);
}

static void server_mac(const struct reply *r, uint8_t mac[VNET_MAC_BYTES])
{
	vnet_mac_of_ip(r->server, mac);
}

static void reply_ethernet(const struct reply *r, unsigned type)
{
	memcpy(r->out + ETH_DST, r->p->station.mac, VNET_MAC_BYTES);
	server_mac(r, r->out + ETH_SRC);
	vnet_put16(r->out + ETH_TYPE, type);
}

/* --- ARP --- */

static uint32_t reply_arp(const struct reply *r)
{
	const uint8_t *q = r->frame + VNET_ETH_BYTES;
	static const uint8_t kind[] = { 0, 1, 8, 0, 6, 4 }; /* RFC 826 */
	uint8_t *a = r->out + VNET_ETH_BYTES;
	const struct vnet_peer *peer;

	if (r->len < VNET_ETH_BYTES + ARP_BYTES ||
	    memcmp(q, kind, sizeof(kind)) != 0 ||
	    vnet_get16(q + ARP_OP) != ARP_WHO)
		return 0;
	peer = vnet_port_by_ip(r->p, q + ARP_TPA);
	if (!peer && memcmp(q + ARP_TPA, r->server, 4) != 0)
		return 0;
	reply_ethernet(r, ETHERTYPE_ARP);
	memcpy(a, kind, sizeof(kind));
	vnet_put16(a + ARP_OP, ARP_ANSWER);
	if (peer)
		memcpy(a + ARP_SHA, peer->station.mac, VNET_MAC_BYTES);
	else
		server_mac(r, a + ARP_SHA);
	memcpy(a + ARP_SPA, q + ARP_TPA, 4);
	memcpy(a + ARP_THA, q + ARP_SHA, VNET_MAC_BYTES);
	memcpy(a + ARP_TPA, q + ARP_SPA, 4);
	return VNET_ETH_BYTES + ARP_BYTES;
}

/* --- IPv4 --- */

/* The header before @bytes of payload. Return: bytes of the whole frame. */
static uint32_t reply_ip4(const struct reply *r, unsigned proto,
			  const uint8_t dst[4], uint32_t bytes)
{
	uint8_t *ip = r->out + VNET_ETH_BYTES;

	reply_ethernet(r, ETHERTYPE_IP4);
	memset(ip, 0, IP4_BYTES);
	ip[0] = 0x45;
	vnet_put16(ip + IP4_LEN, IP4_BYTES + bytes);
	vnet_put16(ip + IP4_FRAG, 0x4000); /* DF */
	ip[IP4_TTL] = 64;
	ip[IP4_PROTO] = (uint8_t)proto;
	memcpy(ip + IP4_SRC, r->server, 4);
	memcpy(ip + IP4_DST, dst, 4);
	vnet_put16(ip + IP4_CSUM,
		   vnet_csum_fold(vnet_csum_add(0, ip, IP4_BYTES)));
	return VNET_ETH_BYTES + IP4_BYTES + bytes;
}

/* Where the payload of a UDP answer begins. */
static uint8_t *udp_payload(const struct reply *r)
{
	return r->out + VNET_ETH_BYTES + IP4_BYTES + UDP_BYTES;
}

static uint32_t reply_udp(const struct reply *r, const uint8_t dst[4],
			  unsigned sport, unsigned dport, uint32_t bytes)
{
	uint8_t *udp = r->out + VNET_ETH_BYTES + IP4_BYTES;
	uint32_t len = UDP_BYTES + bytes, sum;
	uint16_t folded;

	vnet_put16(udp + UDP_SPORT, sport);
	vnet_put16(udp + UDP_DPORT, dport);
	vnet_put16(udp + UDP_LEN, len);
	vnet_put16(udp + UDP_CSUM, 0);
	sum = vnet_csum_add(PROTO_UDP + len, r->server, 4);
	sum = vnet_csum_add(sum, dst, 4);
	folded = vnet_csum_fold(vnet_csum_add(sum, udp, len));
	vnet_put16(udp + UDP_CSUM, folded ? folded : 0xffff);
	return reply_ip4(r, PROTO_UDP, dst, len);
}

static uint32_t reply_ping(const struct reply *r, const uint8_t *icmp,
			   uint32_t len)
{
	uint8_t *a = r->out + VNET_ETH_BYTES + IP4_BYTES;

	if (len < 8 || icmp[0] != 8 || icmp[1] != 0)
		return 0;
	memcpy(a, icmp, len);
	a[0] = 0;
	vnet_put16(a + 2, 0);
	vnet_put16(a + 2, vnet_csum_fold(vnet_csum_add(0, a, len)));
	return reply_ip4(r, PROTO_ICMP, r->p->station.ip, len);
}

/* --- DHCP --- */

/* RFC 2131, figure 1; RFC 2132 for the options. */
enum {
	BOOTP_OP = 0,
	BOOTP_XID = 4,
	BOOTP_FLAGS = 10,
	BOOTP_CIADDR = 12,
	BOOTP_YIADDR = 16,
	BOOTP_SIADDR = 20,
	BOOTP_CHADDR = 28,
	BOOTP_MAGIC = 236,
	BOOTP_OPTIONS = 240,
};

enum {
	DHCP_MASK = 1,
	DHCP_ROUTER = 3,
	DHCP_DNS = 6,
	DHCP_HOST = 12,
	DHCP_DOMAIN = 15,
	DHCP_ADDRESS = 50,
	DHCP_LEASE = 51,
	DHCP_TYPE = 53,
	DHCP_SERVER = 54,
	DHCP_RAPID = 80,
	DHCP_END = 255,
};

enum {
	DISCOVER = 1,
	OFFER = 2,
	REQUEST = 3,
	ACK = 5,
	NAK = 6,
	INFORM = 8,
};

static const uint8_t dhcp_magic[4] = { 99, 130, 83, 99 };

/*
 * Return: the bytes of an option, of at least @least bytes, or NULL. @bootp has
 * @len bytes, at least BOOTP_OPTIONS.
 */
static const uint8_t *dhcp_find(const uint8_t *bootp, uint32_t len,
				unsigned option, unsigned least)
{
	uint32_t at = BOOTP_OPTIONS;

	while (at < len && bootp[at] != DHCP_END) {
		if (bootp[at] == 0) {
			at++;
			continue;
		}
		if (at + 2 > len || at + 2u + bootp[at + 1] > len)
			return NULL;
		if (bootp[at] == option && bootp[at + 1] >= least)
			return bootp + at + 2;
		at += 2u + bootp[at + 1];
	}
	return NULL;
}

static uint8_t *dhcp_add(uint8_t *at, unsigned option, const void *bytes,
			 size_t len)
{
	*at++ = (uint8_t)option;
	*at++ = (uint8_t)len;
	memcpy(at, bytes, len);
	return at + len;
}

/* Of the message that is asked with; 0: no answer. */
static unsigned dhcp_answer_type(const struct reply *r, const uint8_t *bootp,
				 uint32_t len)
{
	const uint8_t *type = dhcp_find(bootp, len, DHCP_TYPE, 1);
	const uint8_t *wish = dhcp_find(bootp, len, DHCP_ADDRESS, 4);

	if (!type)
		return 0;
	switch (*type) {
	case DISCOVER:
		return dhcp_find(bootp, len, DHCP_RAPID, 0) ? ACK : OFFER;
	case INFORM:
		return ACK;
	case REQUEST:
		/* When it renews, the address is in ciaddr. */
		if (!wish)
			wish = bootp + BOOTP_CIADDR;
		return memcmp(wish, r->p->station.ip, 4) == 0 ? ACK : NAK;
	default:
		return 0;
	}
}

static uint8_t *dhcp_options(const struct reply *r, uint8_t *at, bool rapid)
{
	static const uint8_t lease[4] = { 0, 1, 0x51, 0x80 }; /* a day */
	const char *name = r->p->station.name;
	uint8_t mask[4];

	vnet_put_ip4(mask, vnet_mask(r->p->plan.bits));
	at = dhcp_add(at, DHCP_LEASE, lease, 4);
	at = dhcp_add(at, DHCP_MASK, mask, 4);
	if (r->p->plan.routed)
		at = dhcp_add(at, DHCP_ROUTER, r->server, 4);
	at = dhcp_add(at, DHCP_DNS, r->server, 4);
	if (*name)
		at = dhcp_add(at, DHCP_HOST, name, strlen(name));
	if (*r->net)
		at = dhcp_add(at, DHCP_DOMAIN, r->net, strlen(r->net));
	if (rapid)
		at = dhcp_add(at, DHCP_RAPID, "", 0);
	return at;
}

static uint32_t reply_dhcp(const struct reply *r, const uint8_t *bootp,
			   uint32_t len)
{
	static const uint8_t all[4] = { 255, 255, 255, 255 };
	uint8_t *a = udp_payload(r), *at = a + BOOTP_OPTIONS;
	uint8_t kind;
	bool broadcast, rapid;

	if (len < BOOTP_OPTIONS || bootp[BOOTP_OP] != 1 ||
	    memcmp(bootp + BOOTP_MAGIC, dhcp_magic, 4) != 0 ||
	    memcmp(bootp + BOOTP_CHADDR, r->p->station.mac, VNET_MAC_BYTES) !=
		    0)
		return 0;
	kind = (uint8_t)dhcp_answer_type(r, bootp, len);
	if (!kind)
		return 0;
	broadcast = kind == NAK || bootp[BOOTP_FLAGS] & 0x80;
	rapid = kind == ACK && *dhcp_find(bootp, len, DHCP_TYPE, 1) == DISCOVER;
	memset(a, 0, BOOTP_OPTIONS);
	memcpy(a, bootp, 12); /* hops, xid, secs, flags stay */
	a[BOOTP_OP] = 2;
	memcpy(a + BOOTP_CHADDR, bootp + BOOTP_CHADDR, 16);
	memcpy(a + BOOTP_MAGIC, dhcp_magic, 4);
	if (kind != NAK)
		memcpy(a + BOOTP_YIADDR, r->p->station.ip, 4);
	memcpy(a + BOOTP_SIADDR, r->server, 4);
	at = dhcp_add(at, DHCP_TYPE, &kind, 1);
	at = dhcp_add(at, DHCP_SERVER, r->server, 4);
	if (kind != NAK)
		at = dhcp_options(r, at, rapid);
	*at++ = DHCP_END;
	return reply_udp(r, broadcast ? all : r->p->station.ip,
			 PORT_DHCP_SERVER, PORT_DHCP_CLIENT,
			 (uint32_t)(at - a));
}

/* --- DNS --- */

/* RFC 1035, 4.1.1. */
enum {
	DNS_FLAGS = 2,
	DNS_QUESTIONS = 4,
	DNS_ANSWERS = 6,
	DNS_BYTES = 12,
};

enum { DNS_A = 1, DNS_PTR = 12, DNS_AAAA = 28, DNS_ANY = 255 };

#define DNS_TTL_SECONDS 1u /* stations come and go */
#define DNS_NAME_MAX	255u

/*
 * The name at @at as text with dots. Return: where the question goes on; 0: it
 * is wrong. A question has no name that is compressed.
 */
static uint32_t dns_name(const uint8_t *dns, uint32_t len, uint32_t at,
			 char name[DNS_NAME_MAX + 1])
{
	uint32_t n = 0;

	while (at < len && dns[at]) {
		uint32_t label = dns[at++];

		if (label > 63 || at + label > len ||
		    n + label + 1 > DNS_NAME_MAX)
			return 0;
		if (n)
			name[n++] = '.';
		memcpy(name + n, dns + at, label);
		n += label;
		at += label;
	}
	name[n] = '\0';
	/* A NUL inside would end it early, and no name has one. */
	return at < len && strlen(name) == n ? at + 1 : 0;
}

/* Is @name that of the station, alone or with the network's as its domain? */
static bool dns_is(const struct vnet_station *s, const char *net,
		   const char *name)
{
	size_t n = strlen(s->name);

	if (!n || strncasecmp(name, s->name, n) != 0)
		return false;
	return !name[n] ||
	       (name[n] == '.' && strcasecmp(name + n + 1, net) == 0);
}

static const struct vnet_station *dns_by_name(const struct reply *r,
					      const char *name)
{
	const struct vnet_port *p = r->p;

	if (dns_is(&p->station, r->net, name))
		return &p->station;
	for (unsigned i = 0; i < p->nr_peers; i++) {
		const struct vnet_station *s = &p->peers[p->list[i]]->station;

		if (dns_is(s, r->net, name))
			return s;
	}
	return NULL;
}

/* The station of an address, this one included; NULL: none. */
static const struct vnet_station *dns_by_ip4(const struct vnet_port *p,
					     const uint8_t ip[4])
{
	const struct vnet_peer *peer;

	if (memcmp(ip, p->station.ip, 4) == 0)
		return &p->station;
	peer = vnet_port_by_ip(p, ip);
	return peer ? &peer->station : NULL;
}

static const struct vnet_station *dns_by_ip6(const struct vnet_port *p,
					     const uint8_t ip[VNET_IP6_BYTES])
{
	const struct vnet_peer *peer;

	if (vnet_port_has_ip6(p, ip))
		return &p->station;
	peer = vnet_port_by_ip6(p, ip);
	return peer ? &peer->station : NULL;
}

/* RFC 3596, 2.5: 32 hexadecimal digits, the last one first. */
static bool dns_nibbles(const char *name, uint8_t ip[VNET_IP6_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(name) != 64 + strlen("ip6.arpa") ||
	    strcasecmp(name + 64, "ip6.arpa") != 0)
		return false;
	memset(ip, 0, VNET_IP6_BYTES);
	for (unsigned i = 0; i < 32; i++) {
		char c = name[2 * i];
		const char *d;

		if (c >= 'A' && c <= 'F')
			c = (char)(c | 0x20);
		d = c ? strchr(digits, c) : NULL;
		if (!d || name[2 * i + 1] != '.')
			return false;
		ip[15 - i / 2] |= (uint8_t)((d - digits) << (i % 2 ? 4 : 0));
	}
	return true;
}

static const struct vnet_station *dns_by_pointer(const struct reply *r,
						 const char *name)
{
	uint8_t ip[VNET_IP6_BYTES];
	unsigned b[4];
	int n = 0;

	if (dns_nibbles(name, ip))
		return dns_by_ip6(r->p, ip);
	if (sscanf(name, "%3u.%3u.%3u.%3u.%n", &b[3], &b[2], &b[1], &b[0],
		   &n) != 4 ||
	    !n || strcasecmp(name + n, "in-addr.arpa") != 0)
		return NULL;
	for (int i = 0; i < 4; i++)
		ip[i] = (uint8_t)b[i];
	return dns_by_ip4(r->p, ip);
}

/* NAME.NET in labels. Return: what follows it. */
static uint8_t *dns_put_name(uint8_t *at, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");

		if (n > 63)
			n = 63;
		*at++ = (uint8_t)n;
		memcpy(at, name, n);
		at += n;
		name += n;
		name += *name == '.';
	}
	return at;
}

static uint8_t *dns_put_answer(const struct reply *r, uint8_t *at,
			       unsigned type, const struct vnet_station *s)
{
	uint8_t *len;

	vnet_put16(at, 0xc000 | DNS_BYTES); /* the name that was asked */
	vnet_put16(at + 2, type);
	vnet_put16(at + 4, 1); /* IN */
	vnet_put16(at + 6, 0);
	vnet_put16(at + 8, DNS_TTL_SECONDS);
	len = at + 10;
	at += 12;
	if (type == DNS_A) {
		memcpy(at, s->ip, 4);
		at += 4;
	} else if (type == DNS_AAAA) {
		vnet_port_named_ip6(r->p, vnet_port_by_mac(r->p, s->mac), at);
		at += VNET_IP6_BYTES;
	} else {
		at = dns_put_name(at, s->name);
		at = dns_put_name(at, r->net);
		*at++ = 0;
	}
	vnet_put16(len, (unsigned)(at - len - 2));
	return at;
}

/* The types of what is known of a name. */
static unsigned dns_put_answers(const struct reply *r, uint8_t **at,
				unsigned type, const struct vnet_station *s)
{
	static const unsigned of_name[] = { DNS_A, DNS_AAAA };
	unsigned n = 0;

	if (type == DNS_PTR) {
		*at = dns_put_answer(r, *at, DNS_PTR, s);
		return 1;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(of_name); i++) {
		if (type != of_name[i] && type != DNS_ANY)
			continue;
		*at = dns_put_answer(r, *at, of_name[i], s);
		n++;
	}
	return n;
}

static uint32_t reply_dns(const struct reply *r, unsigned port,
			  const uint8_t *dns, uint32_t len)
{
	uint8_t *a = udp_payload(r), *at;
	const struct vnet_station *s, *by_name;
	char name[DNS_NAME_MAX + 1];
	unsigned type;
	uint32_t end;

	/* A question, not an answer; of one name. */
	if (len < DNS_BYTES || dns[DNS_FLAGS] & 0xf8 ||
	    vnet_get16(dns + DNS_QUESTIONS) != 1)
		return 0;
	end = dns_name(dns, len, DNS_BYTES, name);
	if (!end || end + 4 > len || vnet_get16(dns + end + 2) != 1)
		return 0;
	type = vnet_get16(dns + end);
	by_name = dns_by_name(r, name);
	s = type == DNS_PTR ? dns_by_pointer(r, name) : by_name;
	memcpy(a, dns, end + 4);
	/* Answer, authoritative; recursion as it was asked. NXDOMAIN is 3. */
	vnet_put16(a + DNS_FLAGS, 0x8480u | (dns[DNS_FLAGS] & 1u) << 8 |
					  (s || by_name ? 0 : 3));
	memset(a + DNS_ANSWERS, 0, DNS_BYTES - DNS_ANSWERS);
	at = a + end + 4;
	/* A name without such an address is no error: nothing of that type. */
	if (s)
		vnet_put16(a + DNS_ANSWERS, dns_put_answers(r, &at, type, s));
	return reply_udp(r, r->p->station.ip, PORT_DNS, port,
			 (uint32_t)(at - a));
}

/* --- which is it --- */

static uint32_t reply_by_udp(const struct reply *r, const uint8_t *udp,
			     uint32_t len)
{
	uint32_t bytes;

	if (len < UDP_BYTES)
		return 0;
	bytes = vnet_get16(udp + UDP_LEN);
	if (bytes < UDP_BYTES || bytes > len)
		return 0;
	switch (vnet_get16(udp + UDP_DPORT)) {
	case PORT_DHCP_SERVER:
		return reply_dhcp(r, udp + UDP_BYTES, bytes - UDP_BYTES);
	case PORT_DNS:
		return reply_dns(r, vnet_get16(udp + UDP_SPORT),
				 udp + UDP_BYTES, bytes - UDP_BYTES);
	default:
		return 0;
	}
}

static uint32_t reply_by_ip4(const struct reply *r)
{
	const uint8_t *ip = r->frame + VNET_ETH_BYTES;
	uint32_t len = r->len - VNET_ETH_BYTES, head, bytes;

	if (len < IP4_BYTES)
		return 0;
	head = (ip[0] & 15u) * 4u;
	bytes = vnet_get16(ip + IP4_LEN);
	if (head < IP4_BYTES || bytes < head || bytes > len)
		return 0;
	/* Pieces of a packet are not put together here. */
	if (vnet_get16(ip + IP4_FRAG) & 0x3fff)
		return 0;
	if (ip[IP4_PROTO] == PROTO_UDP)
		return reply_by_udp(r, ip + head, bytes - head);
	if (ip[IP4_PROTO] == PROTO_ICMP)
		return reply_ping(r, ip + head, bytes - head);
	return 0;
}

uint32_t vnet_reply(const struct vnet_port *p, const char *net,
		    const uint8_t *frame, uint32_t len, uint8_t *out)
{
	struct reply r = {
		.p = p, .net = net, .frame = frame, .len = len, .out = out
	};

	if (len < VNET_ETH_BYTES || len > VNET_REPLY_MAX)
		return 0;
	memcpy(r.server, p->plan.server, 4);
	switch (vnet_get16(frame + ETH_TYPE)) {
	case ETHERTYPE_ARP:
		return reply_arp(&r);
	case ETHERTYPE_IP4:
		return reply_by_ip4(&r);
	case ETHERTYPE_IP6:
		return vnet_reply6(p, frame, len, out);
	default:
		return 0;
	}
}
