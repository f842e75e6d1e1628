/* SPDX-License-Identifier: BSD-2-Clause */
#include "vnet/reply6.h"

#include <string.h>

#include "vnet/packet.h"
#include "vnet/reply.h"

#define HOPS	       255u /* RFC 4861, 7.1.1: it was not forwarded */
#define NS_BYTES       24u  /* with the target, without options */
#define NA_BYTES       32u  /* with the option of the link-layer address */
#define RA_BYTES       64u  /* with three options */
#define OPTION_SOURCE  1u
#define OPTION_TARGET  2u
#define OPTION_PREFIX  3u
#define OPTION_MTU     5u
#define NA_ROUTER      0x80u
#define NA_SOLICITED   0x40u
#define NA_OVERRIDE    0x20u
#define PREFIX_ON_LINK 0x80u
#define PREFIX_AUTO    0x40u

_Static_assert(VNET_ADVERT_BYTES == VNET_ETH_BYTES + IP6_BYTES + RA_BYTES,
	       "a whole frame");

static const uint8_t nobody[VNET_IP6_BYTES];
static const uint8_t all_nodes[VNET_IP6_BYTES] = { 0xff, 0x02, [15] = 1 };

/* The checksum of ICMPv6 covers addresses, length and protocol (RFC 8200, 8.1) */
uint16_t vnet_icmp6_sum(const uint8_t *ip, uint32_t bytes)
{
	uint32_t sum = vnet_csum_add(PROTO_ICMP6 + bytes, ip + IP6_SRC, 32);

	return vnet_csum_fold(vnet_csum_add(sum, ip + IP6_BYTES, bytes));
}

/* The headers before @bytes of ICMPv6. Return: bytes of the whole frame. */
static uint32_t reply6_head(const uint8_t *dst_mac, const uint8_t *src_mac,
			    const uint8_t src[VNET_IP6_BYTES],
			    const uint8_t dst[VNET_IP6_BYTES], uint32_t bytes,
			    uint8_t *out)
{
	uint8_t *ip = out + VNET_ETH_BYTES;

	memcpy(out + ETH_DST, dst_mac, VNET_MAC_BYTES);
	memcpy(out + ETH_SRC, src_mac, VNET_MAC_BYTES);
	vnet_put16(out + ETH_TYPE, ETHERTYPE_IP6);
	memset(ip, 0, IP6_BYTES);
	ip[0] = 0x60;
	vnet_put16(ip + IP6_LEN, bytes);
	ip[IP6_NEXT] = PROTO_ICMP6;
	ip[IP6_HOPS] = HOPS;
	memcpy(ip + IP6_SRC, src, VNET_IP6_BYTES);
	memcpy(ip + IP6_DST, dst, VNET_IP6_BYTES);
	vnet_put16(ip + IP6_BYTES + 2, vnet_icmp6_sum(ip, bytes));
	return VNET_ETH_BYTES + IP6_BYTES + bytes;
}

/*
 * Who answers for an address: the port that has it, or the network itself. A
 * station that asks whether it may take one that it does not get (vnet/claims.h) is
 * told that it is in use, by the network if by nobody else. Return: false: nobody.
 */
static bool neighbour_mac(const struct vnet_port *p, const uint8_t *target,
			  bool dad, uint8_t mac[VNET_MAC_BYTES])
{
	const struct vnet_peer *peer = vnet_port_by_ip6(p, target);

	vnet_mac_of_ip(p->plan.server, mac);
	if (peer) {
		memcpy(mac, peer->station.mac, VNET_MAC_BYTES);
		return true;
	}
	if (vnet_is_ip6_of(target, p->plan.prefix6, mac))
		return true;
	return dad && !vnet_port_has_ip6(p, target) &&
	       (vnet_ip6_is_link_local(target) ||
		memcmp(target, p->plan.prefix6, VNET_PREFIX6) == 0);
}

