/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk as memory of a guest (DAX): a region in which each byte of the image
 * is at its own offset. The guest reads it without a request, and needs no page
 * cache for it.
 *
 *	[0, bytes)	private mappings: of the base, and of the COW file's
 *			data area where a block is present; copies of blocks
 *			beyond the budget of mappings, and of a last block that
 *			is not whole
 *	[bytes, end)	zeroes; what the guest writes there is lost
 *
 * A page that the guest writes becomes a copy that belongs to this process
 * alone, until the process ends. So the base is never written, and the COW file
 * is written by dax_flush() only.
 *
 * Two guests with one base share its pages: in the host's page cache, or, after
 * dax_use_cache(), in their node's buffer cache, as block devices do. Pages of
 * the buffer cache are registered with userfaultfd, and are mapped when the
 * guest touches them (cowdisk/dax/pager.h).
 *
 * When a file is truncated, its pages vanish: a guest that touches one ends
 * (KVM_RUN: EFAULT), a device that touches one ends the process (SIGBUS).
 *
 * Context of all functions: one thread, the worker's I/O thread; vCPUs write to
 * the region at any time.
 */
#ifndef DISCO_COWDISK_DAX_H
#define DISCO_COWDISK_DAX_H

#include <sys/queue.h>

#include "cowdisk/disk/disk.h"
#include "memory/guest_ram.h"

#define DAX_ALIGN   MIB(2) /* SUBSECTION_SIZE: unit of Linux's mappings of it */
#define DAX_RUN_MIN 16u	   /* pages; see dax_rebase() */
#define DAX_DEPTH   9	   /* requests to the disk at once */

struct cache;
struct dax;
struct pager;

/* The files that the region shows. */
struct dax_source {
	uint64_t bytes; /* size of the image; a multiple of 512, not 0 */
	int base;	/* readable; its pages are shown */
	int cow;	/* the COW file, readable; -1: none */
	/* Over both files, DAX_DEPTH deep; NULL: flushes do nothing. */
	struct disk *disk;
};

/* Source of the pages that vCPUs have written (KVM's dirty log). */
struct dax_log {
	/*
		 * or since the region was made. A concurrent write is either in
		 * this call, and its data is visible in memory, or in the next.
		 * Return: 0; -errno: no bit is lost, the next call sets them.
	 */
	int (*take)(struct dax_log *log, uint64_t *bits);
};

/* A flush request. Owned by the caller until done() is called. */
struct dax_req {
	STAILQ_ENTRY(dax_req) link;
	/* @err: 0: what was written before dax_flush() is durable; -errno. */
	void (*done)(struct dax_req *r, int err);
};

struct dax_stats {
	uint64_t mappings;	/* used of the budget */
	uint64_t copied_pages;	/* not mapped: budget, last block */
	uint64_t written_pages; /* by flushes */
	uint64_t cached_pages;	/* registered from a cache by the last rebase */
	uint64_t continued_pages; /* of cached pages, mapped so far */
};

/* Length of the region of an image of @bytes, in bytes. */
static inline uint64_t dax_region_bytes(uint64_t bytes)
{
	return align_up(bytes, DAX_ALIGN);
}

/**
 * dax_create() - map an image
 * @src:    after success its disk is owned by the region; if it has no disk,
 *          its descriptors are
 * @budget: maximum number of mappings, at least 2
 * @out:    release with dax_destroy()
 *
 * Context: start of the worker; reads the blocks that are copied.
 * Return:  0; -ENOMEM; -errno of mmap(), pread() or eventfd(); -EIO a file is
 *          shorter than it should be.
 */
MUST_CHECK int dax_create(const struct dax_source *src, uint64_t budget,
			  struct dax **out);

/* No flush may be under way. NULL is accepted. Does not flush. */
void dax_destroy(struct dax *d);

/*
 * The region as a window. hva, bytes and touched are set; the caller that
 * places it in the guest sets gpa. A page that devices were given to write
 * (touched) counts as written in every later flush, because the region cannot
 * know when they write.
 */
struct ram_window *dax_window(struct dax *d);

/**
 * dax_use_cache() - let pages of the base come from a buffer cache
 * @c:  outlives the region, as @p does
 * @nr: number of the disk in @c, 0 .. VM_MAX_DISKS - 1; unique to this disk
 * @p:  reports faults; its thread does not run yet, and ends before the region
 *
 * Shows nothing yet; dax_rebase() does.
 * Return: 0; -ENOMEM; -ENOSPC of pager_add().
 */
MUST_CHECK int dax_use_cache(struct dax *d, struct cache *c, unsigned nr,
			     struct pager *p);

/* Does the home node have cache memory of the disk that is not shown yet? */
bool dax_wants_rebase(const struct dax *d);

/**
 * dax_rebase() - show the home node's cache memory of the disk from now on
 * @pagemap: descriptor of /proc/self/pagemap
 *
 * Applies to all of the base except: pages that were written or copied, pages
 * that devices were given, blocks that the COW file has, runs shorter than
 * DAX_RUN_MIN pages, and runs that the budget has no room for. These stay
 * unchanged. If there is nothing to do, it returns 0.
 *
 * Context: vCPUs parked, no request of a device under way; they may go on
 * after any result. Reads 8 bytes per page.
 * Return: 0; -errno of pread(), mmap(), UFFDIO_REGISTER, mprotect(): what was
 * done stays, and the rest shows what it showed before.
 */
MUST_CHECK int dax_rebase(struct dax *d, int pagemap);

/* Called before the first flush. @log outlives the region. */
void dax_set_log(struct dax *d, struct dax_log *log);

/**
 * dax_flush() - make durable what was written to the region so far
 *
 * done() may be called before this function returns. Flushes that arrive while
 * one is under way are served together by the next one.
 */
void dax_flush(struct dax *d, struct dax_req *r);

/**
 * dax_event_fd() - readable when dax_ready() has something to do; -1: never
 *
 * An epoll of the disk's descriptor and of one for deferred work.
 */
int dax_event_fd(const struct dax *d);
void dax_ready(struct dax *d);

/**
 * dax_settle() - make everything that the guest has written durable
 *
 * Also what the guest did not flush. Context: after the last vCPU; blocks;
 * calls done() of flushes that were under way.
 * Return: 0; -errno of the flush.
 */
MUST_CHECK int dax_settle(struct dax *d);

void dax_get_stats(const struct dax *d, struct dax_stats *out);

#endif
