/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A diagnostic: one clear line for the person who has to solve the problem. A
 * function that can fail because of its input takes a `struct diag` and fills
 * it with what failed, for which object, the likely cause, and what to do
 * next. Only main() prints it and exits.
 */
#ifndef DISCO_DIAG_H
#define DISCO_DIAG_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "disco/base.h"
#include "disco/exit_status.h"

struct diag {
	enum exit_status status; /* ST_OK until something failed */
	char text[512];		 /* one line, without a newline at its end */
};

/*
 * Append the limit of this process that @err comes from (EMFILE; EFBIG, if
 * there is one): what is at fault is not the file that a line names.
 */
static inline void diag_name_limit(struct diag *d, int err)
{
	size_t len = strlen(d->text), room = sizeof(d->text) - len;
	struct rlimit lim;

	if (strstr(d->text, "ulimit"))
		return;
	if (err == EMFILE && getrlimit(RLIMIT_NOFILE, &lim) == 0)
		(void)snprintf(d->text + len, room,
			       "; %llu open files are allowed (ulimit -n), "
			       "raise the limit",
			       (unsigned long long)lim.rlim_cur);
	if (err == EFBIG && getrlimit(RLIMIT_FSIZE, &lim) == 0 &&
	    lim.rlim_cur != RLIM_INFINITY)
		(void)snprintf(d->text + len, room,
			       "; files of %llu KiB may be written (ulimit -f)"
			       ", raise the limit",
			       (unsigned long long)lim.rlim_cur / 1024);
}

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
	diag_name_limit(d, err);
	return -err;
}

#ifdef __clang_analyzer__
/* It does not look into functions with "...": this is what they return. */
#define diag_fail(d, status, err, ...)                                         \
	((void)diag_fail(d, status, err, __VA_ARGS__), -(err))
#endif

#endif
