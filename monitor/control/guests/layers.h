/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control's part in the merging of equal pages. VMs that request it (--memory
 * ...,merge), were started from the same kernel and initial RAM disk, are on the
 * same node and belong to one group share the pages that they have in common
 * beyond disks: a kernel patches most of its text at boot, and each guest's copy
 * of a patched page is the same.
 *
 *	set	such VMs; its key is (boot image, group, node, bytes of memory
 *		that are scanned)
 *	layer	frames that one VM has copied: each content once that the VM has
 *		more than once, or that another VM of the set has too. Sealed,
 *		so that nobody can change it
 *
 * A VM is scanned every merge_ns of layers_create(): its worker reports its sums
 * (WORKER_REQ_SUM). Sums that did not change since the previous scan are
 * compared:
 *
 *  1. with the layers of the set: the VM gets the layer that holds most of them
 *     (_SHARE), then the next one;
 *  2. with the sums of other VMs: if enough of them are equal, the VM makes a
 *     layer (_GIVE), and all VMs of the set are scanned soon;
 *  3. otherwise with each other: contents that only this VM has, several times,
 *     become a layer that no other VM gets.
 *
 * A scan that changes nothing doubles the time to the next one, LAYERS_IDLE
 * times at most.
 *
 * Sums are hints: a worker shows a frame of a layer only where its guest has the
 * same bytes, and copies into a layer only frames that still have the sum that
 * it reported. A worker that lies about its sums, or fills a layer with other
 * bytes, wastes memory of its node (LAYERS_GIVEN layers at most, each time it
 * comes to a node). It also can read a layer that holds enough of the sums that
 * it reports: contents that at least two others of its group have in common.
 * Contents that only one VM has stay with that VM.
 *
 * The memory of a layer exists as long as the set, or as long as a process maps
 * a page of it. It comes from the set's node by preference, also for VMs that
 * are strict. A set gets LAYERS_MAX layers in its life at most.
 *
 * A move copies shared pages into the VM's own memory; on its new node the VM is
 * scanned anew. A monitor that takes VMs over knows no layers, so adopted VMs
 * keep what they share and are not scanned: nobody knows their boot image.
 *
 * Context of all functions: the monitor's thread.
 * Source: DESIGN, "content-based sharing across VMs, per trust group, opt-in";
 * Waldspurger, Memory Resource Management in VMware ESX Server (OSDI '02) 4.
 */
#ifndef DISCO_MONITOR_LAYERS_H
#define DISCO_MONITOR_LAYERS_H

#include "disco/base.h"
#include "monitor/ipc/merge_maps.h"

#define LAYERS_MERGE_NS 30000000000ull	/* default */
#define LAYERS_IDLE	6u		/* doublings */
#define LAYERS_MAX	MERGE_LAYERS	/* per set; bits of tried */
#define LAYERS_GIVEN	8u		/* made by one VM of a set */
#define LAYERS_PAGES	64u		/* least number that a layer saves */
#define LAYERS_JOB_NS	300000000000ull /* longest time for a worker's job */

struct guest;
struct monitor;
struct worker_event;

/**
 * layers_create() - create m->layers, before the first guest
 * @merge_ns: time between two scans of a VM; 0: no VM is merged
 *
 * Return: 0; -ENOMEM.
 */
MUST_CHECK int layers_create(struct monitor *m, uint64_t merge_ns);

/* Guests keep running; none is scanned any more. NULL is accepted. */
void layers_destroy(struct monitor *m);

/* A worker runs: plan the guest's first scan, if it is to be merged. */
void layers_guest_add(struct monitor *m, struct guest *g);

/* A guest's worker is dead. May be called again. */
void layers_guest_remove(struct monitor *m, struct guest *g);

/* A guest is about to move (g->moving is set): take it out of its set. */
void layers_leave(struct monitor *m, struct guest *g);

/* A guest's move has ended, with success or not: scans go on. */
void layers_arrived(struct guest *g);

/* A guest's worker has sent an event, which was checked. */
void layers_heard(struct monitor *m, struct guest *g,
		  const struct worker_event *ev);

#endif
