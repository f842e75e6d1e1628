/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way out of a network: libslirp, which ends the TCP and UDP connections of
 * guests and makes its own ones to the host's network, and the other way for
 * published ports. It needs no privilege.
 *
 * Both sides are hostile: frames come from the regions of workers, and packets
 * from the host's network. What is checked here, before libslirp sees a frame:
 * it is IPv4, from the address of the station whose port it came from, and not to
 * the host itself (127/8, 0/8), this subnet or a group; or IPv6, as nat6.h has it.
 * What answers a connection of the host itself to a published port goes to the
 * network's own address.
 *
 * Context of all functions: one thread.
 */
#ifndef DISCO_MONITOR_NAT_H
#define DISCO_MONITOR_NAT_H

#include "disco/worker_proto.h"
#include "vnet/port.h"

struct nat;

/* Return: 0; -ENOMEM. @port: not owned, outlives it. */
MUST_CHECK int nat_create(struct vnet_port *port, struct nat **out);

void nat_destroy(struct nat *n); /* Accepts NULL; for tests. */

/* A station was added to the port. */
void nat_station_added(struct nat *n);

/* Take the frames that are there, at most a batch. Return: there may be more. */
bool nat_take_frames(struct nat *n);

/**
 * nat_wait() - wait for packets, and handle them
 * @fds:  descriptors of the caller, nr of them, whose revents are set
 * @most_ms: for how long at most; 0: only look; -1: as long as it takes
 */
struct pollfd;
void nat_wait(struct nat *n, struct pollfd *fds, unsigned nr, int most_ms);

/* Publish a port, or end that. Return: 0; -errno of bind(). */
MUST_CHECK int nat_publish(struct nat *n,
			   const struct worker_req_net_publish *r);

#endif
