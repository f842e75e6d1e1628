/* SPDX-License-Identifier: BSD-2-Clause */
#include "vnet/frame.h"

#include <string.h>

#include "vnet/packet.h"

bool vnet_hdr_valid(const struct vnet_hdr *h, uint32_t bytes)
{
	unsigned type = h->gso_type & ~VNET_GSO_ECN;

	if (h->flags & ~(VNET_HDR_NEEDS_CSUM | VNET_HDR_DATA_VALID))
		return false;
	if (type != VNET_GSO_NONE && type != VNET_GSO_TCPV4 &&
	    type != VNET_GSO_TCPV6)
		return false;
	if (type == VNET_GSO_NONE && h->gso_type != VNET_GSO_NONE)
		return false;
	if (type != VNET_GSO_NONE &&
	    (!(h->flags & VNET_HDR_NEEDS_CSUM) || h->gso_size == 0))
		return false;
	/* 5.1.6.2: hdr_len is a hint; Linux refuses one beyond the frame. */
	if (type != VNET_GSO_NONE && h->hdr_len > bytes)
		return false;
	return !(h->flags & VNET_HDR_NEEDS_CSUM) ||
	       (h->csum_start >= VNET_ETH_BYTES &&
		h->csum_start + h->csum_offset + 2u <= bytes);
}

void vnet_hdr_clean(struct vnet_hdr *h)
{
	h->flags &= VNET_HDR_NEEDS_CSUM;
	if (h->gso_type == VNET_GSO_NONE)
		h->gso_size = h->hdr_len = 0;
	if (!(h->flags & VNET_HDR_NEEDS_CSUM))
		h->csum_start = h->csum_offset = 0;
}

/* --- addresses --- */

void vnet_prefix6(const char *net, uint8_t prefix[VNET_PREFIX6])
{
	uint64_t h = 14695981039346656037ull; /* FNV-1a */

	for (; *net; net++)
		h = (h ^ (uint8_t)*net) * 1099511628211ull;
	prefix[0] = 0xfd;
	for (unsigned i = 1; i < 6; i++)
		prefix[i] = (uint8_t)(h >> (8 * i));
	prefix[6] = prefix[7] = 0;
}

void vnet_ip6(const uint8_t prefix[VNET_PREFIX6],
	      const uint8_t mac[VNET_MAC_BYTES], uint8_t ip[VNET_IP6_BYTES])
{
	static const uint8_t link_local[VNET_PREFIX6] = { 0xfe, 0x80 };
	const uint8_t eui[8] = { mac[0] ^ 2, mac[1], mac[2], 0xff,
				 0xfe,	     mac[3], mac[4], mac[5] };

	memcpy(ip, prefix ? prefix : link_local, VNET_PREFIX6);
	memcpy(ip + VNET_PREFIX6, eui, sizeof(eui));
}

bool vnet_is_ip6_of(const uint8_t ip[VNET_IP6_BYTES],
		    const uint8_t prefix[VNET_PREFIX6],
		    const uint8_t mac[VNET_MAC_BYTES])
{
	uint8_t own[VNET_IP6_BYTES];

	vnet_ip6(NULL, mac, own);
	if (memcmp(ip, own, sizeof(own)) == 0)
		return true;
	vnet_ip6(prefix, mac, own);
	return memcmp(ip, own, sizeof(own)) == 0;
}

bool vnet_ip6_is_free(const uint8_t ip[VNET_IP6_BYTES],
		      const uint8_t prefix[VNET_PREFIX6])
{
	static const uint8_t reserved[] = { 0xfd, 0xff, 0xff, 0xff,
					    0xff, 0xff, 0xff };
	const uint8_t *half = ip + VNET_PREFIX6;

	if (!vnet_ip6_is_link_local(ip) &&
	    memcmp(ip, prefix, VNET_PREFIX6) != 0)
		return false;
	/* As vnet_ip6() makes them. */
	if (half[3] == 0xff && half[4] == 0xfe)
		return false;
	return vnet_ip6_half(ip) != 0 &&
	       !(memcmp(half, reserved, sizeof(reserved)) == 0 &&
		 half[7] & 0x80);
}

/* --- source filter --- */

static bool ip4_is_own(const struct vnet_station *own, const uint8_t *ip)
{
	return memcmp(ip + IP4_SRC, own->ip, 4) == 0;
}

/* A UDP datagram that is not a later fragment; its header is in @len bytes. */
static bool is_udp_to(const uint8_t *ip, uint32_t len, unsigned port)
{
	unsigned head = (ip[0] & 15u) * 4u;

	return ip[IP4_PROTO] == PROTO_UDP &&
	       (vnet_get16(ip + IP4_FRAG) & 0x1fff) == 0 &&
	       head + UDP_BYTES <= len &&
	       vnet_get16(ip + head + UDP_DPORT) == port;
}

