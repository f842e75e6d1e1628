/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was typed and the guest has not taken yet: on its way to the socket
 * that is its console. All-zero is empty.
 *
 * Context of all functions: one thread. None blocks.
 */
#ifndef DISCO_MONITOR_TYPED_H
#define DISCO_MONITOR_TYPED_H

#include "disco/base.h"

#define TYPED_MAX 4096u

struct typed {
	size_t head, tail; /* bytes[head .. tail) */
	uint8_t bytes[TYPED_MAX];
};

/* Bytes that typed_add() takes now, 0 .. TYPED_MAX. */
size_t typed_room(const struct typed *t);

/* Return: how many of @n were taken. */
size_t typed_add(struct typed *t, const void *bytes, size_t n);

/* Send what @fd takes; dropped when its other end is closed. */
void typed_give(struct typed *t, int fd);

/* Is any left? */
bool typed_waits(const struct typed *t);

#endif
