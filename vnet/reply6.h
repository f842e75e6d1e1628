/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the network answers of neighbour discovery (RFC 4861): who has an
 * address, from the port's own table; and which prefix is in use. The router
 * advertisement makes stations take an address of the network's prefix by SLAAC
 * (RFC 4862), which stock kernels do without any configuration or program.
 *
 * There is one prefix, that of the network, with an uplink or without. Each port
 * answers the router solicitations of its own station, from the network's own
 * address. The answer has a default route, by that address, if the station has an
 * uplink, and that says in its region that it leads to IPv6 now
 * (vnet_port_routes6()). It ends after VNET_ROUTER_SECONDS, so the uplink repeats
 * such advertisements, and sends one when that changes.
 */
#ifndef DISCO_VNET_REPLY6_H
#define DISCO_VNET_REPLY6_H

#include "vnet/port.h"

#define VNET_ROUTER_SECONDS 1800u
#define VNET_ADVERT_BYTES   118u /* of a frame */

/**
 * vnet_advertise() - a router advertisement of the network's own address
 * @to:      MAC address of the station that it is for
 * @seconds: that the network's own address is a router for; 0: it is none
 * @out:     VNET_ADVERT_BYTES bytes
 *
 * Context: any thread. Return: bytes of the frame.
 */
uint32_t vnet_advertise(const struct vnet_plan *plan,
			const uint8_t to[VNET_MAC_BYTES], unsigned seconds,
			uint8_t *out);

/*
 * The checksum of @bytes of ICMPv6 that follow the header @ip; 0 if they hold the
 * right one.
 */
MUST_CHECK uint16_t vnet_icmp6_sum(const uint8_t *ip, uint32_t bytes);

/**
 * vnet_reply6() - answer an IPv6 frame that vnet_port_filter() found VNET_LOCAL
 * @p:     the port of the station that asks
 * @frame: @len bytes, a private copy
 * @out:   VNET_REPLY_MAX bytes (vnet/reply.h); a frame for the station
 *
 * Context: the thread of @p. Return: bytes of the answer; 0: none.
 */
MUST_CHECK uint32_t vnet_reply6(const struct vnet_port *p, const uint8_t *frame,
				uint32_t len, uint8_t *out);

#endif
