/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One clear line for whoever has to fix it. A function that can fail because
 * of what it was given takes a `struct diag` and fills it: what, which
 * object, likely cause, what to do next. Only main() prints it and exits.
 */
#ifndef DISCO_DIAG_H
#define DISCO_DIAG_H

#include <stdarg.h>
#include <stdio.h>

#include "disco/base.h"
#include "disco/exit_status.h"

struct diag {
	enum exit_status status; /* ST_OK until something failed */
	char text[512];		 /* one line, no newline at its end */
};

/**
 * diag_fail() - record a failure
 * @d:      not NULL; the first failure recorded stays (later ones are effects)
 * @status: what `disco` will exit with
 * @err:    positive errno to hand back
 *
 * Context: any thread, @d private to it. Return: -@err, always.
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
