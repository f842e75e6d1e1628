/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker sends to whoever dumps the networks of its VM: one message of a
 * SOCK_SEQPACKET socket per frame, a struct net_dump_frame and then .cut bytes.
 * A frame for which the socket has no room is counted, and lost to the dump
 * alone. The worker is hostile to the reader, which checks each message.
 */
#ifndef DISCO_NET_DUMP_H
#define DISCO_NET_DUMP_H

#include "disco/base.h"

enum net_dump_way { NET_DUMP_IN = 0, NET_DUMP_OUT = 1 }; /* for the VM */

struct net_dump_frame {
	uint64_t time_ns; /* CLOCK_REALTIME */
	uint64_t lost;	  /* frames of this network so far, of this dump */
	uint32_t net;	  /* which of the VM's networks */
	uint32_t way;	  /* enum net_dump_way */
	uint32_t len;	  /* bytes of the frame */
	uint32_t cut;	  /* bytes that follow: at most len */
	uint8_t hdr[10];  /* struct vnet_hdr: what is left to be done */
	uint8_t zero[6];
};

_Static_assert(sizeof(struct net_dump_frame) == 48, "a message");

#endif
