/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Faults in the regions of pmem disks (cowdisk/dax/dax.h) that show pages of a
 * buffer cache. Such a page is mapped when it is touched, not before: until
 * then its agent may fill it, and takes it away as it likes.
 *
 *	thread that faults  --userfaultfd-->  pager  --slot-->  I/O thread
 *
 * The pager is a thread of its own, as the I/O thread may be what faults, or
 * what waits for who does. It hands a fault to the I/O thread, which alone
 * may use the cache. What that does not do in PAGER_PATIENCE_NS, or refuses,
 * the pager does by itself: it reads the base, and makes a page of this
 * process alone of it. So is
 *
 *  1. every fault answered, whatever agents and the I/O thread do, at the
 *     latest when a read of the base is;
 *  2. what is answered right, as the base does not change: a page of a cache
 *     is leased while it is mapped, and one that is there already stays;
 *  3. no answer waited for by the I/O thread: its own faults (by thread id),
 *     and all of them while it is in a hurry, are the pager's.
 *
 * A slot's state and who may change it from there:
 *
 *	FREE --pager--> ASKED --I/O: mapped--> FREE
 *			  |  `--I/O: cannot--> REFUSED --pager: copied--> FREE
 *			  `--pager: too late--> TAKEN --I/O: noticed--> FREE
 *
 * A base that cannot be read takes its page with it, as a mapping of it would:
 * a guest that touches it ends (KVM_RUN: EFAULT), another thread that does
 * ends the process (SIGSEGV).
 */
#ifndef DISCO_COWDISK_PAGER_H
#define DISCO_COWDISK_PAGER_H

#include "disco/base.h"

#define PAGER_SLOTS	  64u
#define PAGER_MAX_REGIONS 16u
/* More than a cache waits for its agent: that is told by the I/O thread. */
#define PAGER_PATIENCE_NS 1500000000ull

struct pager;
struct pager_fault;

/* All but the functions: [I] once it was added. */
struct pager_region {
	uint8_t *hva;
	uint64_t nr_pages;
	int base; /* whose bytes are at the same offsets; read by the pager */
	/* I/O thread: answer by pager_mapped() or pager_refuse(), later too. */
	void (*serve)(struct pager_region *r, struct pager_fault *f);
	/* I/O thread: after faults were served; also when nothing happened. */
	void (*turn)(struct pager_region *r);
};

struct pager_stats {
	uint64_t faults;
	uint64_t copied_pages; /* read from the base by the pager */
};

/**
 * pager_create() - a pager without regions
 * @out: release with pager_destroy()
 *
 * Context: the I/O thread, which faults are told from others by; while files
 * can be opened.
 * Return: 0; -EPERM faults of KVM would not be told to us; -EINVAL, -ENOSYS
 * the kernel does not do it; -ENOMEM; -errno of userfaultfd(2), eventfd(2).
 */
MUST_CHECK int pager_create(struct pager **out);

/* Its thread has ended, and no region is registered. NULL is fine. */
void pager_destroy(struct pager *p);

/**
 * pager_add() - faults of a region, once some of it is registered
 * @r: outlives the pager's thread
 * Context: before pager_run(). Return: 0; -ENOSPC.
 */
MUST_CHECK int pager_add(struct pager *p, struct pager_region *r);

/* To register pages by, and to continue them (memory/uffd.h). */
int pager_uffd(const struct pager *p);

/* The pager's thread: until pager_stop(). */
void pager_run(struct pager *p);
void pager_stop(struct pager *p);

/* Readable when pager_ready() has something to do. A queue of waits
 * (cache_internal.h) may write to it as well. */
int pager_event_fd(const struct pager *p);

/* The I/O thread's part. */
void pager_ready(struct pager *p);
uint64_t pager_fault_page(const struct pager_fault *f);
void pager_mapped(struct pager *p, struct pager_fault *f);
void pager_refuse(struct pager *p, struct pager_fault *f);

/*
 * From the first to the last of nested pairs the I/O thread serves no fault,
 * the pager all of them: it is going to wait for threads that may fault.
 * Context: I/O thread.
 */
void pager_hurry(struct pager *p, bool on);

/* Context: any thread. */
void pager_get_stats(const struct pager *p, struct pager_stats *out);

#endif
