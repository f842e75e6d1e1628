/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all messages between control, workers and agents begin with. A message
 * is one packet of a SOCK_SEQPACKET socket: this head, then what its kind has
 * (one struct per kind), then the descriptors of its kind (SCM_RIGHTS). It is
 * as long as its kind says and no longer. Bytes that no field names are 0.
 *
 * Numbers are in the host's byte order: both ends run on the same machine.
 */
#ifndef DISCO_MESSAGE_H
#define DISCO_MESSAGE_H

#include "disco/base.h"

#define MESSAGE_ERRNO_MAX 4095u /* of an error in a message, as Linux has it */

struct message_head {
	uint32_t kind; /* an enum of the protocol; 0 is none */
	uint32_t zero;
	/*
	 * Of a request: chosen by whoever sends it, larger than those before on
	 * the same connection, never 0. Of an answer: that of the request. Of
	 * what nobody asked for: 0.
	 */
	uint64_t id;
};

/* Bytes of a message of @type whose kind has the union's member @member. */
#define MESSAGE_BYTES(type, member)                                            \
	(offsetof(struct type, member) + sizeof(((struct type *)0)->member))

#endif
