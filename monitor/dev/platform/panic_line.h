/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the line by which a Linux kernel says on its console that it has
 * panicked. The line alone proves nothing, because a program of the guest can
 * write it, too: see monitor/worker/vm/standstill.h.
 * Source: Linux kernel/panic.c, panic().
 */
#ifndef DISCO_MONITOR_PANIC_LINE_H
#define DISCO_MONITOR_PANIC_LINE_H

#include "disco/base.h"

#define PANIC_TEXT_BYTES 96u

/* The console of one device. All-zero is one without output. */
struct panic_line {
	unsigned matched;	     /* characters of the line's beginning */
	unsigned len;		     /* of @text */
	char text[PANIC_TEXT_BYTES]; /* why it panicked; NUL-terminated */
};

/**
 * panic_line_feed() - look at the next output of a device
 *
 * Context: one thread at a time. Return: true: such a line has ended, and
 * @p->text is the reason that it gives (one line, printable, may be empty).
 * What follows in @buf has not been looked at; at most one line is found in a
 * call.
 */
MUST_CHECK bool panic_line_feed(struct panic_line *p, const uint8_t *buf,
				size_t len);

#endif
