/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handles faults in the regions of pmem disks (cowdisk/dax/dax.h) that show
 * pages of a buffer cache. Such a page is mapped when it is touched, not
 * before: until then its agent may fill it, and may evict it at any time.
 *
 *	thread that faults  --userfaultfd-->  pager  --slot-->  I/O thread
 *
 * The pager has a thread of its own, because the I/O thread may be the one that
 * faults, or may wait for a thread that faults. The pager hands a fault to the
 * I/O thread, which alone may use the cache. If the I/O thread does not map the
 * page within PAGER_PATIENCE_NS, or refuses, the pager reads the base and
 * installs a page that belongs to this process alone. This guarantees:
 *
 *  1. Every fault is answered, whatever agents and the I/O thread do, at the
 *     latest when a read of the base ends.
 *  2. Every answer is right, since the base does not change: a page of a cache
 *     is leased while it is being mapped, and a page that is already mapped
 *     stays.
 *  3. The I/O thread never waits for an answer of its own: the pager itself
 *     answers the I/O thread's faults (known by their thread id), and all
 *     faults while the I/O thread is in a hurry.
 *
 * The states of a slot, and who may change them:
 *
 *	FREE --pager--> ASKED --I/O: mapped--> FREE
 *			  |  `--I/O: cannot--> REFUSED --pager: copied--> FREE
 *			  `--pager: too late--> TAKEN --I/O: noticed--> FREE
 *
 * If the base cannot be read, its page becomes inaccessible, as in a mapping of
 * a truncated file: a guest that touches it ends (KVM_RUN: EFAULT), another
 * thread that touches it ends the process (SIGSEGV).
 */
#ifndef DISCO_COWDISK_PAGER_H
#define DISCO_COWDISK_PAGER_H

#include "disco/base.h"

#define PAGER_SLOTS	  64u
#define PAGER_MAX_REGIONS 16u
/*
 * Longer than a cache waits for its agent, because that wait ends in the I/O
 * thread.
 */
#define PAGER_PATIENCE_NS 1500000000ull

struct pager;
struct pager_fault;

/* All fields but the functions: [I] after pager_add(). */
struct pager_region {
	uint8_t *hva;
	uint64_t nr_pages;
	int base; /* file with the same bytes at the same offsets */
	/*
	 * I/O thread: answer a fault by pager_mapped() or pager_refuse(), now
	 * or later.
	 */
	void (*serve)(struct pager_region *r, struct pager_fault *f);
	/* I/O thread: after faults were served, or without any. */
	void (*turn)(struct pager_region *r);
};

struct pager_stats {
	uint64_t faults;
	uint64_t copied_pages; /* read from the base by the pager */
};

/**
 * pager_create() - create a pager without regions
 * @out: release with pager_destroy()
 *
 * Context: the I/O thread, whose faults the pager recognises by its thread id;
 * while files can be opened.
 * Return: 0; -EPERM this process does not get faults of KVM; -EINVAL, -ENOSYS
 * the kernel does not support it; -ENOMEM; -errno of userfaultfd(2),
 * eventfd(2).
 */
MUST_CHECK int pager_create(struct pager **out);

/* Its thread has ended, and no region is registered. NULL is accepted. */
void pager_destroy(struct pager *p);

/**
 * pager_add() - handle the faults of a region after it was registered
 * @r: outlives the pager's thread
 *
 * Context: before pager_run(). Return: 0; -ENOSPC.
 */
MUST_CHECK int pager_add(struct pager *p, struct pager_region *r);

/* The descriptor by which pages are registered and mapped (memory/uffd.h). */
int pager_uffd(const struct pager *p);

/* Body of the pager's thread; returns after pager_stop(). */
void pager_run(struct pager *p);
void pager_stop(struct pager *p);

/*
 * Readable when pager_ready() has something to do. A queue of waits
 * (cache_internal.h) may write to it as well.
 */
int pager_event_fd(const struct pager *p);

/* The next four functions are for the I/O thread. */
void pager_ready(struct pager *p);
uint64_t pager_fault_page(const struct pager_fault *f);
void pager_mapped(struct pager *p, struct pager_fault *f);
void pager_refuse(struct pager *p, struct pager_fault *f);

/*
 * Between the first and the last of nested pairs of calls, the pager itself
 * serves all faults, because the I/O thread waits for threads that may fault.
 * Context: I/O thread.
 */
void pager_hurry(struct pager *p, bool on);

/* Context: any thread. */
void pager_get_stats(const struct pager *p, struct pager_stats *out);

#endif
