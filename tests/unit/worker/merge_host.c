/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/worker/merge_host.h"

#include <sys/epoll.h>

#include "tests/unit/support.h"

bool merge_disks_rest = true, merge_parked;
unsigned merge_parks;
void (*merge_when_parked)(void *arg);
void *merge_when_parked_arg;

int io_loop_watch(struct io_loop *l, struct io_watch *w, uint32_t events)
{
	(void)l;
	(void)w;
	(void)events;
	return 0;
}

void vm_park(struct vm *vm, uint32_t reason)
{
	(void)vm;
	merge_parked = reason == PARK_MERGE;
	merge_parks++;
	if (merge_when_parked)
		merge_when_parked(merge_when_parked_arg);
}

void vm_unpark(struct vm *vm, uint32_t reason)
{
	(void)vm;
	(void)reason;
	merge_parked = false;
}

bool disks_idle(const struct disks *d)
{
	(void)d;
	return merge_disks_rest;
}

void merge_step(struct merge *g)
{
	if (g->job && wait_readable(g->timer.fd))
		g->timer.ready(&g->timer, EPOLLIN);
}
