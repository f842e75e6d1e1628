/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/base/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "disco/clock.h"

#define WIDTH	  40u
#define REDRAW_NS 100000000u

void progress_start(struct progress *p, const char *what, uint64_t total)
{
	*p = (struct progress){ .what = what,
				.total = total ? total : 1,
				.shown = isatty(STDERR_FILENO) };
}

void progress_show(struct progress *p, uint64_t done)
{
	char bar[WIDTH + 1];
	uint64_t now;
	double part;
	unsigned n;

	if (!p->shown)
		return;
	now = clock_now_ns();
	if (p->drawn && now - p->last_ns < REDRAW_NS)
		return;
	p->last_ns = now;
	p->drawn = true;
	part = (double)min_u64(done, p->total) / (double)p->total;
	n = (unsigned)(part * WIDTH);
	memset(bar, ' ', WIDTH);
	memset(bar, '#', n);
	bar[WIDTH] = '\0';
	(void)fprintf(stderr, "\r%s [%s] %3.0f %%", p->what, bar, part * 100);
	(void)fflush(stderr);
}

void progress_end(struct progress *p)
{
	if (p->drawn)
		(void)fprintf(stderr, "\r\033[K");
	p->drawn = false;
}
