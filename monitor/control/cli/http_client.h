/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Client of the monitor's API: one HTTP/1.1 request per connection to its Unix
 * socket. libcurl is not used, because every `disco run` would load 30 libraries
 * for these few functions, and because it cannot upgrade to a console.
 *
 * Context of all functions: any thread; they block for at most HTTP_WAIT_S,
 * HTTP_START_S (a start), HTTP_MOVE_S (a move) or HTTP_EXACT_S (exact figures).
 */
#ifndef DISCO_MONITOR_HTTP_CLIENT_H
#define DISCO_MONITOR_HTTP_CLIENT_H

#include <jansson.h>

#include "monitor/control/base/state_dir.h"

/* Figures of all VMs: 20 KiB for one of 64 virtual CPUs, and 1088 VMs. */
#define HTTP_ANSWER_MAX MIB(32)
#define HTTP_WAIT_S	10u   /* wait for an answer */
#define HTTP_START_S	3600u /* wait for the answer to a start */
#define HTTP_MOVE_S	3600u /* wait for the answer to a move */
#define HTTP_EXACT_S	610u  /* wait for exact figures */

/**
 * http_call() - send one request and receive its answer
 * @body: JSON; NULL: none
 * @text: out, the answer's body, malloc'ed, NUL-terminated; untouched on error
 * @d:    out on error: ST_NO_MONITOR if no monitor answers; else the line and
 *        the status that the monitor sent
 *
 * Return: 0 the status is 2xx; -ECONNREFUSED, -ENOENT no monitor; -EPROTO
 * invalid answer; -EREMOTEIO the monitor refused the request; -ENOMEM.
 */
MUST_CHECK int http_call(const char *method, const char *path, const char *body,
			 char **text, struct diag *d);

/* http_call() with a JSON answer; release @out with json_decref(). */
MUST_CHECK int http_json(const char *method, const char *path, const char *body,
			 json_t **out, struct diag *d);

/**
 * http_upgrade() - GET @path, and change to another protocol
 * @fd: out, the connection, owned by the caller; the next byte that is read from
 *      it is the first one of the protocol; untouched on error
 *
 * Return: 0; errors of http_call().
 */
MUST_CHECK int http_upgrade(const char *path, const char *protocol, int *fd,
			    struct diag *d);

#endif
