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
 * A VM is looked at every merge_ns of layers_create(): it says its sums
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

#include "disco/base.h"
#include "monitor/ipc/merge_maps.h"

#define LAYERS_MERGE_NS 30000000000ull	/* of settings that do not say */
#define LAYERS_IDLE	6u		/* doublings */
#define LAYERS_MAX	MERGE_LAYERS	/* of a set; bits of tried */
#define LAYERS_GIVEN	8u		/* by one VM of it */
#define LAYERS_PAGES	64u		/* that a layer saves, at least */
#define LAYERS_JOB_NS	300000000000ull /* of a worker, at most */

struct guest;
struct monitor;
struct worker_event;

/**
 * layers_create() - m->layers, before the first guest
 * @merge_ns: between two looks at a VM; 0: none is merged
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int layers_create(struct monitor *m, uint64_t merge_ns);

/* Guests keep running; none is scanned any more. All-zero is accepted. */
void layers_destroy(struct monitor *m);

/* A worker runs: its first look is planned, if it is to be merged. */
void layers_guest_add(struct monitor *m, struct guest *g);

/* Its worker is dead. Again is fine. */
void layers_guest_remove(struct monitor *m, struct guest *g);

/* It is about to move (g->moving is set): out of its set. */
void layers_leave(struct monitor *m, struct guest *g);

/* It does not move any more, wherever it is now: looks go on. */
void layers_arrived(struct guest *g);

/* A worker has sent something. */
void layers_heard(struct monitor *m, struct guest *g,
		  const struct worker_event *ev);

#endif
