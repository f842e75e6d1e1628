/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk as memory of a guest: a region in which each byte of the image is at
 * its own offset (DAX). The guest reads it without a request and needs no
 * page cache of its own for it.
 *
 *	[0, bytes)	private mappings: of the base, and of the COW file's
 *			data area where a block is present; what does not fit
 *			the budget of mappings, and a last block that is not
 *			whole, is copied
 *	[bytes, end)	zeroes; what the guest writes there is lost
 *
 * A page that the guest writes becomes a copy that is this process's alone,
 * and stays one until the process ends: the base is never written, and the COW
 * file by dax_flush() only.
 *
 * Two guests with one base share its pages: in the host's page cache, or, with
 * dax_use_cache(), in their node's buffer cache, as block devices do. What is
 * mapped from there is registered with userfaultfd, and is there when it is
 * touched (cowdisk/dax/pager.h).
 *
 * A file that becomes shorter than it was takes its pages with it: a guest
 * that touches one ends (KVM_RUN: EFAULT), a device that does ends the process
 * (SIGBUS).
 *
 * Threads: one (the worker's I/O thread); vCPUs write to the region.
 */
#ifndef DISCO_COWDISK_DAX_H
#define DISCO_COWDISK_DAX_H

#include <sys/queue.h>

#include "cowdisk/disk/disk.h"
#include "memory/guest_ram.h"

#define DAX_ALIGN   MIB(2) /* SUBSECTION_SIZE: what Linux maps such memory by */
#define DAX_RUN_MIN 16u	   /* pages; see dax_rebase() */
#define DAX_DEPTH   9	   /* requests to the disk at once */

struct cache;
struct dax;
struct pager;

/* What the region shows. */
struct dax_source {
	uint64_t bytes; /* of the image; a multiple of 512, not 0 */
	int base;	/* readable; its pages are shown */
	int cow;	/* the same for a COW file; -1: none */
	/* Over both of them, DAX_DEPTH deep; NULL: flushes do nothing. */
	struct disk *disk;
};

/* Who knows what vCPUs have written (KVM's dirty log). */
struct dax_log {
	/*
	 * Set the bits of all pages that were written since the last call,
	 * or since the region was made. A write that is under way is in this
	 * call, with its data to be seen in memory, or in the next one.
	 * Return: 0; -errno: none is lost, the next call has them.
	 */
	int (*take)(struct dax_log *log, uint64_t *bits);
};

/* A flush. Owned by the caller until done() is called. */
struct dax_req {
	STAILQ_ENTRY(dax_req) link;
	/* @err: 0: what was written before dax_flush() is durable; -errno. */
	void (*done)(struct dax_req *r, int err);
};

struct dax_stats {
	uint64_t mappings;	  /* of the budget */
	uint64_t copied_pages;	  /* not mapped: budget, last block */
	uint64_t written_pages;	  /* by flushes */
	uint64_t cached_pages;	  /* mapped from a buffer cache, last time */
	uint64_t continued_pages; /* of them, there when touched or before */
};

/* Length of the region of an image of @bytes. */
static inline uint64_t dax_region_bytes(uint64_t bytes)
{
	return align_up(bytes, DAX_ALIGN);
}

/**
 * dax_create() - map an image
 * @src:    its disk is owned by the region from now on, its descriptors are
 *          too if it has none; not on error
 * @budget: mappings to make at most, at least 2
 * @out:    release with dax_destroy()
 *
 * Context: start of the worker; reads what is copied.
 * Return:  0; -ENOMEM; -errno of mmap(), pread() or eventfd(); -EIO a file
 *          that is shorter than it should be.
 */
MUST_CHECK int dax_create(const struct dax_source *src, uint64_t budget,
			  struct dax **out);

/* No flush may be under way. NULL is fine. Does not flush. */
void dax_destroy(struct dax *d);

/*
 * hva, bytes and touched are set; who places it in the guest sets gpa. A page
 * that devices were given to write (touched) counts as written in every later
 * flush: when they write is not known here.
 */
struct ram_window *dax_window(struct dax *d);

/**
 * dax_use_cache() - pages of the base may come from a buffer cache
 * @c:  outlives the region, as @p does
 * @nr: of the disk in @c, 0 .. VM_MAX_DISKS - 1; of no other disk
 * @p:  tells faults; its thread does not run yet, and ends before the region
 *
 * Shows nothing yet: dax_rebase() does.
 * Return: 0; -ENOMEM; -ENOSPC of pager_add().
 */
MUST_CHECK int dax_use_cache(struct dax *d, struct cache *c, unsigned nr,
			     struct pager *p);

/* Has the home node memory of the disk that is not the one shown? */
bool dax_wants_rebase(const struct dax *d);

/**
 * dax_rebase() - show the home node's memory of the disk from now on
 * @pagemap: /proc/self/pagemap
 *
 * All of the base, that is, but: pages that were written or copied, those that
 * devices were given, blocks that the COW file has, runs shorter than
 * DAX_RUN_MIN pages, and runs that the budget has no room for. They stay as
 * they are. Nothing to do is no error.
 *
 * Context: vCPUs parked, no request of a device under way; they may go on
 * after any result. Reads 8 bytes a page.
 * Return: 0; -errno of pread(), mmap(), UFFDIO_REGISTER, mprotect(): what was
 * done stays, the rest shows what it did.
 */
MUST_CHECK int dax_rebase(struct dax *d, int pagemap);

/* Before the first flush; outlives the region. */
void dax_set_log(struct dax *d, struct dax_log *log);

/**
 * dax_flush() - make durable what was written to the region until now
 *
 * done() may be called before this returns. Flushes that come while one is
 * under way are served together by the next one.
 */
void dax_flush(struct dax *d, struct dax_req *r);

/**
 * dax_event_fd() - readable when dax_ready() has something to do; -1: never
 *
 * An epoll of the disk's descriptor and of one for work that was put off.
 */
int dax_event_fd(const struct dax *d);
void dax_ready(struct dax *d);

/**
 * dax_settle() - what the guest has written survives it, flushed or not
 *
 * Context: after the last vCPU; blocks; calls done() of what was under way.
 * Return: 0; -errno of the flush.
 */
MUST_CHECK int dax_settle(struct dax *d);

void dax_get_stats(const struct dax *d, struct dax_stats *out);

#endif
