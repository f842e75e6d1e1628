/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both halves of nat.h share: frames to stations, and which datagrams of the
 * host itself may be answered.
 *
 * Context of all functions: one thread.
 */
#ifndef DISCO_MONITOR_UPLINK_DELIVER_H
#define DISCO_MONITOR_UPLINK_DELIVER_H

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

/*
 * May this go to the network's own address? Only answers do: of TCP all but the
 * beginning of a connection, of UDP what a published port was asked before. libslirp
 * takes that address for the host's own.
 *
 * @l4: @len bytes of TCP or UDP, that follow the header; @guest_ip: as in struct knock
 */
MUST_CHECK bool knocks_answer(const struct knocks *s, unsigned proto,
			      const uint8_t *l4, uint32_t len,
			      const uint8_t *guest_ip, size_t ip_bytes);

/* A datagram of the host itself, which is sent to a station. */
void knocks_note(struct knocks *s, const uint8_t *l4, const uint8_t *guest_ip,
		 size_t ip_bytes);

/*
 * Send a frame to a station, from the network's own MAC address; NULL: there is none.
 * What it does not take is lost, as on a wire. Return: it was sent.
 */
bool deliver(struct vnet_port *p, struct vnet_peer *to, const uint8_t *frame,
	     uint32_t len);

#endif
