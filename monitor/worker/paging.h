/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmem disks that show the buffer cache: the thread that serves their faults
 * (cowdisk/dax/pager.h), and the choice of the node whose memory a disk shows.
 *
 * Without a cache, or where userfaultfd is refused, there is no pager, and
 * pages of the base's file are mapped.
 *
 * Context: the I/O thread, except the pager's own thread.
 */
#ifndef DISCO_MONITOR_PAGING_H
#define DISCO_MONITOR_PAGING_H

#include "monitor/worker/buffers.h"
#include "monitor/worker/disks.h"

struct paging {
	struct vm *vm;		       /* [I] has the pager */
	struct disks *disks;	       /* [I] */
	const struct buffers *buffers; /* [I] */
	struct io_watch faults;	       /* the pager's */
};

/* No pager yet. @vm, @disks, @buffers: outlive it. */
void paging_init(struct paging *p, struct vm *vm, struct disks *disks,
		 const struct buffers *buffers);

/**
 * paging_create() - create a pager if the VM has pmem disks
 *
 * Called after buffers_create() and before disks_create().
 *
 * If there can be no pager, that is reported once on standard error, and is not
 * an error.
 *
 * Context: start of the worker, before the sandbox, on the thread that becomes
 * the I/O thread. Return: 0; -errno of epoll_ctl().
 */
MUST_CHECK int paging_create(struct paging *p);

/* Start the pager's thread, after sandbox_drop(). Return: 0; -errno. */
MUST_CHECK int paging_start(struct paging *p);

/* Show disks from cache memory that was attached or linked, if there is any. */
void paging_look(struct paging *p);

/*
 * Show all disks from the cache's home node. A disk that cannot be is reported
 * on standard error, and shows what it did before. Context: vCPUs parked, disks
 * at rest.
 */
void paging_rebase(struct paging *p);

/* Publish the figures. Context: after each turn of the loop. */
void paging_turned(struct paging *p);

#endif
