/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ethernet frames as guests send them: the header of offloads that goes with a
 * frame, what a port may send, and checksums.
 *
 * Context of all functions: any thread; no memory but their arguments.
 */
#ifndef DISCO_VNET_FRAME_H
#define DISCO_VNET_FRAME_H

#include <string.h>

#include "disco/base.h"

#define VNET_MAC_BYTES	6u
#define VNET_ETH_BYTES	14u    /* of the Ethernet header */
#define VNET_FRAME_MAX	65550u /* bytes: the header and 64 KiB */
#define VNET_MTU	1500u
#define VNET_LOOK_BYTES 128u /* of a frame, that a filter looks at */
#define VNET_NAME_MAX	63u
#define VNET_PORTS_MAX	256u
#define VNET_PREFIX6	8u /* bytes: a /64 */
#define VNET_IP6_BYTES	16u

/* Values of struct vnet_hdr, as virtio 1.2, 5.1.6, has them. */
#define VNET_HDR_NEEDS_CSUM 1u
#define VNET_HDR_DATA_VALID 2u
#define VNET_GSO_NONE	    0u
#define VNET_GSO_TCPV4	    1u
#define VNET_GSO_TCPV6	    4u
#define VNET_GSO_ECN	    0x80u

/* Of struct virtio_net_hdr, without num_buffers. Little-endian. */
struct vnet_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
};

_Static_assert(sizeof(struct vnet_hdr) == 10, "virtio 5.1.6 layout");

/* What a station of a network is known by. */
struct vnet_station {
	uint8_t mac[VNET_MAC_BYTES];
	uint8_t ip[4]; /* IPv4, in network order */
	bool routed4;  /* the uplink leads it further by IPv4 alone */
	char name[VNET_NAME_MAX + 1];
	/*
	 * Of another port: its VM shares memory with this port's one (monitor/
	 * control/guests/caches.h), so frames may carry references (vnet/refs.h).
	 */
	bool shares;
};

/* What a port knows of its network. */
struct vnet_plan {
	uint8_t server[4]; /* the network's own address: the first one */
	uint8_t bits;	   /* of the subnet's prefix: VNET_BITS_MIN .. _MAX */
	bool routed;	   /* the network's own address leads further, too */
	bool routed4;	   /* but by IPv4 alone, for this station */
	bool planned6; /* no IPv6 addresses but planned ones: vnet/claims.h */
	uint8_t prefix6[VNET_PREFIX6];
};

#define VNET_BITS_MIN 8u
#define VNET_BITS_MAX 29u

