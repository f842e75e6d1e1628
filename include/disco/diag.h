/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A diagnostic: one clear line for the person who has to solve the problem. A
 * function that can fail because of its input takes a `struct diag` and fills
 * it with what failed, for which object, the likely cause, and what to do
 * next. Only main() prints it and exits.
 */
#ifndef DISCO_DIAG_H
#define DISCO_DIAG_H

#include <stdarg.h>
#include <stdio.h>

#include "disco/base.h"
#include "disco/exit_status.h"

struct diag {
	enum exit_status status; /* ST_OK until something failed */
	char text[512];		 /* one line, without a newline at its end */
};

/**
 * diag_fail() - record a failure
 * @d:      not NULL; keeps the first failure that is recorded, since later
 *          ones are its consequences
 * @status: exit status of `disco`
 * @err:    positive errno to return
 * @fmt:    text of the line
 *
 * Context: any thread, @d private to it. Return: always -@err.
 */
PRINTF(4, 5)
static inline int diag_fail(struct diag *d, enum exit_status status, int err,
			    const char *fmt, ...)
{
	va_list ap;

	if (d->status != ST_OK)
		return -err;
	d->status = status;
	va_start(ap, fmt);
	(void)vsnprintf(d->text, sizeof(d->text), fmt, ap);
	va_end(ap);
	return -err;
}

#endif
