/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One VM under supervision: its worker's messages, events and death. Shared
 * by vm_watch.c and supervise.c, private to them.
 */
#ifndef DISCO_MONITOR_VM_WATCH_H
#define DISCO_MONITOR_VM_WATCH_H

#include <signal.h>

#include "monitor/control/keyboard.h"
#include "monitor/control/supervise.h"

/* A run. One thread; lives inside supervise(). */
struct supervisor {
	struct vm *vms;
	unsigned nr, nr_left;
	unsigned stops; /* how often the operator wanted an end */
	struct loop loop;
	struct sink out, err;
	struct console_hub hub;
	struct keyboard keyboard;
	struct loop_watch signals;
	sigset_t old_mask;
	/* With no VM left: do not wait for stdout beyond this; 0: wait. */
	uint64_t leave_at_ns;
};

/**
 * vm_watch_start() - watch a VM and its worker
 * @vm: its worker runs; handlers keep the pointer
 *
 * When the worker dies, figures and status are filled, s->nr_left goes down
 * and the operator is told.
 */
void vm_watch_start(struct supervisor *s, struct vm *vm);

/* Before s->loop goes away. The worker stays as it is. */
void vm_watch_stop(struct vm *vm);

/* "disco: NAME: TEXT" on standard error; @text is clean. */
void vm_tell(const struct vm *vm, const char *text);

/* Kill the worker when it still runs then; an earlier time stands. */
void vm_kill_in(struct vm *vm, uint64_t ns_from_now);

/* Make the messages of living workers heard again; sink's drained(). */
void vm_watch_logs(void *supervisor);

#endif