/* Who has an address: RFC 4861, 4.3 and 4.4. */
static uint32_t reply_neighbour(const struct vnet_port *p, const uint8_t *ip,
				uint8_t *out)
{
	const uint8_t *target = ip + IP6_BYTES + 8, *dst = ip + IP6_SRC;
	uint8_t *a = out + VNET_ETH_BYTES + IP6_BYTES;
	uint8_t mac[VNET_MAC_BYTES], server[VNET_MAC_BYTES];
	bool dad = memcmp(dst, nobody, VNET_IP6_BYTES) == 0;

	if (!neighbour_mac(p, target, dad, mac))
		return 0;
	vnet_mac_of_ip(p->plan.server, server);
	memset(a, 0, NA_BYTES);
	a[0] = ICMP6_ANSWER;
	a[4] = NA_OVERRIDE | (dad ? 0 : NA_SOLICITED);
	/* Else its receivers would give up the default route by it. */
	if (memcmp(mac, server, sizeof(mac)) == 0 && vnet_port_routes6(p))
		a[4] |= NA_ROUTER;
	memcpy(a + 8, target, VNET_IP6_BYTES);
	a[24] = OPTION_TARGET;
	a[25] = 1;
	memcpy(a + 26, mac, VNET_MAC_BYTES);
	return reply6_head(p->station.mac, mac, target, dad ? all_nodes : dst,
			   NA_BYTES, out);
}

/* RFC 4861, 4.2: the prefix is for ever. */
uint32_t vnet_advertise(const struct vnet_plan *plan,
			const uint8_t to[VNET_MAC_BYTES], unsigned seconds,
			uint8_t *out)
{
	uint8_t *a = out + VNET_ETH_BYTES + IP6_BYTES, *prefix = a + 32;
	uint8_t mac[VNET_MAC_BYTES], src[VNET_IP6_BYTES];

	vnet_mac_of_ip(plan->server, mac);
	vnet_ip6(NULL, mac, src);
	memset(a, 0, RA_BYTES);
	a[0] = ICMP6_ROUTER_ANSWER;
	a[4] = 64; /* hop limit */
	vnet_put16(a + 6, seconds);
	a[16] = OPTION_SOURCE;
	a[17] = 1;
	memcpy(a + 18, mac, VNET_MAC_BYTES);
	a[24] = OPTION_MTU;
	a[25] = 1;
	vnet_put16(a + 30, VNET_MTU);
	prefix[0] = OPTION_PREFIX;
	prefix[1] = 4;
	prefix[2] = 8 * VNET_PREFIX6;
	prefix[3] = PREFIX_ON_LINK | PREFIX_AUTO;
	memset(prefix + 4, 0xff, 8);
	memcpy(prefix + 16, plan->prefix6, VNET_PREFIX6);
	return reply6_head(to, mac, src, all_nodes, RA_BYTES, out);
}

uint32_t vnet_reply6(const struct vnet_port *p, const uint8_t *frame,
		     uint32_t len, uint8_t *out)
{
	const uint8_t *ip = frame + VNET_ETH_BYTES, *icmp = ip + IP6_BYTES;
	uint32_t bytes;

	if (len < VNET_ETH_BYTES + IP6_BYTES + 8)
		return 0;
	bytes = vnet_get16(ip + IP6_LEN);
	if (bytes < 8 || bytes > len - VNET_ETH_BYTES - IP6_BYTES ||
	    ip[IP6_NEXT] != PROTO_ICMP6 || ip[IP6_HOPS] != HOPS ||
	    icmp[1] != 0 || vnet_icmp6_sum(ip, bytes) != 0)
		return 0;
	if (icmp[0] == ICMP6_ROUTER_WHO)
		return vnet_advertise(
			&p->plan, p->station.mac,
			vnet_port_routes6(p) ? VNET_ROUTER_SECONDS : 0, out);
	if (icmp[0] == ICMP6_WHO && bytes >= NS_BYTES)
		return reply_neighbour(p, ip, out);
	return 0;
}
