/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's part in the merging of equal pages
 * (monitor/control/guests/layers.h). Control requests one job at a time:
 *
 *	sum	compute a sum of each frame of guest memory that is the guest's
 *		own (pmap_own()), so that control can find equal ones; frames of
 *		zeroes are given back (pmap_free())
 *	give	copy the frames that control wants into a new layer, except
 *		those whose sum has changed
 *	share	show each frame that has the same bytes as some frame of a layer
 *		from that layer
 *
 * Sums and copies are taken while the guest runs, and a page may change
 * meanwhile: then no other page equals it. Before a page is shown from a layer,
 * its bytes are compared, with the vCPUs parked and no disk request under way,
 * and a layer never changes: so the guest cannot notice. A shared page that the
 * guest writes to becomes a private copy again.
 *
 * A job runs in steps of MERGE_STEP frames, between which the loop has its
 * turn. The guest is stopped for PARK_MERGE_NS and one run of pages at a time,
 * at most every PARK_MERGE_MS.
 *
 * Context of all functions but merge_create(): the I/O thread.
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

#define MERGE_STEP    512u /* frames */
#define MERGE_STEP_MS 5

struct disks;
struct vm;

/* A layer that the VM was given; kept, because it may be offered again. */
struct merge_layer {
	struct boot_pages_source *s; /* NULL: not given */
	int fd;
};

struct merge {
	struct vm *vm;		   /* [I] */
	const struct disks *disks; /* [I] */
	struct io_watch timer;
	int pagemap; /* [I] of this process; not owned */
	/* [I] called at the end of a job */
	void (*done)(void *arg, uint64_t id, uint64_t pages, int err);
	void *arg;		    /* [I] */
	uint32_t job;		    /* enum worker_request_kind; 0: none */
	uint64_t id;		    /* of the request for that job */
	uint64_t at, end;	    /* frames; those before @at are done */
	struct region sums;	    /* of the last _SUM; or empty */
	struct region new_sums;	    /* _SUM: will replace sums */
	struct region_view table;   /* _GIVE, _SHARE: of the layer */
	uint32_t entries;	    /* in the table */
	int layer;		    /* _GIVE, _SHARE: its memfd; -1: none */
	uint32_t from[MERGE_STEP];  /* _SHARE: see find_shown() */
	struct merge_layer *source; /* _SHARE */
	struct merge_layer layers[MERGE_LAYERS];
	/* Frames that the guest has nominated: for one sum each. */
	uint64_t nominated[MERGE_BYTES_MAX / PAGE_BYTES / 64];
	bool zeroes;		 /* _SUM: there are frames of zeroes */
	bool scrubs;		 /* _SUM: they are being given back */
	unsigned refused;	 /* times in a row that disks did not rest */
	uint64_t gained;	 /* pages that the job has merged */
	uint64_t merged, zeroed; /* pages, in total */
	uint64_t longest_ns;	 /* longest stop of the guest */
};

/**
 * merge_create() - prepare for jobs
 * @vm:      with its memory and its loop; outlives the object
 * @disks:   of the VM; outlive the object
 * @pagemap: descriptor of /proc/self/pagemap; outlives the object
 * @done:    called at the end of a job; @id: of the request for it; @pages:
 *           number of pages it merged; @err: 0; -errno
 * @arg:     passed to @done
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
 * merge_obey() - handle WORKER_REQ_SUM, _GIVE and _SHARE
 * @fds: descriptors of the message, -1 for those that did not come; owned by
 *       the object
 *
 * A job that cannot start ends at once. Errors at the start: -EBUSY a job is
 * under way; -EPROTO wrong descriptors, or _GIVE before _SUM; -EINVAL wrong
 * numbers; errors of region_take() and region_attach(). Errors later: -EBUSY a
 * disk never rests; -ENOSPC no mappings left.
 */
void merge_obey(struct merge *g, const struct worker_request *r,
		const int fds[4]);

/*
 * The guest says that other guests are likely to have these pages, too: the next
 * sum of each counts as one that has not changed, whatever the last one was.
 * @page: guest frame; frames that are not merged are ignored.
 */
void merge_nominate(struct merge *g, uint64_t page, uint64_t pages);

/* Publish the figures. Context: after each turn of the loop. */
void merge_turned(struct merge *g);

/*
 * The guest changes its node, or control has gone: the job under way ends with
 * -ECANCELED, and the layers known so far are not used for showing any more.
 */
void merge_cancel(struct merge *g);

#endif
