/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The head of all messages between control, workers and agents. A message is
 * one packet of a SOCK_SEQPACKET socket: this head, the struct of its kind, and
 * the descriptors of its kind (SCM_RIGHTS). Its length is exactly that of its
 * kind. Bytes that belong to no field are 0.
 *
 * Numbers are in the host's byte order: both ends run on the same machine.
 */
#ifndef DISCO_MESSAGE_H
#define DISCO_MESSAGE_H

#include "disco/base.h"

#define MESSAGE_ERRNO_MAX 4095u /* largest errno of Linux */

struct message_head {
	uint32_t kind; /* an enum of the protocol; 0 is none */
	uint32_t zero;
	/*
	 * Of a request: chosen by the sender, larger than every earlier one on
	 * the same connection, never 0. Of an answer: the id of its request. Of
	 * any other message: 0.
	 */
	uint64_t id;
};

/* Length in bytes of a message of @type whose kind uses union @member. */
#define MESSAGE_BYTES(type, member)                                            \
	(offsetof(struct type, member) + sizeof(((struct type *)0)->member))

#endif
