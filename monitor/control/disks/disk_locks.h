/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether the disks of a worker that has died are free again.
 *
 * The kernel releases the files of an io_uring ring, and with them their locks,
 * in the background: some milliseconds after the process is gone, and not
 * before the last request that was under way has ended. Whoever reports the end
 * of a guest waits for that, because the next user of the disk could otherwise
 * be refused, or be overtaken by a late write.
 *
 * A shared lock does not show whose it is. So each open file description that
 * disk_lock() locks also has a read lock on one byte of its own, at a random
 * offset from DISK_LOCK_ID on, far behind any data. /proc/PID/fdinfo names that
 * byte, and F_OFD_GETLK through another description of the file finds out
 * whether it is still locked.
 *
 * Context of all functions: any one thread.
 */
#ifndef DISCO_MONITOR_DISK_LOCKS_H
#define DISCO_MONITOR_DISK_LOCKS_H

#include <sys/types.h>

#include "disco/base.h"
#include "disco/limits.h"

#define DISK_LOCK_ID	(1ull << 62)	   /* first byte that is no data */
#define DISK_LOCKS_MAX	(2 * VM_MAX_DISKS) /* a base and a COW file each */
#define DISK_LOCKS_NONE ((struct disk_locks){ .nr = 0 })

struct disk_locks {
	unsigned nr;
	struct {
		int fd;	     /* owned; its own description, without a lock */
		uint64_t at; /* the byte */
	} list[DISK_LOCKS_MAX];
};

/**
 * disk_locks_open() - remember the locks of a worker's disks
 * @l:     filled; release with disk_locks_close()
 * @pid:   the worker; it runs
 * @first: number of its first disk descriptor
 *
 * Disks that cannot be opened once more (no descriptors left, no right) are
 * left out, as if they had no lock. Blocks on the files.
 */
void disk_locks_open(struct disk_locks *l, pid_t pid, int first);

/* Does not block. Return: true if at least one of the locks is still held. */
bool disk_locks_held(const struct disk_locks *l);

/**
 * disk_locks_wait() - wait until none of the locks is held
 *
 * Return: true; false if one was still held after @limit_ns.
 */
bool disk_locks_wait(const struct disk_locks *l, uint64_t limit_ns);

/* NULL and DISK_LOCKS_NONE are accepted. */
void disk_locks_close(struct disk_locks *l);

#endif