static enum vnet_verdict filter_ip4(const struct vnet_station *own,
				    const struct vnet_plan *plan,
				    const uint8_t *ip, uint32_t len)
{
	static const uint8_t none[4];

	if (len < IP4_BYTES || ip[0] >> 4 != 4 || (ip[0] & 15) < 5)
		return VNET_REFUSE;
	if (is_udp_to(ip, len, PORT_DHCP_SERVER) &&
	    (ip4_is_own(own, ip) || memcmp(ip + IP4_SRC, none, 4) == 0))
		return VNET_LOCAL;
	if (!ip4_is_own(own, ip))
		return VNET_REFUSE;
	if (memcmp(ip + IP4_DST, plan->server, 4) == 0)
		return VNET_LOCAL;
	return VNET_FORWARD;
}

static enum vnet_verdict filter_arp(const struct vnet_station *own,
				    const uint8_t *arp, uint32_t len)
{
	static const uint8_t none[4];

	if (len < ARP_BYTES ||
	    memcmp(arp + ARP_SHA, own->mac, VNET_MAC_BYTES) != 0)
		return VNET_REFUSE;
	if (memcmp(arp + ARP_SPA, own->ip, 4) != 0 &&
	    memcmp(arp + ARP_SPA, none, 4) != 0)
		return VNET_REFUSE;
	return VNET_LOCAL;
}

static bool ip6_is_passed_over(unsigned header)
{
	return header == IP6_HOP_OPTIONS || header == IP6_ROUTING ||
	       header == IP6_FRAGMENT || header == IP6_DST_OPTIONS;
}

/*
 * Where the headers of IPv6 end, and what comes then; of a later fragment, what
 * that is is in the first one. Return: false: they go on beyond @len.
 */
static bool ip6_upper(const uint8_t *ip, uint32_t len, uint32_t *end,
		      unsigned *proto)
{
	unsigned next = ip[IP6_NEXT];
	uint32_t at = IP6_BYTES;

	while (ip6_is_passed_over(next)) {
		const uint8_t *h = ip + at;
		bool fragment = next == IP6_FRAGMENT;

		if (at + IP6_UNIT > len)
			return false;
		at += fragment ? IP6_UNIT : (h[1] + 1u) * IP6_UNIT;
		next = h[0];
		if (fragment &&
		    vnet_get16(h + IP6_FRAG_OFFSET) & IP6_OFFSET_MASK) {
			next = IP6_NOTHING;
			break;
		}
	}
	*end = at;
	*proto = next;
	return true;
}

/*
 * The header of ICMPv6, behind others; NULL: there is none. Return: false: those go
 * on beyond @len.
 */
static bool ip6_find_icmp(const uint8_t *ip, uint32_t len, const uint8_t **icmp)
{
	unsigned proto;
	uint32_t at;

	*icmp = NULL;
	if (!ip6_upper(ip, len, &at, &proto))
		return false;
	if (proto != PROTO_ICMP6)
		return true;
	if (at >= len)
		return false;
	*icmp = ip + at;
	return true;
}

bool vnet_hdr_is_apart(const struct vnet_hdr *h, const uint8_t *frame,
		       uint32_t len)
{
	const uint8_t *ip = frame + VNET_ETH_BYTES;
	unsigned proto;
	uint32_t end;

	if (!(h->flags & VNET_HDR_NEEDS_CSUM))
		return true;
	if (len < VNET_ETH_BYTES + IP4_BYTES)
		return false;
	switch (vnet_get16(frame + ETH_TYPE)) {
	case ETHERTYPE_IP4:
		return h->csum_start >= VNET_ETH_BYTES + (ip[0] & 15u) * 4u;
	case ETHERTYPE_IP6:
		return len >= VNET_ETH_BYTES + IP6_BYTES &&
		       ip6_upper(ip, len - VNET_ETH_BYTES, &end, &proto) &&
		       proto != PROTO_ICMP6 &&
		       h->csum_start >= VNET_ETH_BYTES + end;
	default:
		return false;
	}
}

bool vnet_ip6_claim(const uint8_t *ip, uint32_t len, const uint8_t **claim)
{
	const uint8_t *icmp;

	*claim = NULL;
	if (!ip6_find_icmp(ip, len, &icmp))
		return false;
	if (!icmp || icmp[0] != ICMP6_ANSWER)
		return true;
	if (ip + len - icmp < (ptrdiff_t)(ICMP6_TARGET + VNET_IP6_BYTES))
		return false;
	*claim = icmp + ICMP6_TARGET;
	return true;
}

/* Router advertisements make their receivers, all hosts, send by this station. */
static bool ip6_is_never_sent(const uint8_t *ip, const uint8_t *icmp)
{
	if (!icmp)
		return false;
	switch (icmp[0]) {
	case ICMP6_ROUTER_ANSWER:
		return true;
	case ICMP6_ROUTER_WHO:
	case ICMP6_WHO:
		return icmp != ip + IP6_BYTES;
	default:
		return false;
	}
}

