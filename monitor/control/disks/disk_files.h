/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks as control opens them for a worker: checked, sized and locked, so
 * that the worker gets descriptors it can use and nothing to decide.
 */
#ifndef DISCO_MONITOR_DISK_FILES_H
#define DISCO_MONITOR_DISK_FILES_H

#include "disco/config.h"
#include "disco/diag.h"
#include "disco/worker_spec.h"

#define DISK_FDS_MAX 4u

/* A file to open, and how to speak of it. */
struct disk_name {
	const char *vm; /* NULL: an image command, nobody's disk */
	const char *path;
	bool read_only;
};

/**
 * disk_path_open() - open, size and lock a raw disk
 * @bytes: out, a multiple of 512, not 0
 * @fd:    out, O_CLOEXEC, owned by the caller; untouched on error
 * @d:     why not (ST_DISK): missing, unreadable, a directory or other thing
 *         that is no disk, empty, not a multiple of 512 bytes, in use
 *
 * The lock (shared for read-only disks, exclusive for others) belongs to the
 * open file description: it goes with the descriptor into the worker, and is
 * gone when the last of both is closed. For an image command (no vm) it is
 * waited for, 2 s at most.
 *
 * Context: control process; blocks on the file.
 * Return:  0; -errno of open(), fstat() or ioctl(); -EISDIR; -EINVAL; -EBUSY
 *          locked by somebody else, or by another VM of this run.
 * Source:  fcntl(2), "Open file description locks".
 */
MUST_CHECK int disk_path_open(const struct disk_name *n, uint64_t *bytes,
			      int *fd, struct diag *d);

/* Lock an open file as disk_path_open() does. Return: 0; -EBUSY; -errno. */
MUST_CHECK int disk_lock(const struct disk_name *n, int fd, struct diag *d);

/* "VM: disk PATH: TEXT" into @d. Return: -@err, always. */
int disk_fail(const struct disk_name *n, enum exit_status status, int err,
	      const char *text, struct diag *d);

/**
 * disk_file_open() - open and lock one disk of a VM
 * @disk: not kept
 * @vm:   its VM's name, for messages
 * @nr:   the disk's number in its VM, 0 ..; names it when it has no serial
 * @out:  filled: size, kind, flags, serial; untouched on error
 * @fds:  out, owned by the caller: the disk; or the base and its COW file, and
 *        to read them with O_DIRECT, where that is possible, the COW file once
 *        more, and the base, if nobody else has it now; untouched on error
 * @d:    why not: as disk_path_open(), and as cow_pair_open()
 *
 * Context: control process; blocks on the files.
 * Return:  how many descriptors, worker_disk_fds(); -errno of the above.
 */
MUST_CHECK int disk_file_open(const struct disk_config *disk, const char *vm,
			      unsigned nr, struct worker_disk *out,
			      int fds[DISK_FDS_MAX], struct diag *d);

#endif
