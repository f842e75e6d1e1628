/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry of the monitor's VMs, and struct monitor, which the parts of the
 * monitor share.
 *
 * The parts (starter, adopt, move, balancer, caches, layers, the API) get the
 * monitor as an argument and reach each other only through its pointers. The
 * registry depends on none of them: struct guests_ops, which monitor.c fills,
 * has the functions to call when a guest is added, ends, or sends an event. The
 * data that a part keeps per guest is behind a pointer in struct guest. It ends
 * with the guest or with the part, whichever ends first.
 *
 * A guest exists as long as its worker. After that it is remembered as ended
 * until MONITOR_MAX_ENDED others have ended, or its name is used again.
 * guests_sweep() frees it after the turn of the loop, so handlers of one turn
 * may keep pointers to it; across turns they keep its id.
 *
 * Context of all functions: the monitor's thread.
 */
#ifndef DISCO_MONITOR_GUESTS_H
#define DISCO_MONITOR_GUESTS_H

#include "disco/config.h"
#include "monitor/control/base/state_dir.h"
#include "monitor/control/console/tap.h"
#include "monitor/control/launch/boot_copies.h"
#include "monitor/control/nets/nets.h"
#include "monitor/control/segments/segments.h"
#include "monitor/control/placer/placer.h"
#include "monitor/control/workers/agents.h"
#include "monitor/control/workers/figures.h"
#include "monitor/control/workers/vm_watch.h"
#include "monitor/control/workers/worker_code.h"
#include "numa/topology.h"

#define MONITOR_MAX_GUESTS 1024u /* running */
#define MONITOR_MAX_ENDED  64u	 /* whose end is remembered */

struct monitor;

/* Data of the parts: for all guests, and per guest. */
struct balancer;
struct caches;
struct layers;
struct move;
struct starter;
struct balancer_guest;
struct guest_cache;
struct guest_layers;
struct ga;
struct ga_session;

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
	struct guest *next;   /* in the order of guest_add() */
	uint64_t id;	      /* used once, unlike a name */
	uint64_t asked_ns;    /* last request of statistics; 0: none */
	uint64_t stats_ns;    /* last statistics received; 0: none */
	uint64_t exact_id;    /* last request of exact ones; 0: none */
	uint64_t exact_ns;    /* when it was answered; 0: it was not */
	uint64_t boot_origin; /* see boot_copies.h; 0: not known */
	uint64_t moves, moved_pages;
	uint64_t vcpu_moves;			   /* of single vCPUs */
	uint64_t longest_stall_ns;		   /* of all its moves */
	struct stall_hist stalls[GUEST_NR_STALLS]; /* by this monitor's moves */
	struct balancer_guest *balance;		   /* NULL: not measured yet */
	struct guest_cache *cache;		   /* NULL: has none */
	struct guest_layers *layers;		   /* NULL: not merged */
	/*
	 * Its configuration: disco.json(5) of this VM alone; owned. NULL: not
	 * known, as an earlier version of disco has started it.
	 */
	char *config;
	/* Written by restart.c, and handed on to the next guest of its name. */
	struct {
		enum restart_policy policy; /* by @config */
		bool off;	   /* stopped or killed: never by @policy */
		bool wanted;	   /* by the operator, when it has ended */
		uint64_t delay_ns; /* before the last start */
		struct loop_timer timer; /* before the next one */
		bool starting;		 /* the start is under way */
	} restart;
	struct ga *ga;		     /* exec/ga.h; NULL: not used; owned */
	struct ga_session *sessions; /* exec/ga_session.h: of clients */
	unsigned stream_sets;	     /* those in use by sessions */
	struct net_ports ports;	     /* of its networks */
	struct segment_uses uses;    /* of its segments */
	/*
	 * What its worker is to sample, and has not been told yet, as it did
	 * not read: the timer is armed then. Written by guests.c only.
	 */
	struct {
		struct worker_req_sample wanted;
		struct loop_timer timer;
	} sample;
	bool adopted;
	bool moving; /* a move to another node is under way */
	bool ended;
	bool restarting;   /* it has ended, and is started again */
	char message[512]; /* how it ended, one line; "": powered off */
};

/*
 * Called when something happens to a guest: by the loop, and added() by
 * guest_add(). None is NULL.
 */
struct guests_ops {
	/* The guest's worker is watched from now on. */
	void (*added)(struct monitor *m, struct guest *g);
	/* The guest's worker is dead, and g->ended is set. */
	void (*ended)(struct monitor *m, struct guest *g);
	/*
	 * The guest was added by guest_add_lost(): it had ended when no monitor
	 * ran, and nothing else was called for it.
	 */
	void (*lost)(struct monitor *m, struct guest *g);
	/*
	 * The guest's worker has sent @ev, which was checked; vm_watch.c has
	 * handled its own part of it.
	 */
	void (*heard)(struct monitor *m, struct guest *g,
		      const struct worker_event *ev);
	/*
	 * Ask the agent in the guest to shut it down. Return: false: none
	 * answers. May be NULL.
	 */
	bool (*ask_agent)(struct guest *g);
};

