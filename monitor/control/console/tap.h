/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's console in the monitor: read always, the last TAP_BYTES kept,
 * shown to whoever attached. A guest never waits for a reader: one that is
 * slower than the guest loses what the ring no longer has. What is typed goes
 * through a small buffer; who types faster than the guest reads is read no
 * further.
 *
 * One thread. Clients that left are freed by tap_sweep(), after the turn of
 * the loop in which they did.
 */
#ifndef DISCO_MONITOR_TAP_H
#define DISCO_MONITOR_TAP_H

#include <sys/queue.h>

#include "monitor/control/base/loop.h"
#include "monitor/control/console/typed.h"

#define TAP_BYTES	65536u /* what a new client is shown again */
#define TAP_MAX_CLIENTS 8u

struct tap_client;

struct tap {
	struct loop *loop;
	struct loop_watch watch; /* the worker's console socket */
	bool ended;		 /* no byte will follow */
	LIST_HEAD(tap_clients, tap_client) clients, left;
	unsigned nr_clients;
	uint64_t head; /* bytes ever read; ring[head % TAP_BYTES] is next */
	struct typed typed;
	uint8_t ring[TAP_BYTES]; /* last: tap_open() leaves it as it is */
};

/* @fd: non-blocking stream socket, the caller's, outlives the tap. */
void tap_open(struct tap *t, struct loop *loop, int fd);

/* The worker is dead: read the rest; clients leave when they have seen all. */
void tap_end(struct tap *t);

/* Every client leaves at once. NULL and all-zero are fine. */
void tap_close(struct tap *t);

/**
 * tap_attach() - show the console to a socket, from what is kept on
 * @fd:   stream socket; used until @left() was called, never closed here
 * @left: called once, in the loop or in tap_close(): the client hung up, or
 *        the guest ended and all was shown; not NULL
 *
 * Return: 0; -EBUSY TAP_MAX_CLIENTS are there; -ENOMEM.
 */
MUST_CHECK int tap_attach(struct tap *t, int fd, void (*left)(void *arg),
			  void *arg);

/* Give bytes to the guest; what has no room is lost. */
void tap_type(struct tap *t, const void *bytes, size_t n);

/* Free clients that left. Outside of the loop's turn. */
void tap_sweep(struct tap *t);

#endif
