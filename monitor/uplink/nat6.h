/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The IPv6 half of nat.h: TCP and UDP (libslirp forwards no ICMPv6).
 *
 * THE PREFIX is the network's, and libslirp is told the same one; its own address is
 * the network's. Router and neighbour discovery of stations never come here: their
 * workers answer them, and libslirp's own advertisements are not made, as it gets
 * neither solicitations nor timers. What it asks (who has an address) is answered
 * here, from the table of ports. Whether stations have a default route is decided by
 * the host: while it has a route to addresses of the Internet, this port says so
 * (vnet_port_set_routes6()), and repeats router advertisements to all stations.
 * Nothing is sent to find that out.
 *
 * CHECKED of a frame of a station, before libslirp sees it: TCP or UDP without any
 * header before it, complete, of at most the MTU or to be cut; from an address of
 * the prefix that the station has (vnet/claims.h); and not to the host itself (::1,
 * also in clothes of IPv4), this prefix, the link or a group, but for answers
 * (deliver.h).
 *
 * PUBLISHED PORTS of an IPv6 address lead to the address by which the station is
 * reached (vnet_port_named_ip6()): where that changes, the port is opened anew.
 *
 * Context of all functions: one thread.
 */
#ifndef DISCO_MONITOR_UPLINK_NAT6_H
#define DISCO_MONITOR_UPLINK_NAT6_H

#include <slirp/libslirp.h>

#include "disco/worker_proto.h"
#include "vnet/port.h"

#define NAT6_PUBLISH_MAX 64u

struct nat6;

/* Return: 0; -ENOMEM. @port: not owned, outlives it. */
MUST_CHECK int nat6_create(struct vnet_port *port, struct nat6 **out);
void nat6_destroy(struct nat6 *n); /* Accepts NULL. */

/* Before and after slirp_new(). @slirp: not owned. */
void nat6_configure(const struct nat6 *n, SlirpConfig *cfg);
void nat6_start(struct nat6 *n, Slirp *slirp);

/*
 * A frame of a station. @frame: a private copy of it, VNET_FRAME_MAX bytes of room,
 * at least an Ethernet header of ETHERTYPE_IP6, with its checksum completed. Return: false: it is refused.
 */
MUST_CHECK bool nat6_input(struct nat6 *n, const struct vnet_frame *f,
			   uint8_t *frame);

/* An IPv6 frame of libslirp's, of @len bytes, at least an Ethernet header. */
void nat6_on_packet(struct nat6 *n, const uint8_t *frame, uint32_t len);

/*
 * Before libslirp handles its sockets: answer what it has asked, follow stations
 * whose addresses have changed, and look at the host's routes if that is due.
 */
void nat6_tend(struct nat6 *n, uint64_t now_ns);

/* How long to wait for the next nat6_tend(), in ms; 0: not at all. */
MUST_CHECK uint32_t nat6_rest_ms(const struct nat6 *n, uint64_t now_ns);

/* There is a station that may not have heard of a route. */
void nat6_station_added(struct nat6 *n, uint64_t now_ns);

/* Of an address of IPv6. Return: 0; -EPERM, -ENOENT, -ENOSPC; -errno of bind(). */
MUST_CHECK int nat6_publish(struct nat6 *n,
			    const struct worker_req_net_publish *r);

#endif
