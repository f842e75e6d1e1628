/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Input that was typed and that the guest has not taken yet, on its way to the
 * socket of the guest's console. All-zero is empty.
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

/* Number of bytes that typed_add() takes now, 0 .. TYPED_MAX. */
size_t typed_room(const struct typed *t);

/* Return: number of bytes taken, 0 .. @n. */
size_t typed_add(struct typed *t, const void *bytes, size_t n);

/* Send as much as @fd takes; all is dropped if its other end is closed. */
void typed_give(struct typed *t, int fd);

/* Is any input left? */
bool typed_waits(const struct typed *t);

#endif
