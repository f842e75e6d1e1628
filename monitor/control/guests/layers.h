/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control's part in the merging of equal pages. VMs that ask for it
 * (--memory ...,merge), were started from the same kernel and initial RAM disk,
 * live on the same node and are of one group share what they have in common
 * beyond disks: a kernel patches most of its text at boot, and each guest's
 * copy of a patched page is the same.
 *
 *	set	such VMs: (boot image, group, node, bytes of memory looked at)
 *	layer	frames of one VM whose contents it has more than once, or
 *		another VM of the set has too, as it gave them, each content
 *		once; sealed, so that nobody can change it
 *
 * A VM is looked at every monitor_settings.merge_ns: it says its sums
 * (WORKER_REQ_SUM). Those that were the same at the look before are compared:
 * first with the layers of its set, and it gets the one that holds most of them
 * (_SHARE), and so on; then with those of other VMs: if that is worth it, it
 * gives a layer (_GIVE), and all of the set are looked at soon. If it is not,
 * with each other: a layer of what only it has, several times, is for itself
 * alone. A look that changes nothing doubles the time to the next one,
 * LAYERS_IDLE times at most.
 *
 * Sums are hints: a worker shows a frame of a layer only where its guest has
 * the same bytes, and gives only what still has the sum that it said. So a
 * worker that lies about its sums, or gives something else, wastes memory of
 * its node (LAYERS_GIVEN layers at most, each time it comes to a node), and
 *reads what a layer holds that has enough of what it says: what at least two
 *others of its group have in common. What only one VM has stays with that one.
 *
 * A layer's memory is there as long as the set, or anybody who has a page of it
 * mapped; of its node by preference, also for VMs that are strict. The first
 * LAYERS_MAX layers of a set are all it ever has.
 *
 * A move makes what is shared the VM's own again; on its new node it is looked
 * at anew. A monitor that takes over knows no layers: what is shared stays so.
 * Workers of another build, and adopted VMs, whose boot image nobody knows,
 * are not merged.
 *
 * Threads: the monitor's.
 * Source: DESIGN, "content-based sharing across VMs, per trust group, opt-in";
 * Waldspurger, Memory Resource Management in VMware ESX Server (OSDI '02) 4.
 */
#ifndef DISCO_MONITOR_LAYERS_H
#define DISCO_MONITOR_LAYERS_H

#include "disco/worker_spec.h"
#include "monitor/ipc/merge_maps.h"
#include "numa/region.h"

#define LAYERS_MERGE_NS 30000000000ull	/* of settings that do not say */
#define LAYERS_IDLE	6u		/* doublings */
#define LAYERS_MAX	MERGE_LAYERS	/* of a set; bits of tried */
#define LAYERS_GIVEN	8u		/* by one VM of it */
#define LAYERS_PAGES	64u		/* that a layer saves, at least */
#define LAYERS_JOB_NS	300000000000ull /* of a worker, at most */

struct guest;
struct layer_set;
struct monitor;

enum layers_job { LAYERS_NONE = 0, LAYERS_SUM, LAYERS_GIVE, LAYERS_SHARE };

/* A VM's part; all-zero is one that was not looked at. */
struct guest_layers {
	struct layer_set *set; /* NULL: not in one */
	uint64_t at_ns;	       /* the next look; 0: not known */
	enum layers_job job;   /* its worker is at */
	bool owed;	       /* an answer that nobody waits for any more */
	uint64_t until_ns;     /* the job's */
	unsigned idle;	       /* looks that changed nothing, in a row */
	unsigned gave;	       /* layers, to the set */
	/* A bit a layer of the set: it was given it since the last look that
	 * was not one of several in a row (again); in vain, ever. */
	uint64_t tried, useless;
	bool again;
	uint64_t *sums; /* of the last look, in order, none twice;
			 * NULL: none, or of what changed since */
	size_t nr_sums;
	int sums_fd;	  /* LAYERS_SUM: for reading */
	int layer, table; /* LAYERS_GIVE: of the new one */
	uint32_t entries; /* LAYERS_GIVE, _SHARE: in the table */
	bool common;	  /* LAYERS_GIVE: it is for others, too */
	unsigned trying;  /* LAYERS_SHARE: which one */
};

/* Time may have come for some. */
void layers_tick(struct monitor *m, uint64_t now);
int layers_timeout_ms(const struct monitor *m, uint64_t now);

/* A worker has said something. */
void layers_heard(struct monitor *m, struct guest *g,
		  const struct worker_event *ev);

/* It is about to move, or has ended: out of its set. Again is fine. */
void layers_leave(struct monitor *m, struct guest *g);

void layers_destroy(struct monitor *m);

#endif