static inline uint32_t vnet_ip4(const uint8_t ip[4])
{
	return (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 |
	       (uint32_t)ip[2] << 8 | ip[3];
}

static inline void vnet_put_ip4(uint8_t ip[4], uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		ip[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* The prefix of @bits as a mask; @bits is 1 .. 32. */
static inline uint32_t vnet_mask(unsigned bits)
{
	return ~0u << (32 - bits);
}

/*
 * The IPv6 prefix of a network, made of its name: unique local addresses
 * (RFC 4193). Networks of that name have the same one everywhere.
 */
void vnet_prefix6(const char *net, uint8_t prefix[VNET_PREFIX6]);

/*
 * The address that a station gives itself by SLAAC, as Linux does unless it is
 * told otherwise: prefix and MAC address (RFC 4291, appendix A). @prefix NULL:
 * the link-local one.
 */
void vnet_ip6(const uint8_t prefix[VNET_PREFIX6],
	      const uint8_t mac[VNET_MAC_BYTES], uint8_t ip[VNET_IP6_BYTES]);

/* Is it one of the two addresses that are planned for a station? */
MUST_CHECK bool vnet_is_ip6_of(const uint8_t ip[VNET_IP6_BYTES],
			       const uint8_t prefix[VNET_PREFIX6],
			       const uint8_t mac[VNET_MAC_BYTES]);

/* The second half of an address, which tells interfaces of a prefix apart. */
static inline uint64_t vnet_ip6_half(const uint8_t ip[VNET_IP6_BYTES])
{
	uint64_t v = 0;

	for (unsigned i = VNET_PREFIX6; i < VNET_IP6_BYTES; i++)
		v = v << 8 | ip[i];
	return v;
}

static inline void vnet_ip6_set_half(uint8_t ip[VNET_IP6_BYTES], uint64_t v)
{
	for (unsigned i = VNET_IP6_BYTES; i > VNET_PREFIX6; v >>= 8)
		ip[--i] = (uint8_t)v;
}

static inline bool vnet_ip6_is_link_local(const uint8_t ip[VNET_IP6_BYTES])
{
	static const uint8_t prefix[VNET_PREFIX6] = { 0xfe, 0x80 };

	return memcmp(ip, prefix, sizeof(prefix)) == 0;
}

/*
 * May a station choose this address for itself? One of the network's prefix, or
 * link-local, that the plan can give to nobody: it is not made of a MAC address,
 * also if no station has that one now. And it is not for groups of routers
 * (RFC 4291, 2.6.1) or reserved (RFC 2526).
 */
MUST_CHECK bool vnet_ip6_is_free(const uint8_t ip[VNET_IP6_BYTES],
				 const uint8_t prefix[VNET_PREFIX6]);

/**
 * vnet_ip6_claim() - whose address a packet says that its sender has
 * @ip:    an IPv6 packet, of which @len bytes are there, at least its header
 * @claim: out: the target of a neighbour advertisement (RFC 4861, 4.4), in @ip;
 *         NULL: it is none
 *
 * Its receivers note the sender for that address, whatever the source is. Headers
 * before that of ICMPv6 are passed over, as receivers do.
 *
 * Return: false: they go on beyond @len, so nobody can tell.
 */
MUST_CHECK bool vnet_ip6_claim(const uint8_t *ip, uint32_t len,
			       const uint8_t **claim);

/*
 * Is the header one of a frame of @bytes? Flags and types are known, and what it
 * points at is in the frame.
 */
MUST_CHECK bool vnet_hdr_valid(const struct vnet_hdr *h, uint32_t bytes);

/*
 * Drop from a header what its sender may not state, or need not: flags other
 * than VNET_HDR_NEEDS_CSUM (virtio 1.2, 5.1.6.2: those are for frames that a
 * driver receives), and fields that the remaining ones give no meaning.
 */
void vnet_hdr_clean(struct vnet_hdr *h);

/**
 * vnet_hdr_is_apart() - does completing the checksum leave alone what was looked at?
 * @h:     vnet_hdr_valid() for the whole frame, and clean
 * @frame: as of vnet_filter()
 *
 * Who completes a checksum writes it where the header says. That must be behind the
 * headers of IP, and not in ICMPv6, or a frame would have another address, or claim
 * another one, than that which a filter has seen.
 */
MUST_CHECK bool vnet_hdr_is_apart(const struct vnet_hdr *h,
				  const uint8_t *frame, uint32_t len);

enum vnet_verdict {
	VNET_FORWARD, /* to the port of its destination, or to all */
	VNET_LOCAL,   /* a question that the network answers: vnet/reply.h */
	VNET_REFUSE,  /* not from this station, or of a kind that is not sent */
};

#define VNET_USES_MAX 2u

/* IPv6 addresses that a frame says its sender has. */
struct vnet_uses {
	/* In the frame; those that vnet_ip6_is_free(). */
	const uint8_t *ip[VNET_USES_MAX];
	unsigned nr;
	bool planned; /* the planned address of the prefix is among them */
	bool probe;   /* it only asks whether the one is free (RFC 4862, 5.4) */
};

/**
 * vnet_filter_uses() - decide what becomes of a frame that a station sends
 * @frame: the first @len bytes of the frame, a private copy; @len is
 *         VNET_LOOK_BYTES, or the whole frame if that is shorter
 * @uses:  out: the addresses on which the answer depends. VNET_FORWARD and, unless
 *         it is a probe, VNET_LOCAL hold if the station holds them all
 *         (vnet/claims.h); else the frame is to be refused
 *
 * A station sends from its own MAC address and IPv4 address (or 0.0.0.0, to
 * DHCP), and from the IPv6 addresses that are made of its MAC: link-local and of
 * the network's prefix (or from ::), or those of @uses. It says of these alone that
 * it has them, by ARP and by neighbour advertisements. It is no router, as it may
 * send nobody else's packets: so it announces none. Questions of neighbour discovery
 * behind other headers, which no host sends, would pass those who answer them here,
 * and are refused. So are frames that are neither IPv4, ARP nor IPv6.
 */
MUST_CHECK enum vnet_verdict
vnet_filter_uses(const struct vnet_station *own, const struct vnet_plan *plan,
		 const uint8_t *frame, uint32_t len, struct vnet_uses *uses);

/* The same for a station that holds none but planned addresses. */
MUST_CHECK enum vnet_verdict vnet_filter(const struct vnet_station *own,
					 const struct vnet_plan *plan,
					 const uint8_t *frame, uint32_t len);

/* Is it a group address: broadcast or multicast? */
static inline bool vnet_is_group(const uint8_t mac[VNET_MAC_BYTES])
{
	return mac[0] & 1;
}

/*
 * One's complement sum of @len bytes, added to @sum (of an even number of
 * bytes); vnet_csum_fold() makes a checksum of it, in network order.
 */
uint32_t vnet_csum_add(uint32_t sum, const void *bytes, size_t len);
uint16_t vnet_csum_fold(uint32_t sum);

/*
 * Complete the checksum that @h (valid) leaves to be done in @frame, of @bytes.
 */
void vnet_csum_complete(const struct vnet_hdr *h, uint8_t *frame,
			uint32_t bytes);

static inline uint16_t vnet_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void vnet_put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

#endif