/* What the parts of the monitor share. guests_create() initialises it. */
struct monitor {
	struct watcher watcher; /* the loop, and where messages go */
	struct state_dir state;
	/* As found at the start; free_bytes as read last. */
	struct topology topology;
	struct worker_code code;
	struct agents agents; /* monitor.c creates and destroys them */
	struct boot_copies boots;
	uint64_t stall_ns; /* bound of moves that have none of their own */
	bool merges;	   /* VMs that ask for it share equal pages */

	/* Written by guests.c only. */
	const struct guests_ops *ops;
	struct guest *guests, *dead; /* dead: freed by guests_sweep() */
	unsigned nr_running, nr_ended;
	uint64_t last_id;
	struct ga_session *dead_sessions; /* see ga_sessions_sweep() */

	/*
	 * Created and destroyed by functions of their own headers; NULL before
	 * and after that.
	 */
	struct starter *starters; /* under way */
	struct move *move;	  /* under way; NULL: none */
	struct balancer *balancer;
	struct caches *caches;
	struct layers *layers;
	struct placer *placer;
	struct nets *nets;
	struct segments *segments;
};

/**
 * guests_create() - create a registry without guests
 * @m:   filled, success or not; release with guests_destroy()
 * @ops: outlives @m
 * @d:   out on error: the reason
 *
 * Opens and locks the state directory, copies the worker program, and creates
 * the loop. Return: 0; -errno of the step that failed.
 */
MUST_CHECK int guests_create(struct monitor *m, const struct guests_ops *ops,
			     struct diag *d);

/*
 * Remove all guests from the registry. Their workers go on; clients of their
 * consoles are disconnected.
 */
void guests_leave(struct monitor *m);

/*
 * Release the registry after its parts and the agents were destroyed. NULL and
 * half-built are accepted.
 */
void guests_destroy(struct monitor *m);

/* After a turn of the loop: free removed guests and clients of consoles. */
void guests_sweep(struct monitor *m);

/* Return: true if process @pid is the worker of a guest. */
bool guests_know(const struct monitor *m, pid_t pid);

/* Return: the newest guest of that name, or NULL. */
struct guest *guest_find(const struct monitor *m, const char *name);

/* Return: the guest whose g->id is @id, or NULL. */
struct guest *guest_find_id(const struct monitor *m, uint64_t id);

/**
 * guest_add() - make a running worker a guest
 * @r:       copied
 * @w:       owned by the registry from now on, success or not
 * @adopted: the worker was taken over from an earlier monitor
 * @out:     owned by the registry; untouched on error
 *
 * An ended guest of the same name is removed. Return: 0; -ENOMEM, and the
 * worker was killed.
 */
MUST_CHECK int guest_add(struct monitor *m, const struct vm_record *r,
			 const struct worker *w, bool adopted,
			 struct guest **out);

/*
 * Add a guest that ended while no monitor ran, and report @why it did. Its files
 * in the state directory are removed, unless it is started again.
 */
void guest_add_lost(struct monitor *m, const struct vm_record *r,
		    const char *why);

/* Read the configuration of a guest from @text, which it owns from now on. */
void guest_set_config(struct guest *g, char *text);

/**
 * guest_stop() - ask a guest to shut down, and end it if it does not
 * @limit_s: as of shutdown_begin()
 *
 * A guest that has halted for ever, or has panicked, is ended at once. No effect
 * on one that has ended.
 */
void guest_stop(struct guest *g, unsigned limit_s);

/*
 * The ledger: set promised_bytes of m->topology by the strict guests that run,
 * and read how much memory is free. Whoever is about to promise more calls this
 * first.
 */
void guests_count_promises(struct monitor *m);

/*
 * Place the pages of a guest that runs, by the policy of its record, at the home
 * that its record has now.
 */
void guest_place(struct guest *g);

/* No more, until the next guest_place(): as it is about to move. */
void guest_unplace(struct guest *g);

/*
 * A worker that was taken over may sample accesses as the last monitor wanted:
 * end that, unless this one wants it too.
 */
void guest_unsample(struct guest *g);

/*
 * The record's nodes were changed: what is shown of the guest, and which of its
 * pages are local, follows.
 */
void guest_nodes_changed(struct guest *g);

/**
 * guest_pin_vcpu() - let a vCPU's thread run on a node's CPUs
 * @node: a node of the monitor's topology; for one without CPUs those of
 *        topology_cpus_near()
 *
 * The record stays as it is. Return: 0; -ESRCH the thread is not known, or is
 * no thread of the worker; -ENODEV no such node; errors of node_run_task_on().
 */
MUST_CHECK int guest_pin_vcpu(const struct guest *g, unsigned vcpu,
			      nodeid_t node);

/*
 * Pin the vCPUs of a wide guest to the nodes of its record. Those that cannot be
 * stay where they are. No effect on a guest of one node.
 */
void guest_pin_vcpus(const struct guest *g);

/* Return: a word such as "starting", for people and JSON. */
const char *guest_state(const struct guest *g);

#endif
