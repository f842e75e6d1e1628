/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections of the API until the head of their request is complete. It is
 * looked at where it is, in the socket, and a connection whose head is good is
 * handed to libmicrohttpd, which reads it anew. There is one request per
 * connection, as that would not show us the head of a second one.
 *
 * Context: one thread.
 */
#ifndef DISCO_MONITOR_API_FRONT_H
#define DISCO_MONITOR_API_FRONT_H

#include "monitor/control/base/loop.h"

struct MHD_Daemon;
struct api_front;

/**
 * api_front_create() - begin to accept connections
 * @listener: owned by the front, also after an error
 * @daemon:   without a listening socket; outlives the front
 * @most:     connections at a time, those of @daemon included; who comes then
 *            waits until one is closed
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int api_front_create(struct loop *loop, int listener,
				struct MHD_Daemon *daemon, unsigned most,
				struct api_front **out);

/* Closes connections that @daemon does not have. NULL is accepted. */
void api_front_destroy(struct api_front *f);

/* After each turn of the loop: are there places again? */
void api_front_turn(struct api_front *f);

#endif
