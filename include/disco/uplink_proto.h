/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What disco-uplink is started with: one process per network that leads further,
 * and one per network with a trunk. It is a port of the network (vnet/port.h),
 * whose station is the network's own address, or for a trunk none (0.0.0.0), and
 * gets WORKER_REQ_NET_PORT, _PORT_END and, without a trunk, _NET_PUBLISH on its
 * socket (disco/worker_proto.h), as a worker does. It ends when that is closed,
 * and says on standard error what it cannot do. A trunk whose device was deleted
 * sends UPLINK_TAP_GONE there, a single byte, and ends.
 */
#ifndef DISCO_UPLINK_PROTO_H
#define DISCO_UPLINK_PROTO_H

#include "disco/worker_spec.h"

#define UPLINK_MAGIC 0x4b4e494c50554431ull

enum uplink_fd {
	UPLINK_FD_CONTROL = 3, /* SOCK_SEQPACKET */
	UPLINK_FD_REGION = 4,  /* prepared, of its port */
	UPLINK_FD_WAKE = 5,    /* the receiving end of its wake-ups */
	UPLINK_FD_SPEC = 6,    /* memory with a struct uplink_spec */
	UPLINK_FD_TAP = 7,     /* of net_tap_open(); of a trunk alone */
	UPLINK_NR_FDS = 5
};

#define UPLINK_TAP_GONE 1u

struct uplink_spec {
	uint64_t magic;
	uint64_t size;	/* sizeof(struct uplink_spec) */
	uint64_t trunk; /* 1: it has UPLINK_FD_TAP; else 0 */
	struct worker_net net;
};

#endif
