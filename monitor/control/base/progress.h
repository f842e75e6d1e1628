/* SPDX-License-Identifier: BSD-2-Clause */
/* A bar on standard error, when that is a terminal. */
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
/* @done of the total; draws ten times a second at most. */
void progress_show(struct progress *p, uint64_t done);
/* Takes the bar away. */
void progress_end(struct progress *p);

#endif
