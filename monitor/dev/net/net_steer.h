/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receive steering of a network device with several queue pairs: a flow is
 * received on the pair that the guest last sent it on, so that the CPU that
 * handles the flow also gets its interrupts; a flow that the guest has not sent
 * on yet goes by its hash (virtio 1.2, 5.1.6.5.6: automatic receive steering).
 *
 * Bounds:
 *  1. Noting and finding a flow look at one entry of the table; the table has
 *     NET_FLOWS entries and nothing is ever swept or walked.
 *  2. A flow whose entry was taken by another one goes by its hash. It may
 *     change its pair then, which can reorder frames that the guest has not
 *     taken yet; it loses none.
 *  3. At most NET_FLOW_BYTES of a frame are looked at.
 *
 * Peers choose the addresses and ports of what they send, so they can direct
 * their frames to a pair of their choice, or replace an entry by sending to the
 * guest what it answers. That decides which CPU of the guest works, and nothing
 * else.
 *
 * Context of all functions: the device's lock is held; no memory but their
 * arguments.
 */
#ifndef DISCO_MONITOR_NET_STEER_H
#define DISCO_MONITOR_NET_STEER_H

#include "disco/base.h"

#define NET_FLOWS      512u
#define NET_FLOW_BYTES 78u /* Ethernet, the longest IPv4 header, both ports */

struct net_steer {
	uint32_t flow[NET_FLOWS]; /* 0: no flow */
	uint8_t pair[NET_FLOWS];
};

/**
 * net_flow() - number of a frame's flow
 * @frame: a private copy of its first @len bytes: NET_FLOW_BYTES, or the whole
 *         frame if that is shorter; more are not looked at
 *
 * Both directions of a flow have the same number. Of TCP and UDP it is made of
 * the addresses and ports; of fragments and of all other IPv4 and IPv6, of the
 * addresses. Return: the number; 0: it is neither IPv4 nor IPv6.
 */
MUST_CHECK uint32_t net_flow(const uint8_t *frame, size_t len);

/* The guest has sent a frame of @flow on @pair. */
void net_steer_note(struct net_steer *s, uint32_t flow, unsigned pair);

/**
 * net_steer_pair() - where a frame of @flow is received
 * @pairs: that are in use, at least 1
 *
 * Return: 0 .. @pairs - 1. Frames of no flow are received on pair 0.
 */
MUST_CHECK unsigned net_steer_pair(const struct net_steer *s, uint32_t flow,
				   unsigned pairs);

#endif
