/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `disco monitor`: control in the background. One thread, one loop; what
 * could make it wait (files, kernels, a start) is done by a child
 * (starter.h), and no answer of a worker is waited for but in the loop.
 *
 * VMs outlive it: when it ends, they go on, and the next one takes them over.
 */
#ifndef DISCO_MONITOR_MONITOR_H
#define DISCO_MONITOR_MONITOR_H

#include "monitor/control/workers/agents.h"
#include "monitor/control/guests/balancer.h"
#include "monitor/control/launch/boot_copies.h"
#include "monitor/control/guests/caches.h"
#include "monitor/control/workers/figures.h"
#include "monitor/control/guests/layers.h"
#include "monitor/control/base/state_dir.h"
#include "monitor/control/console/tap.h"
#include "monitor/control/workers/vm_watch.h"
#include "monitor/control/workers/worker_code.h"

#define MONITOR_MAX_GUESTS 1024u /* running */
#define MONITOR_MAX_ENDED  64u	 /* whose end is remembered */

struct api;
struct move;
struct starter;

/* What has held a VM up. */
enum guest_stall {
	GUEST_STALL_BATCH = 0, /* a call of move_pages(2) */
	GUEST_STALL_PARKED,    /* its vCPUs were kept out of the guest */
	GUEST_NR_STALLS
};

/* A VM of the monitor. */
struct guest {
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
	struct balancer_guest balance;
	struct guest_cache cache;
	struct guest_layers layers;
	bool adopted;
	bool ended;
	char message[512]; /* how it ended, one line; "": powered off */
};

struct monitor_settings {
	uint64_t balance_ns; /* see balancer_create() */
	uint64_t stall_ns;   /* of moves that do not say, 1 .. _NS_MAX */
	struct cache_limit cache;
	uint64_t merge_ns; /* between looks for equal pages; 0: none */
};

struct monitor {
	struct monitor_settings settings;
	struct watcher watcher;
	struct state_dir state;
	struct guest *guests, *dead; /* dead: freed after the loop's turn */
	unsigned nr_running, nr_ended;
	uint64_t last_id;
	struct starter *starters;
	struct topology topology; /* as it was found at the start; free_bytes
				   * as of the last look at it */
	struct worker_code code;
	struct agents agents;
	struct boot_copies boots;
	struct caches caches;
	struct layer_set *layer_sets;
	struct move *move; /* under way; NULL: none */
	struct balancer balancer;
	struct api *api;
	struct loop_watch signals;
	bool leave;
	bool reap; /* a child has died: perhaps one that nobody waits for */
	uint64_t notify_every_ns, notify_at_ns; /* systemd's watchdog; 0: no */
};

/**
 * monitor_main() - `disco monitor`
 * Context: main thread. Return: exit status; -errno with @d filled.
 */
MUST_CHECK int monitor_main(int argc, char **argv, struct diag *d);

/**
 * monitor_create() - state directory, lock, worker program, signals, API
 * @m: filled, success or not; release with monitor_destroy()
 * @s: copied
 *
 * Takes over the guests that run. Return: 0; -errno of the step that failed.
 */
MUST_CHECK int monitor_create(struct monitor *m,
			      const struct monitor_settings *s, struct diag *d);

/* One turn of the loop. Return: 0; -errno of epoll. */
MUST_CHECK int monitor_turn(struct monitor *m);

/* Guests go on. NULL, all-zero and half-built are fine. */
void monitor_destroy(struct monitor *m);

/* The newest of that name, or NULL. */
struct guest *monitor_find(const struct monitor *m, const char *name);

/**
 * monitor_add() - a running worker becomes a guest
 * @w: the guest's from now on, success or not
 *
 * An ended guest of the same name is forgotten.
 * Return: 0; -ENOMEM, and the worker was killed.
 */
MUST_CHECK int monitor_add(struct monitor *m, const struct vm_record *r,
			   const struct worker *w, bool adopted,
			   struct guest **out);

/* Say what became of a guest that ended while nobody watched. */
void monitor_add_lost(struct monitor *m, const struct vm_record *r,
		      const char *why);

/* "starting" and the like, for people and JSON. */
const char *guest_state(const struct guest *g);

#endif
