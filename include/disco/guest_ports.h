/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ports of a guest's virtio console, as control and the worker number them.
 *
 * Port 0 is the console (hvc0). The port of the guest agent has the name that
 * the QEMU guest agent looks for. The other ports are sets of streams: the
 * standard input, output and errors of a command that control lets the agent
 * start. A set is used by one command at a time.
 */
#ifndef DISCO_GUEST_PORTS_H
#define DISCO_GUEST_PORTS_H

#define GUEST_PORT_CONSOLE 0u
#define GUEST_PORT_AGENT   1u
#define GUEST_PORT_STREAMS 2u /* the first stream of the first set */

enum guest_stream { GUEST_IN, GUEST_OUT, GUEST_ERR, GUEST_STREAMS };

#define GUEST_STREAM_SETS 2u
#define GUEST_NR_PORTS	  (GUEST_PORT_STREAMS + GUEST_STREAM_SETS * GUEST_STREAMS)

/* The port of a stream of a set. */
#define GUEST_PORT_OF(set, stream)                                             \
	(GUEST_PORT_STREAMS + (set)*GUEST_STREAMS + (stream))

#endif
