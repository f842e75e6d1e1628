/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/net/net_steer.h"

#include <string.h>

#include "disco/mix.h"
#include "vnet/frame.h"
#include "vnet/packet.h"

#define PROTO_TCP   6u
#define IP4_FRAGS   0x3fffu /* more fragments, or an offset */
#define PORT_BYTES  2u
#define PORTS_BYTES (2u * PORT_BYTES)

_Static_assert(NET_FLOW_BYTES == VNET_ETH_BYTES + 60 + PORTS_BYTES,
	       "an IPv4 header with all options, and the ports");

/* One end of a flow; @port NULL: it has none. */
static uint64_t steer_end(const uint8_t *address, unsigned bytes,
			  const uint8_t *port)
{
	uint64_t sum = port ? vnet_get16(port) + 1u : 0;

	for (unsigned i = 0; i < bytes; i += 4)
		sum = mix_u64(sum << 32 ^ sum ^ vnet_ip4(address + i));
	return sum;
}

/* The sum does not depend on the direction. */
static uint32_t steer_ends(const uint8_t *src, const uint8_t *dst,
			   unsigned bytes, const uint8_t *ports)
{
	uint64_t a = steer_end(src, bytes, ports);
	uint64_t b = steer_end(dst, bytes, ports ? ports + PORT_BYTES : NULL);
	uint32_t flow = (uint32_t)(mix_u64(a + b) >> 32);

	return flow ? flow : 1;
}

static bool steer_has_ports(unsigned proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP;
}

static uint32_t steer_ip4(const uint8_t *ip, size_t len)
{
	size_t header = (ip[0] & 15u) * 4u;
	bool ports = steer_has_ports(ip[IP4_PROTO]) &&
		     !(vnet_get16(ip + IP4_FRAG) & IP4_FRAGS) &&
		     header >= IP4_BYTES && header + PORTS_BYTES <= len;

	return steer_ends(ip + IP4_SRC, ip + IP4_DST, 4,
			  ports ? ip + header : NULL);
}

static uint32_t steer_ip6(const uint8_t *ip, size_t len)
{
	bool ports = steer_has_ports(ip[IP6_NEXT]) &&
		     IP6_BYTES + PORTS_BYTES <= len;

	return steer_ends(ip + IP6_SRC, ip + IP6_DST, VNET_IP6_BYTES,
			  ports ? ip + IP6_BYTES : NULL);
}

uint32_t net_flow(const uint8_t *frame, size_t len)
{
	const uint8_t *ip = frame + VNET_ETH_BYTES;

	len = min_u64(len, NET_FLOW_BYTES);
	if (len < VNET_ETH_BYTES + IP4_BYTES)
		return 0;
	len -= VNET_ETH_BYTES;
	switch (vnet_get16(frame + ETH_TYPE)) {
	case ETHERTYPE_IP4:
		return steer_ip4(ip, len);
	case ETHERTYPE_IP6:
		return len < IP6_BYTES ? 0 : steer_ip6(ip, len);
	default:
		return 0;
	}
}

void net_steer_note(struct net_steer *s, uint32_t flow, unsigned pair)
{
	if (!flow)
		return;
	s->flow[flow % NET_FLOWS] = flow;
	s->pair[flow % NET_FLOWS] = (uint8_t)pair;
}

unsigned net_steer_pair(const struct net_steer *s, uint32_t flow,
			unsigned pairs)
{
	unsigned at = flow % NET_FLOWS;

	if (!flow)
		return 0;
	/* The pair may have been in use only before. */
	if (s->flow[at] == flow && s->pair[at] < pairs)
		return s->pair[at];
	return (unsigned)((uint64_t)flow * pairs >> 32);
}
