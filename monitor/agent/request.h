/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DISCO_MONITOR_AGENT_REQUEST_H
#define DISCO_MONITOR_AGENT_REQUEST_H

#include "disco/agent_proto.h"

/**
 * agent_request_check() - look at a message before it is acted upon
 * @len: bytes received
 *
 * Return: 0; -EBADMSG wrong length; -EINVAL a field out of range.
 */
MUST_CHECK int agent_request_check(const struct agent_request *r, size_t len);

#endif
