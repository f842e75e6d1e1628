/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Talking to the monitor: one HTTP/1.1 request a connection, over its Unix
 * socket. Not libcurl: that would make every `disco run` load 30 libraries to
 * send what fits here, and it has no way to upgrade to a console.
 */
#ifndef DISCO_MONITOR_HTTP_CLIENT_H
#define DISCO_MONITOR_HTTP_CLIENT_H

#include <jansson.h>

#include "monitor/control/base/state_dir.h"

#define HTTP_ANSWER_MAX MIB(4)
#define HTTP_WAIT_S	10u   /* for an answer */
#define HTTP_START_S	70u   /* for one to a start */
#define HTTP_MOVE_S	3600u /* for one to a move */

/**
 * http_call() - one request, one answer
 * @body: JSON; NULL: none
 * @text: out, malloc'ed, NUL-terminated; untouched on error
 * @d:    why not: ST_NO_MONITOR nobody answers; else what the monitor's own
 *        line and status say
 *
 * Context: blocks, HTTP_WAIT_S, HTTP_START_S or HTTP_MOVE_S at most.
 * Return:  0, an answer of 2xx; -ECONNREFUSED, -ENOENT no monitor; -EPROTO
 *          the answer makes no sense; -EREMOTEIO the monitor refused;
 *          -ENOMEM.
 */
MUST_CHECK int http_call(const char *method, const char *path, const char *body,
			 char **text, struct diag *d);

/* The same, and the answer read as JSON; release with json_decref(). */
MUST_CHECK int http_json(const char *method, const char *path, const char *body,
			 json_t **out, struct diag *d);

/**
 * http_upgrade() - GET @path, and change to another protocol
 * @fd: out, the connection; the next byte read is the protocol's first
 */
MUST_CHECK int http_upgrade(const char *path, const char *protocol, int *fd,
			    struct diag *d);

#endif
