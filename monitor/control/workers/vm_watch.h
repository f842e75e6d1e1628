/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One VM under watch: its worker's messages, events and death. Who watches is
 * `disco run` (supervise.c) or the monitor (monitor.c); what they do when
 * something happens is theirs.
 */
#ifndef DISCO_MONITOR_VM_WATCH_H
#define DISCO_MONITOR_VM_WATCH_H

#include "disco/config.h"
#include "monitor/control/base/loop.h"
#include "monitor/control/base/sink.h"
#include "monitor/control/workers/outcome.h"
#include "monitor/control/workers/spawn.h"

#define STOP_GRACE_NS 2000000000ull  /* from "stop" to SIGKILL */
#define END_GRACE_NS  10000000000ull /* from a worker's last word to SIGKILL */
#define LOG_MAX_LINES 1000u /* a guest may make its worker complain for ever */
#define LOG_LINE_MAX  512u  /* bytes of a worker's own message */

/* What is known of a VM that has ended; 0 where nothing was said. */
struct vm_figures {
	enum exit_status status;
	uint64_t mark_ns; /* from spawn to the mark on the console */
	uint64_t wall_ns; /* from spawn to the worker's end */
	uint64_t cpu_ns_before_first_run;
	uint64_t cpu_ns;
	uint64_t ram_pages;
	uint64_t ram_pages_local;
	uint64_t private_bytes;
	uint64_t exits;
	uint64_t text_pages;
	uint64_t text_pages_local;
};

struct watcher;

struct vm_watch {
	const char *name; /* owned by the configuration */
	nodeid_t node;
	struct worker worker; /* running when vm_watch_start() gets it */
	struct vm_figures figures;

	/* Private to vm_watch.c, but ids, paused and end. */
	struct watcher *watcher;
	struct loop_watch pidfd_watch, control_watch, log_watch;
	struct vm_end end;
	struct loop_timer kill_timer; /* its worker has until then */
	bool started;
	uint64_t last_id;   /* of requests to its worker */
	uint64_t paused_id; /* of the last answered _PAUSE or _RESUME */
	bool paused;	    /* as its worker said last */
	bool kill_sent;	    /* as its time was over, or by vm_watch_kill() */
	char text[WORKER_TEXT_BYTES]; /* last words */
	unsigned log_lines;
	size_t log_len;
	char log[LOG_LINE_MAX];
};

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

/**
 * vm_watch_send() - send a request
 * @r:   .id is set, larger than in any request before: of its answer, too
 * @fds: those of its kind (worker_proto.h), copied; NULL: the kind has none
 *
 * Return: 0; -EAGAIN the worker does not read; -EPIPE it is gone; -EINVAL,
 * -errno of worker_request_send().
 */
MUST_CHECK int vm_watch_send(struct vm_watch *vm, struct worker_request *r,
			     const int *fds);

/* Send one that has nothing but its kind; false: it was not sent. */
bool vm_watch_request(struct vm_watch *vm, enum worker_request_kind kind);

/* Ask the guest to stop; its worker is killed after STOP_GRACE_NS. */
void vm_watch_ask_stop(struct vm_watch *vm);

/* Kill the worker when it still runs then; an earlier time stands. */
void vm_watch_kill_in(struct vm_watch *vm, uint64_t ns_from_now);

/* Kill the worker, as if its time were over. One that is dead is no error. */
void vm_watch_kill(struct vm_watch *vm);

/* The sink takes messages again: hear those of a living worker. */
void vm_watch_log(struct vm_watch *vm);

#endif
