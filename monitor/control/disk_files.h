/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks as control opens them for a worker: checked, sized and locked, so
 * that the worker gets a descriptor it can use and nothing to decide.
 */
#ifndef DISCO_MONITOR_DISK_FILES_H
#define DISCO_MONITOR_DISK_FILES_H

#include "disco/config.h"
#include "disco/diag.h"
#include "disco/worker_spec.h"

/**
 * disk_file_open() - open and lock one disk
 * @disk: not kept
 * @vm:   its VM's name, for messages
 * @nr:   the disk's number in its VM, 0 ..; names it when it has no serial
 * @out:  filled: size, flags, serial; untouched on error
 * @fd:   out, O_CLOEXEC, owned by the caller; untouched on error
 * @d:    why not (ST_DISK): missing, unreadable, a directory or other thing
 *        that is no disk, empty, not a multiple of 512 bytes, in use
 *
 * The lock (shared for read-only disks, exclusive for others) belongs to the
 * open file description: it goes with the descriptor into the worker, and is
 * gone when the last of both is closed.
 *
 * Context: control process; blocks on the file.
 * Return:  0; -errno of open(), fstat() or ioctl(); -EISDIR; -EINVAL; -EBUSY
 *          locked by somebody else, or by another VM of this run.
 * Source:  fcntl(2), "Open file description locks".
 */
MUST_CHECK int disk_file_open(const struct disk_config *disk, const char *vm,
			      unsigned nr, struct worker_disk *out, int *fd,
			      struct diag *d);

#endif
