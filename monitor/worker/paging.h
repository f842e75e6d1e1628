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

#include "monitor/worker/machine.h"

/**
 * paging_create() - a pager, when the VM has pmem disks
 * @m: with its cache; without its disks
 *
 * Says on standard error, once, when there can be none: that is no error.
 *
 * Context: start of the worker, before the sandbox, on what becomes the I/O
 * thread. Return: 0; -errno of epoll_ctl().
 */
MUST_CHECK int paging_create(struct machine *m);

/* Start its thread, after sandbox_drop(). Return: 0; -errno. */
MUST_CHECK int paging_start(struct machine *m);

/* Something of the cache was attached or linked: show it. */
void paging_look(struct machine *m);

/*
 * Show all disks from the cache's home node. What cannot be is said on standard
 * error, and shown as before. Context: vCPUs parked, disks at rest.
 */
void paging_rebase(struct machine *m);

/* Publish the figures. Context: after each turn of the loop. */
void paging_turned(struct machine *m);

#endif
