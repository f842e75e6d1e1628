/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the network answers of neighbour discovery (RFC 4861): who has an
 * address, from the port's own table; and which prefix is in use. The router
 * advertisement has no default route. It makes stations take an address of the
 * network's prefix by SLAAC (RFC 4862), which stock kernels do without any
 * configuration or program.
 */
#ifndef DISCO_VNET_REPLY6_H
#define DISCO_VNET_REPLY6_H

#include "vnet/port.h"

/**
 * vnet_reply6() - answer an IPv6 frame that vnet_filter() found VNET_LOCAL
 * @p:     the port of the station that asks
 * @frame: @len bytes, a private copy
 * @out:   VNET_REPLY_MAX bytes (vnet/reply.h); a frame for the station
 *
 * Context: the thread of @p. Return: bytes of the answer; 0: none.
 */
MUST_CHECK uint32_t vnet_reply6(const struct vnet_port *p, const uint8_t *frame,
				uint32_t len, uint8_t *out);

#endif
