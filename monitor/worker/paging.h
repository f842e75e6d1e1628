/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pmem disks out of the buffer cache: the thread that serves their faults
 * (cowdisk/dax/pager.h), and when a disk is shown from which node's memory.
 *
 * Without a cache, or where userfaultfd is refused, there is no pager, and
 * pages of the base's file are mapped.
 *
 * Threads: the I/O thread, but for the pager itself.
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
 * paging_create() - a pager, when the VM has pmem disks
 *
 * After buffers_create(), before disks_create().
 *
 * Says on standard error, once, when there can be none: that is no error.
 *
 * Context: start of the worker, before the sandbox, on what becomes the I/O
 * thread. Return: 0; -errno of epoll_ctl().
 */
MUST_CHECK int paging_create(struct paging *p);

/* Start its thread, after sandbox_drop(). Return: 0; -errno. */
MUST_CHECK int paging_start(struct paging *p);

/* Something of the cache was attached or linked: show it. */
void paging_look(struct paging *p);

/*
 * Show all disks from the cache's home node. What cannot be is said on standard
 * error, and shown as before. Context: vCPUs parked, disks at rest.
 */
void paging_rebase(struct paging *p);

/* Publish the figures. Context: after each turn of the loop. */
void paging_turned(struct paging *p);

#endif
