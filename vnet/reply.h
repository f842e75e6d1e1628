/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the network itself answers: ARP, DHCP (RFC 2131, with Rapid Commit of
 * RFC 4039), DNS (A, AAAA and PTR of the stations), ping of its own address,
 * which is the first one of the subnet, and of IPv6 what vnet/reply6.h has. Each port answers its own station, from its
 * own table of the network's ports. So no question crosses to another worker,
 * and there is no server process.
 *
 * The answers have full checksums: some clients drop partial ones.
 *
 * A question is as hostile as any frame of a guest; a wrong one is not answered.
 */
#ifndef DISCO_VNET_REPLY_H
#define DISCO_VNET_REPLY_H

#include "vnet/port.h"

#define VNET_REPLY_MAX 1514u /* bytes of a question or an answer */

/* The MAC address that goes with an IPv4 address by default. */
void vnet_mac_of_ip(const uint8_t ip[4], uint8_t mac[VNET_MAC_BYTES]);

/**
 * vnet_reply() - answer a frame that vnet_port_filter() found VNET_LOCAL
 * @p:     the port of the station that asks
 * @net:   the network's name, which is the domain of all names; not NULL
 * @frame: @len bytes, a private copy
 * @out:   VNET_REPLY_MAX bytes; a frame for the station
 *
 * Context: the thread of @p. Return: bytes of the answer; 0: none.
 */
MUST_CHECK uint32_t vnet_reply(const struct vnet_port *p, const char *net,
			       const uint8_t *frame, uint32_t len,
			       uint8_t *out);

#endif
