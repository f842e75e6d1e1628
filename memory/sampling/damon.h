/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accessed bits by DAMON, the kernel's monitor of accesses, by its files in sysfs
 * (CONFIG_DAMON_SYSFS, CONFIG_DAMON_VADDR, Linux 6.2 or later). It takes root.
 *
 * WHAT IT SAYS. Memory of a process, here the mapping of a guest's RAM, is divided
 * into regions. Per region and sampling interval the kernel looks at the accessed
 * bit of one page, of the host's page tables and of KVM's. So a region is known by
 * how many of DAMON_SAMPLES looks in a row found an access. It says which pages
 * are used; it does not say how often within a sampling interval, by whom, or
 * whether they are written. That all pages of a region are alike is DAMON's
 * assumption: it divides and joins regions until it holds about right. Memory
 * that other mappings access, as those of a guest with copies, is not seen.
 *
 * WHAT IT COSTS. A kernel thread (kdamond) per slot, of at most
 * damon_limits.regions looks per sampling interval. damon_spent_ns() says what it
 * has used.
 *
 * WHOSE IT IS. There is one list of kdamonds per machine, and writing its length
 * (nr_kdamonds) takes all of them away. So nobody shares it, and this is kept:
 *
 * 1. Who writes holds a lock (flock) of the directory's file nr_kdamonds, which ends
 *    with its process: two processes of Disco's never both do.
 * 2. The list is taken if it is empty, or if each of its kdamonds carries our sign:
 *    it is what a killed monitor has left. Else nothing is written (-EBUSY).
 * 3. The sign is a value of intervals/update_us, which has no meaning for the
 *    operations "fvaddr". Each kdamond is signed right after the list was made.
 * 4. Each call reads the sign of the kdamond before it writes. Where it is gone,
 *    somebody else has taken the list, and nothing of it is written any more
 *    (-ESTALE).
 *
 * A kdamond ends by itself when the process that it looks at does.
 *
 * Context of all functions: one thread at a time; they block: damon_read() until
 * the kernel has finished an aggregation, some DAMON_SAMPLES sampling intervals.
 * Source: Linux Documentation/admin-guide/mm/damon/usage.rst and
 * Documentation/ABI/testing/sysfs-kernel-mm-damon.
 */
#ifndef DISCO_MEMORY_DAMON_H
#define DISCO_MEMORY_DAMON_H

#include <sys/types.h>

#include "disco/base.h"
#include "disco/diag.h"

#define DAMON_ROOT	  "/sys/kernel/mm/damon/admin/kdamonds"
#define DAMON_SAMPLES	  20u /* looks at a region per aggregation */
#define DAMON_SIGN	  0x444953434full /* "DISCO" in ASCII; microseconds */
#define DAMON_MAX_SLOTS	  64u
#define DAMON_MAX_REGIONS 1000u
#define DAMON_MIN_REGIONS 10u

struct damon;

struct damon_limits {
	uint32_t regions;   /* at most; DAMON_MIN_REGIONS .. _MAX_REGIONS */
	uint32_t sample_us; /* interval of sampling; 100 or more */
};

/* Memory to look at: whole pages, not empty. */
struct damon_target {
	pid_t pid;
	uint64_t start, bytes; /* addresses of the process */
};

struct damon_region {
	uint64_t start, bytes; /* within the target; whole pages */
	uint32_t accesses;     /* 0 .. DAMON_SAMPLES */
};

/**
 * damon_probe() - can accessed bits be had, by whom, and if not, why not
 * @root: DAMON_ROOT; tests have another
 * @d:    out on error: one line
 *
 * If the list is empty, an entry is made and removed, to see what it offers; no
 * kdamond is started, and one that is there is left alone.
 * Return: 0; -ENOENT no DAMON with files in sysfs; -EACCES, -EPERM for root alone;
 * -EBUSY kdamonds of somebody else; -EAGAIN another monitor of Disco's holds it;
 * -ENOTSUP no fixed virtual addresses, or no tried_regions; -EBADMSG, other -errno:
 * what the kernel said is odd.
 */
MUST_CHECK int damon_probe(const char *root, struct diag *d);

/**
 * damon_open() - take the list
 * @left: out, kdamonds of a killed monitor that were removed; NULL: of no interest
 *
 * Return: as damon_probe(), and -ENOMEM. Release it with damon_close().
 */
MUST_CHECK int damon_open(struct damon **out, const char *root,
			  const struct damon_limits *limits, unsigned *left,
			  struct diag *d);

/* Stop all, and leave an empty list. NULL is accepted. */
void damon_close(struct damon *d);

/**
 * damon_tidy() - remove what a killed monitor has left, if there is something
 *
 * Return: how many kdamonds were removed; 0: none, or the list is somebody else's.
 */
unsigned damon_tidy(const char *root);

/**
 * damon_start() - look at the memory of a process
 * @slot: out, for the functions below
 *
 * Where all slots are in use the list is made longer, and those that ran are
 * started anew. Return: 0; -EINVAL bad target; -ENOSPC DAMON_MAX_SLOTS; -ESTALE;
 * -EBUSY another user of DAMON in the kernel wants it for itself; -errno.
 */
MUST_CHECK int damon_start(struct damon *d, const struct damon_target *t,
			   unsigned *slot);

/* No more. One that has ended is accepted. */
void damon_stop(struct damon *d, unsigned slot);

/**
 * damon_pause() - stop a kdamond, or (@on false) start it again
 *
 * What its regions were is forgotten. Return: 0; as damon_start().
 */
MUST_CHECK int damon_pause(struct damon *d, unsigned slot, bool on);

/**
 * damon_read() - the regions now
 * @out: at most @max of them, by address; what lies outside of the target, is no
 *       whole pages or has more accesses than looks is left out and counted
 * @strange: increased by these
 *
 * Return: how many; -ESRCH the kdamond has ended; -EBADMSG a region is cut or no
 * number; -ESTALE; -errno.
 */
MUST_CHECK int damon_read(struct damon *d, unsigned slot,
			  struct damon_region *out, unsigned max,
			  uint64_t *strange);

/* CPU time of the kdamond since it was started; 0: not known, or none runs. */
uint64_t damon_spent_ns(const struct damon *d, unsigned slot);

#endif
