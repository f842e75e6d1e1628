/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What disco-uplink is started with: one process per network that leads further.
 * It is a port of the network (vnet/port.h), whose station is the network's own
 * address, and gets WORKER_REQ_NET_PORT, _PORT_END and _NET_PUBLISH on its socket
 * (disco/worker_proto.h), as a worker does. It ends when that is closed, and says
 * on standard error what it cannot do.
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
	UPLINK_NR_FDS = 4
};

struct uplink_spec {
	uint64_t magic;
	uint64_t size; /* sizeof(struct uplink_spec) */
	struct worker_net net;
};

#endif
