/* SPDX-License-Identifier: BSD-2-Clause */
/* A progress bar on standard error, if that is a terminal. */
#ifndef DISCO_MONITOR_PROGRESS_H
#define DISCO_MONITOR_PROGRESS_H

#include "disco/base.h"

struct progress {
	const char *what;
	uint64_t total, last_ns;
	bool shown; /* a terminal */
	bool drawn;
};

void progress_start(struct progress *p, const char *what, uint64_t total);
/* @done of the total; draws at most ten times per second. */
void progress_show(struct progress *p, uint64_t done);
/* Removes the bar. */
void progress_end(struct progress *p);

#endif
