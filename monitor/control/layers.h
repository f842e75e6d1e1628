/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control's part in the merging of equal pages. VMs that ask for it
 * (--memory ...,merge), were started from the same kernel and initial RAM disk,
 * live on the same node and are of one group share what they have in common
 * beyond disks: a kernel patches most of its text at boot, and each guest's
 * copy of a patched page is the same.
 *
 *	set	such VMs: (boot image, group, node, bytes of memory looked at)
 *	layer	frames that two VMs of a set had in common, as one of them gave
 *		them; sealed, so that nobody can change it
 *
 * A VM is looked at every monitor_settings.merge_ns: it gets the layers that
 * it lacks (WORKER_REQ_SHARE), then says its sums (_SUM). Where enough of them
 * are those of another VM of its set, it gives these frames (_GIVE), and all
 * get the new layer. After LAYERS_IDLE looks that changed nothing it is left
 * alone.
 *
 * Sums are hints: a worker shows a frame of a layer only where its guest has
 * the same bytes there, and gives only what still has the sum that it said. So
 * a worker that lies about its sums, or gives something else, wastes memory of
 * its node (at most LAYERS_MAX layers of a set), and learns which of the pages
 * that it can guess another VM of its group has. What a layer holds of another
 * one has a sum that it has said itself.
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
 * Source: DESIGN, "content-based sharing across VMs, per trust group, opt-in".
 */
#ifndef DISCO_MONITOR_LAYERS_H
#define DISCO_MONITOR_LAYERS_H

#include "disco/worker_spec.h"
#include "numa/region.h"

#define LAYERS_MERGE_NS 30000000000ull	/* of settings that do not say */
#define LAYERS_IDLE	4u		/* looks */
#define LAYERS_MAX	8u		/* of a set */
#define LAYERS_PAGES	64u		/* of a layer, at least */
#define LAYERS_JOB_NS	300000000000ull /* of a worker, at most */

struct guest;
struct layer_set;
struct monitor;

enum layers_job { LAYERS_NONE = 0, LAYERS_SUM, LAYERS_GIVE, LAYERS_SHARE };

/* A VM's part; all-zero is one that was not looked at. */
struct guest_layers {
	struct layer_set *set;	 /* NULL: not in one */
	uint64_t at_ns;		 /* the next look; 0: at once, but the first */
	enum layers_job job;	 /* its worker is at */
	bool owed;		 /* an answer that nobody waits for any more */
	uint64_t until_ns;	 /* the job's */
	unsigned idle;		 /* looks that changed nothing, in a row */
	unsigned have;		 /* layers of the set that it was given */
	struct region_view sums; /* empty: none, or of what changed since */
	int sums_fd;		 /* LAYERS_SUM: for reading */
	int layer, bits;	 /* LAYERS_GIVE: of the new one */
	unsigned pages;		 /* in it */
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