/* Return: false: it is nobody's, or another one's by the plan. */
static bool ip6_use(const struct vnet_station *own,
		    const struct vnet_plan *plan, const uint8_t *ip,
		    struct vnet_uses *u)
{
	if (vnet_is_ip6_of(ip, plan->prefix6, own->mac)) {
		u->planned = u->planned || !vnet_ip6_is_link_local(ip);
		return true;
	}
	if (!vnet_ip6_is_free(ip, plan->prefix6))
		return false;
	u->ip[u->nr++] = ip;
	return true;
}

static bool ip6_is_nobodys(const uint8_t ip[VNET_IP6_BYTES])
{
	static const uint8_t any[VNET_IP6_BYTES];

	return memcmp(ip, any, sizeof(any)) == 0;
}

/* A question of neighbour or router discovery, whose source was looked at. */
static enum vnet_verdict filter_question(const struct vnet_station *own,
					 const struct vnet_plan *plan,
					 const uint8_t *ip, uint32_t len,
					 struct vnet_uses *u)
{
	const uint8_t *icmp = ip + IP6_BYTES;

	if (icmp[0] == ICMP6_WHO && ip6_is_nobodys(ip + IP6_SRC) &&
	    len >= IP6_BYTES + ICMP6_TARGET + VNET_IP6_BYTES) {
		(void)ip6_use(own, plan, icmp + ICMP6_TARGET, u);
		u->probe = u->nr;
	}
	return VNET_LOCAL;
}

static enum vnet_verdict filter_ip6(const struct vnet_station *own,
				    const struct vnet_plan *plan,
				    const uint8_t *ip, uint32_t len,
				    struct vnet_uses *u)
{
	const uint8_t *icmp, *claim;

	if (len < IP6_BYTES || ip[0] >> 4 != 6)
		return VNET_REFUSE;
	if (!ip6_find_icmp(ip, len, &icmp) || ip6_is_never_sent(ip, icmp) ||
	    !vnet_ip6_claim(ip, len, &claim) ||
	    (claim && !ip6_use(own, plan, claim, u)))
		return VNET_REFUSE;
	if (!ip6_is_nobodys(ip + IP6_SRC) &&
	    !ip6_use(own, plan, ip + IP6_SRC, u))
		return VNET_REFUSE;
	if (icmp && (icmp[0] == ICMP6_ROUTER_WHO || icmp[0] == ICMP6_WHO))
		return filter_question(own, plan, ip, len, u);
	return VNET_FORWARD;
}

enum vnet_verdict vnet_filter_uses(const struct vnet_station *own,
				   const struct vnet_plan *plan,
				   const uint8_t *frame, uint32_t len,
				   struct vnet_uses *uses)
{
	*uses = (struct vnet_uses){ .nr = 0 };
	if (len < VNET_ETH_BYTES ||
	    memcmp(frame + ETH_SRC, own->mac, VNET_MAC_BYTES) != 0)
		return VNET_REFUSE;
	frame += VNET_ETH_BYTES;
	len -= VNET_ETH_BYTES;
	switch (vnet_get16(frame - 2)) {
	case ETHERTYPE_IP4:
		return filter_ip4(own, plan, frame, len);
	case ETHERTYPE_ARP:
		return filter_arp(own, frame, len);
	case ETHERTYPE_IP6:
		return filter_ip6(own, plan, frame, len, uses);
	default:
		return VNET_REFUSE;
	}
}

enum vnet_verdict vnet_filter(const struct vnet_station *own,
			      const struct vnet_plan *plan,
			      const uint8_t *frame, uint32_t len)
{
	struct vnet_uses uses;
	enum vnet_verdict v = vnet_filter_uses(own, plan, frame, len, &uses);

	return uses.nr && !uses.probe ? VNET_REFUSE : v;
}

/* --- checksums --- */

uint32_t vnet_csum_add(uint32_t sum, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t total = sum;

	for (; len >= 2; len -= 2, p += 2)
		total += vnet_get16(p);
	if (len)
		total += (uint32_t)*p << 8;
	while (total >> 32)
		total = (total & 0xffffffff) + (total >> 32);
	return (uint32_t)total;
}

uint16_t vnet_csum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void vnet_csum_complete(const struct vnet_hdr *h, uint8_t *frame,
			uint32_t bytes)
{
	uint16_t sum;

	if (!(h->flags & VNET_HDR_NEEDS_CSUM))
		return;
	/* The field holds the sum of the pseudo header already. */
	sum = vnet_csum_fold(
		vnet_csum_add(0, frame + h->csum_start, bytes - h->csum_start));
	/* 0 would mean "no checksum" in UDP; both stand for the same sum. */
	vnet_put16(frame + h->csum_start + h->csum_offset, sum ? sum : 0xffff);
}
