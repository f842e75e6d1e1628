/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's console in the monitor: it is always read, its last TAP_BYTES are
 * kept, and it is shown to attached clients. A guest never waits for a client:
 * one that is slower than the guest loses the bytes that the ring no longer
 * has. Input goes through a small buffer; a client that types faster than the
 * guest reads is not read until there is room.
 *
 * Context: one thread. tap_sweep() frees clients that have left, after the turn
 * of the loop in which they left.
 */
#ifndef DISCO_MONITOR_TAP_H
#define DISCO_MONITOR_TAP_H

#include <sys/queue.h>

#include "monitor/control/base/loop.h"
#include "monitor/control/console/typed.h"

#define TAP_BYTES	65536u /* output kept for new clients */
#define TAP_MAX_CLIENTS 8u

struct tap_client;

struct tap {
	struct loop *loop;
	struct loop_watch watch; /* the worker's console socket */
	bool ended;		 /* no byte will follow */
	LIST_HEAD(tap_clients, tap_client) clients, left;
	unsigned nr_clients;
	uint64_t head; /* bytes read in total; the next is ring[head % size] */
	struct typed typed;
	uint8_t ring[TAP_BYTES]; /* last member: tap_open() does not clear it */
};

/* @fd: non-blocking stream socket; the caller's; outlives the tap. */
void tap_open(struct tap *t, struct loop *loop, int fd);

/*
 * The worker is dead: read what is left. Clients leave when they have been
 * shown everything.
 */
void tap_end(struct tap *t);

/* All clients leave at once. NULL and all-zero are accepted. */
void tap_close(struct tap *t);

/**
 * tap_attach() - show the console to a client, beginning with the kept output
 * @fd:   stream socket; used until @left() is called, not closed by the tap
 * @left: called once, from the loop or from tap_close(), when the client has
 *        hung up, or when the guest has ended and everything was shown; not
 *        NULL
 * @arg:  passed to @left
 *
 * Return: 0; -EBUSY there are TAP_MAX_CLIENTS already; -ENOMEM.
 */
MUST_CHECK int tap_attach(struct tap *t, int fd, void (*left)(void *arg),
			  void *arg);

/* Pass input to the guest; bytes that have no room are lost. */
void tap_type(struct tap *t, const void *bytes, size_t n);

/* Free the clients that have left. Context: outside of the loop's turn. */
void tap_sweep(struct tap *t);

#endif
