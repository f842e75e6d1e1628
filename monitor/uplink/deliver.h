/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both halves of nat.h share: frames to stations, and which datagrams of the
 * host itself may be answered.
 *
 * Context of all functions: one thread.
 */
#ifndef DISCO_MONITOR_UPLINK_DELIVER_H
#define DISCO_MONITOR_UPLINK_DELIVER_H

#include <string.h>

#include "vnet/packet.h"
#include "vnet/port.h"

#define KNOCKS	  256u
#define PROTO_TCP 6u
#define TCP_FLAGS 13
#define TCP_BYTES 20u
#define TCP_SYN	  2u
#define TCP_ACK	  16u

/* A datagram from the host itself to a published port, to be answered. */
struct knock {
	uint8_t guest_ip[VNET_IP6_BYTES]; /* of IPv4: the first 4 */
	uint16_t guest_port, host_port;
};

/* The last ones. */
struct knocks {
	struct knock of[KNOCKS];
	unsigned next;
};

static inline bool knocks_have(const struct knocks *s, const struct knock *k)
{
	for (unsigned i = 0; i < KNOCKS; i++)
		if (memcmp(&s->of[i], k, sizeof(*k)) == 0)
			return true;
	return false;
}

static inline void knocks_add(struct knocks *s, const struct knock *k)
{
	if (!knocks_have(s, k))
		s->of[s->next++ % KNOCKS] = *k;
}

/*
 * May this go to the network's own address? Only answers do: of TCP all but the
 * beginning of a connection, of UDP what a published port was asked before. libslirp
 * takes that address for the host's own.
 *
 * @l4: @len bytes of TCP or UDP, that follow the header; @guest_ip: as in struct knock
 */
static inline bool knocks_answer(const struct knocks *s, unsigned proto,
				 const uint8_t *l4, uint32_t len,
				 const uint8_t *guest_ip, size_t ip_bytes)
{
	struct knock k = { .host_port = 0 };

	if (proto == PROTO_TCP && len >= TCP_BYTES)
		return (l4[TCP_FLAGS] & (TCP_SYN | TCP_ACK)) != TCP_SYN;
	if (proto != PROTO_UDP || len < UDP_BYTES)
		return false;
	memcpy(k.guest_ip, guest_ip, ip_bytes);
	k.guest_port = vnet_get16(l4 + UDP_SPORT);
	k.host_port = vnet_get16(l4 + UDP_DPORT);
	return knocks_have(s, &k);
}

/* A datagram of the host itself, which is sent to a station. */
static inline void knocks_note(struct knocks *s, const uint8_t *l4,
			       const uint8_t *guest_ip, size_t ip_bytes)
{
	struct knock k = { .host_port = 0 };

	memcpy(k.guest_ip, guest_ip, ip_bytes);
	k.host_port = vnet_get16(l4 + UDP_SPORT);
	k.guest_port = vnet_get16(l4 + UDP_DPORT);
	knocks_add(s, &k);
}

/*
 * Send a frame to a station, from the network's own MAC address; NULL: there is none.
 * What it does not take is lost, as on a wire. Return: it was sent.
 */
static inline bool deliver(struct vnet_port *p, struct vnet_peer *to,
			   const uint8_t *frame, uint32_t len)
{
	struct vnet_buf b;

	if (!to || vnet_port_room(p, to, len)) {
		vnet_port_drop(p, to);
		return false;
	}
	vnet_port_begin(p, len, &b);
	memcpy(b.bytes, frame, len);
	memcpy(b.bytes + ETH_DST, to->station.mac, VNET_MAC_BYTES);
	memcpy(b.bytes + ETH_SRC, p->station.mac, VNET_MAC_BYTES);
	vnet_port_send(p, &b, to, len, false);
	return true;
}

#endif
