/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks a guest to shut down, waits, and ends it when it does not. `disco run`
 * (supervise.c) and the monitor (guests.c) use it.
 *
 *	running --begin--> asked --the guest's own end-------------> dead
 *	                     |  ^
 *	                     |  `-- every SHUTDOWN_AGAIN_NS: asked again
 *	                     `--limit--> vm_watch_ask_stop() -------> dead
 *
 * A guest is asked again, because one that boots has no driver for its power
 * button yet, and a press is lost then. One that shuts down already ignores it:
 * logind and busybox's acpid do, and Linux handles each press as a key stroke.
 *
 * Context of all functions: the thread of the watcher's loop.
 */
#ifndef DISCO_MONITOR_SHUTDOWN_H
#define DISCO_MONITOR_SHUTDOWN_H

#include "monitor/control/workers/vm_watch.h"

#define SHUTDOWN_LIMIT_S  60u		/* unless the operator says otherwise */
#define SHUTDOWN_MAX_S	  86400u	/* the longest limit */
#define SHUTDOWN_AGAIN_NS 5000000000ull /* between two presses */

/**
 * shutdown_begin() - ask a guest to shut down
 * @limit_s: seconds until it is ended, 0 .. SHUTDOWN_MAX_S; 0: at once, and it
 *           is not asked
 *
 * A paused guest is resumed, as it could do nothing otherwise. If it was asked
 * before, it is asked again, and @limit_s counts from now. No effect on a VM
 * whose worker is dead, or which is being ended already.
 */
void shutdown_begin(struct vm_watch *vm, unsigned limit_s);

/* Milliseconds until it is ended; 0: it is being ended; -1: it was not asked. */
int64_t shutdown_left_ms(const struct vm_watch *vm, uint64_t now_ns);

#endif
