/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry of the monitor's VMs, and struct monitor, what its parts share.
 *
 * Parts (starter, adopt, move, balancer, caches, layers, the API) are given
 * the monitor and reach each other through its pointers only. The registry
 * knows none of them: what they have to do when a guest comes, ends or sends
 * something stands in struct guests_ops, which monitor.c fills. What a part
 * keeps per guest is behind a pointer in struct guest, and ends with the guest
 * or with the part, whichever is first.
 *
 * A guest lives as long as its worker, and is remembered as ended until
 * MONITOR_MAX_ENDED others have ended or its name is used again. It is freed
 * by guests_sweep(), so that handlers of one turn of the loop may keep
 * pointers; across turns its id is kept.
 *
 * One thread.
 */
#ifndef DISCO_MONITOR_GUESTS_H
#define DISCO_MONITOR_GUESTS_H

#include "monitor/control/base/state_dir.h"
#include "monitor/control/console/tap.h"
#include "monitor/control/launch/boot_copies.h"
#include "monitor/control/workers/agents.h"
#include "monitor/control/workers/figures.h"
#include "monitor/control/workers/vm_watch.h"
#include "monitor/control/workers/worker_code.h"
#include "numa/topology.h"

#define MONITOR_MAX_GUESTS 1024u /* running */
#define MONITOR_MAX_ENDED  64u	 /* whose end is remembered */

struct monitor;

/* Each part's own: for all guests, and per guest. */
struct balancer;
struct caches;
struct layers;
struct move;
struct starter;
struct balancer_guest;
struct guest_cache;
struct guest_layers;

/* What has held a VM up. */
enum guest_stall {
	GUEST_STALL_BATCH = 0, /* a call of move_pages(2) */
	GUEST_STALL_PARKED,    /* its vCPUs were kept out of the guest */
	GUEST_NR_STALLS
};

/* A VM of the monitor. */
struct guest {
	struct monitor *m;
	struct vm_watch vm; /* its name is record.name */
	struct vm_record record;
	struct tap tap;
	struct figures_view figures;
	struct guest *next;   /* older ones first */
	uint64_t id;	      /* never used again, unlike a name */
	uint64_t asked_ns;    /* statistics: asked for; 0: never */
	uint64_t stats_ns;    /* statistics: last heard; 0: never */
	uint64_t boot_origin; /* see boot_copies.h; 0: not known */
	uint64_t moves, moved_pages;
	uint64_t longest_stall_ns;		   /* of all its moves */
	struct stall_hist stalls[GUEST_NR_STALLS]; /* by this monitor's moves */
	struct balancer_guest *balance;		   /* NULL: not measured yet */
	struct guest_cache *cache;		   /* NULL: without */
	struct guest_layers *layers;		   /* NULL: is not merged */
	bool adopted;
	bool moving; /* to another node, now */
	bool ended;
	char message[512]; /* how it ended, one line; "": powered off */
};

/* What happens to guests. Not NULL; called in the loop, and by guest_add(). */
struct guests_ops {
	/* Its worker is watched from now on. */
	void (*added)(struct monitor *m, struct guest *g);
	/* Its worker is dead, and g->ended is set. */
	void (*ended)(struct monitor *m, struct guest *g);
	/* Its worker has sent this, checked; vm_watch.c has noted it. */
	void (*heard)(struct monitor *m, struct guest *g,
		      const struct worker_event *ev);
};

/* What the parts of the monitor share. All-zero but for descriptors: see
 * guests_create(). */
struct monitor {
	struct watcher watcher; /* the loop, and where messages go */
	struct state_dir state;
	struct topology topology; /* as it was found at the start; free_bytes
				   * as of the last look at it */
	struct worker_code code;
	struct agents agents; /* monitor.c creates and destroys them */
	struct boot_copies boots;
	uint64_t stall_ns; /* of moves that do not say */

	/* Private to guests.c, but for reading. */
	const struct guests_ops *ops;
	struct guest *guests, *dead; /* dead: freed by guests_sweep() */
	unsigned nr_running, nr_ended;
	uint64_t last_id;

	/* Created and destroyed by functions of their headers; NULL: not yet,
	 * or no longer. */
	struct starter *starters; /* under way */
	struct move *move;	  /* under way; NULL: none */
	struct balancer *balancer;
	struct caches *caches;
	struct layers *layers;
};

/**
 * guests_create() - state directory, lock, worker program, loop; no guests
 * @m:   filled, success or not; release with guests_destroy()
 * @ops: outlives @m
 *
 * Context: main thread. Return: 0; -errno of the step that failed, with @d
 * filled.
 */
MUST_CHECK int guests_create(struct monitor *m, const struct guests_ops *ops,
			     struct diag *d);

/* All leave the registry; their workers go on. Clients leave their consoles. */
void guests_leave(struct monitor *m);

/* Parts and agents are destroyed. NULL and half-built are fine. */
void guests_destroy(struct monitor *m);

/* After a turn of the loop: free guests and consoles' clients that are gone. */
void guests_sweep(struct monitor *m);

/* Is this process the worker of a guest? */
bool guests_know(const struct monitor *m, pid_t pid);

/* The newest of that name, or NULL. */
struct guest *guest_find(const struct monitor *m, const char *name);

/* By g->id, or NULL. */
struct guest *guest_find_id(const struct monitor *m, uint64_t id);

/**
 * guest_add() - a running worker becomes a guest
 * @w: the guest's from now on, success or not
 *
 * An ended guest of the same name is forgotten.
 * Return: 0; -ENOMEM, and the worker was killed.
 */
MUST_CHECK int guest_add(struct monitor *m, const struct vm_record *r,
			 const struct worker *w, bool adopted,
			 struct guest **out);

/* Report what became of a guest that ended while nobody watched. */
void guest_add_lost(struct monitor *m, const struct vm_record *r,
		    const char *why);

/* "starting" and the like, for people and JSON. */
const char *guest_state(const struct guest *g);

#endif
