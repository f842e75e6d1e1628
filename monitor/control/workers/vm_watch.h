/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One VM under watch: its worker's messages, events and death. Who watches is
 * `disco run` (supervise.c) or the monitor (monitor.c); what they do when
 * something happens is theirs.
 */
#ifndef DISCO_MONITOR_VM_WATCH_H
#define DISCO_MONITOR_VM_WATCH_H

#include "monitor/control/base/loop.h"
#include "monitor/control/base/sink.h"
#include "monitor/control/run/supervise.h"

/* One thread. Outlives the VMs that it watches. */
struct watcher {
	struct loop loop;
	struct sink err; /* where messages go */
	/*
	 * The worker is dead and reaped; figures and status are filled, all
	 * descriptors are still open. Not NULL.
	 */
	void (*ended)(struct watcher *w, struct vm_watch *vm);
	/* An event that made sense, after it was noted; may be NULL. */
	void (*heard)(struct watcher *w, struct vm_watch *vm,
		      const struct worker_event *ev);
};

/**
 * vm_watch_start() - watch a VM and its worker
 * @vm: its worker runs; handlers keep the pointer
 *
 * The console is not touched.
 */
void vm_watch_start(struct watcher *w, struct vm_watch *vm);

/* Before w->loop goes away. The worker stays as it is. */
void vm_watch_stop(struct vm_watch *vm);

/* "disco: NAME: TEXT" on standard error; @text is clean. */
void vm_watch_tell(const struct vm_watch *vm, const char *text);

/* Send a request; false: the worker does not read, or is gone. */
bool vm_watch_request(const struct vm_watch *vm, enum worker_request_kind kind);

/* Ask the guest to stop; its worker is killed after STOP_GRACE_NS. */
void vm_watch_ask_stop(struct vm_watch *vm);

/* Kill the worker when it still runs then; an earlier time stands. */
void vm_watch_kill_in(struct vm_watch *vm, uint64_t ns_from_now);

/* The time set by vm_watch_kill_in() may have come: see to it. */
void vm_watch_kill_late(struct vm_watch *vm, uint64_t now_ns);

/* The sink takes messages again: hear those of a living worker. */
void vm_watch_log(struct vm_watch *vm);

#endif
