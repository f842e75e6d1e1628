/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's part in the merging of equal pages (monitor/control/guests/layers.h):
 * what control asks for, one job at a time.
 *
 *	sum	a sum of each frame of guest memory that is the guest's own
 *		(pmap_own()), for control to find equal ones; those that hold
 *		zeroes are given back (pmap_free())
 *	give	copies of frames that control wants, into a new layer: those
 *		that still have their sum
 *	share	frames that hold what a frame of a layer does, whichever, are
 *		shown from it
 *
 * Sums and copies are taken while the guest runs, and may be of a page that
 * changes: then nobody has the same. What is shown was compared, byte by byte,
 * with the vCPUs parked and no disk request under way, and a layer never
 * changes: so the guest cannot tell. A shared page that it writes is a copy of
 * its own again.
 *
 * A job is done in steps: MERGE_STEP frames, then the loop has its turn; the
 * guest is stopped for MERGE_STOP_NS and one run of pages at most, at most
 * every MERGE_SHARE_MS.
 *
 * Threads: the I/O thread, but for the creation.
 * Source: Disco (SOSP'97) 4.2; Waldspurger, Memory Resource Management in
 * VMware ESX Server (OSDI '02) 4, for sums as hints.
 */
#ifndef DISCO_MONITOR_MERGE_H
#define DISCO_MONITOR_MERGE_H

#include "disco/worker_spec.h"
#include "monitor/dev/platform/dev_host.h"
#include "monitor/ipc/merge_maps.h"
#include "monitor/worker/vm/boot_pages.h"
#include "numa/region.h"

#define MERGE_STEP     512u
#define MERGE_STEP_MS  5
#define MERGE_SHARE_MS 50
#define MERGE_STOP_NS  2000000ull
#define MERGE_REFUSALS 100u /* of disks that do not rest, in a row */

struct disks;
struct vm;

/* One that the VM was given, kept to be shown from again. */
struct merge_layer {
	struct boot_pages_source *s; /* NULL: not given */
	int fd;
};

struct merge {
	struct vm *vm;		   /* [I] */
	const struct disks *disks; /* [I] */
	struct io_watch timer;
	int pagemap; /* [I] of this process; not owned */
	/* [I] a job was */
	void (*done)(void *arg, uint64_t id, uint64_t pages, int err);
	void *arg;		    /* [I] */
	uint32_t job;		    /* enum worker_request_kind; 0: none */
	uint64_t id;		    /* of the request for that job */
	uint64_t at, end;	    /* frames; those before it were seen */
	struct region sums;	    /* of the last _SUM; or empty */
	struct region new_sums;	    /* _SUM: they take their place */
	struct region_view table;   /* _GIVE, _SHARE: of the layer */
	uint32_t entries;	    /* in it */
	int layer;		    /* the same; -1 */
	uint32_t from[MERGE_STEP];  /* _SHARE: see find_shown() */
	struct merge_layer *source; /* _SHARE */
	struct merge_layer layers[MERGE_LAYERS];
	bool zeroes;		 /* _SUM: there are some */
	bool scrubs;		 /* and they are given back now */
	unsigned refused;	 /* by disks, in a row */
	uint64_t gained;	 /* pages that the job has merged */
	uint64_t merged, zeroed; /* pages, ever */
	uint64_t longest_ns;	 /* the guest was stopped */
};

/**
 * merge_create() - no job
 * @vm:      with its memory and its loop; outlives it
 * @disks:   of the VM; outlive it
 * @pagemap: /proc/self/pagemap; outlives it
 * @done:    called when a job is; @id: of the request for it; @pages: merged by
 *           it; @err: 0, -errno
 *
 * Context: start of the worker, before the sandbox.
 * Return: 0; -errno of timerfd_create() and epoll_ctl().
 */
MUST_CHECK int merge_create(struct merge *g, struct vm *vm,
			    const struct disks *disks, int pagemap,
			    void (*done)(void *arg, uint64_t id, uint64_t pages,
					 int err),
			    void *arg);

/**
 * merge_obey() - WORKER_REQ_SUM, _GIVE and _SHARE
 * @fds: of the message, -1 for those that did not come; owned by it
 *
 * A job that cannot be begun is done at once: -EBUSY there is one; -EPROTO
 * descriptors, or _GIVE before _SUM; -EINVAL its numbers; what
 * region_take() and region_attach() say. Later: -EBUSY a disk never rests;
 * -ENOSPC mappings.
 */
void merge_obey(struct merge *g, const struct worker_request *r,
		const int fds[4]);

/* Publish the figures. Context: after each turn of the loop. */
void merge_turned(struct merge *g);

/* The guest changes node, or nobody is control: what is under way is done, with
 * -ECANCELED, and layers get other numbers: those that are known are no more
 * shown from. */
void merge_cancel(struct merge *g);

#endif
