/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DISCO_MONITOR_AGENT_SERVE_H
#define DISCO_MONITOR_AGENT_SERVE_H

#include "disco/base.h"

/**
 * agent_serve() - answer requests until nobody is at the other end
 * @sock: SOCK_SEQPACKET
 *
 * Context: one thread; blocks. Return: 0; -EBADMSG, -EINVAL a request made no
 * sense; -errno of the socket.
 */
MUST_CHECK int agent_serve(int sock);

#endif
