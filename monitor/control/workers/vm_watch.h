/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches one VM: its worker's messages, events and death. `disco run`
 * (supervise.c) and the registry of the monitor (guests.c) use it, and decide
 * what follows from an event.
 *
 * Context of all functions: the thread of the watcher's loop.
 */
#ifndef DISCO_MONITOR_VM_WATCH_H
#define DISCO_MONITOR_VM_WATCH_H

#include "disco/config.h"
#include "monitor/control/base/loop.h"
#include "monitor/control/base/sink.h"
#include "monitor/control/disks/disk_locks.h"
#include "monitor/control/workers/outcome.h"
#include "monitor/control/workers/spawn.h"
#include "numa/node_list.h"

#define STOP_GRACE_NS 2000000000ull  /* from WORKER_REQ_STOP to SIGKILL */
#define END_GRACE_NS  10000000000ull /* from WORKER_STOPPED to SIGKILL */
#define FREE_GRACE_NS 4000000000ull  /* from its end until its disks are free */
#define LOG_MAX_LINES 1000u /* a guest may cause its worker endless messages */
#define LOG_LINE_MAX  512u  /* bytes of a worker's own message */

/* Figures of a VM, as its worker reported them last; 0: not reported. */
struct vm_figures {
	enum exit_status status;
	uint64_t mark_ns; /* from spawn to the mark on the console */
	uint64_t wall_ns; /* from spawn to the worker's end */
	uint64_t cpu_ns_before_first_run;
	uint64_t cpu_ns;
	uint64_t ram_pages; /* and the figures below: as old as ram_ns says */
	uint64_t ram_pages_local; /* on its node, or on those of a wide VM */
	struct worker_node_pages ram_on[MAX_NODES]; /* by node; 0 pages: none */
	uint64_t ram_ns; /* when they were true (clock_now_ns()); 0: never */
	bool ram_exact;	 /* all pages were looked at */
	uint64_t private_bytes;
	uint64_t exits;
	uint64_t text_pages;
	uint64_t text_pages_local;
	unsigned nr_views;	       /* 0: it has no views */
	uint64_t sent[WORKER_NR_SENT]; /* between them, by enum worker_sent */
	/* Copies of pages that views show, as in struct worker_usage. */
	uint64_t copies_limit; /* 0: none */
	struct worker_copies copies[VM_MAX_VIEWS];
	uint64_t copied_pages, collapsed, device_waits;
};

struct watcher;

struct vm_watch {
	const char *name; /* not owned, outlives the watch */
	nodeid_t node;
	struct node_list
		nodes;	      /* of a wide VM: where its vCPUs are; or empty */
	struct worker worker; /* runs before vm_watch_start() */
	struct vm_figures figures;

	/* Written by shutdown.c only. */
	struct {
		bool asked;	  /* the guest was, by button or agent */
		unsigned limit_s; /* as the operator gave it */
		uint64_t end_ns;  /* when the guest is ended */
		struct loop_timer timer;
	} shutdown;

	/* Private to vm_watch.c, except ids, paused and end. */
	struct watcher *watcher;
	struct loop_watch pidfd_watch, control_watch, log_watch;
	struct vm_end end;
	struct loop_timer kill_timer; /* kills the worker */
	/*
	 * From the death of the worker until its disks are free, and it is
	 * known how it ended: looks for both, in intervals that grow.
	 */
	struct loop_timer free_timer;
	struct disk_locks locks;
	uint64_t free_look_ns, free_end_ns;
	bool leaving; /* the worker is dead, and ended() was not called yet */
	bool started;
	uint64_t last_id;   /* last id of a request to the worker */
	uint64_t paused_id; /* id of the last answered _PAUSE or _RESUME */
	bool paused;	    /* as the worker reported last */
	bool kill_sent;	    /* by kill_timer or vm_watch_kill() */
	char text[WORKER_TEXT_BYTES]; /* of WORKER_STOPPED */
	unsigned log_lines;
	size_t log_len;
	char log[LOG_LINE_MAX];
};

/* Outlives the VMs that it watches. */
struct watcher {
	struct loop loop;
	struct sink err; /* where messages go */
	/* process_oom_kills() when a VM was last started or had ended. */
	uint64_t oom_kills;
	/*
	 * A worker is dead and reaped, and its disks are free, or were not
	 * after FREE_GRACE_NS, which was reported. Its figures and status are
	 * filled, and all its descriptors are still open. Not NULL.
	 */
	void (*ended)(struct watcher *w, struct vm_watch *vm);
	/*
	 * A worker has sent @ev, which was checked, and whose figures and state
	 * were stored. May be NULL.
	 */
	void (*heard)(struct watcher *w, struct vm_watch *vm,
		      const struct worker_event *ev);
	/*
	 * Where a guest agent is asked to shut its guest down, before the power
	 * button is pressed (shutdown.h). Return: false: none answers, so press
	 * the button now. If true, it is pressed SHUTDOWN_AGAIN_NS later. NULL:
	 * there are no agents.
	 */
	bool (*ask_agent)(struct watcher *w, struct vm_watch *vm);
};

/**
 * vm_watch_start() - watch a VM and its worker
 * @vm: its worker runs; handlers keep the pointer until vm_watch_stop()
 *
 * The console is left to the caller.
 */
void vm_watch_start(struct watcher *w, struct vm_watch *vm);

/*
 * The nodes of @vm were changed: count anew which pages are local, by the
 * figures that were received last.
 */
void vm_watch_count_local(struct vm_watch *vm);

/* Stop watching, before w->loop is destroyed. The worker goes on. */
void vm_watch_stop(struct vm_watch *vm);

/* Print "disco: NAME: TEXT" on w->err; @text was checked by text_clean(). */
void vm_watch_tell(const struct vm_watch *vm, const char *text);

/**
 * vm_watch_send() - send a request to the worker, without blocking
 * @r:   its id is set, larger than that of any earlier request; the answer has
 *       the same id
 * @fds: descriptors of the kind (worker_proto.h), duplicated; NULL: the kind has
 *       none
 *
 * Return: 0; errors of worker_request_send(): -EAGAIN the worker does not read;
 * -EPIPE the worker has closed its end; -EINVAL; -errno of sendmsg().
 */
MUST_CHECK int vm_watch_send(struct vm_watch *vm, struct worker_request *r,
			     const int *fds);

/* Send a request that has only a kind. Return: true if it was sent. */
bool vm_watch_request(struct vm_watch *vm, enum worker_request_kind kind);

/*
 * End the guest, whatever it does: the worker ends it, and is killed after
 * STOP_GRACE_NS. See shutdown.h for asking the guest.
 */
void vm_watch_ask_stop(struct vm_watch *vm);

/* Kill the worker if it still runs then; an earlier deadline stays. */
void vm_watch_kill_in(struct vm_watch *vm, uint64_t ns_from_now);

/* Kill the worker now, as by a deadline; no effect if it is dead. */
void vm_watch_kill(struct vm_watch *vm);

/* The sink accepts messages again: read those of a living worker. */
void vm_watch_log(struct vm_watch *vm);

#endif
