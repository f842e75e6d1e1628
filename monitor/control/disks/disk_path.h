/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens and locks one file of a disk, and names it in messages.
 */
#ifndef DISCO_MONITOR_DISK_PATH_H
#define DISCO_MONITOR_DISK_PATH_H

#include <stdint.h>

#include "disco/base.h"
#include "disco/diag.h"

/* A file to open, and its name in messages. */
struct disk_name {
	const char *vm; /* NULL: the disk of an image command */
	const char *path;
	bool read_only;
	bool raw; /* a disk even if it looks like an image of another format */
};

/**
 * disk_path_open() - open, size and lock a raw disk
 * @bytes: out, a multiple of 512, not 0
 * @fd:    out, O_CLOEXEC, owned by the caller; untouched on error
 * @d:     out on error (ST_DISK): missing, unreadable, a directory or another
 *         kind of file, empty, an image of another format (unless n->raw), not
 *         a multiple of 512 bytes, in use
 *
 * The lock (shared for read-only disks, exclusive for others) belongs to the
 * open file description: it goes with the descriptor into the worker, and ends
 * when both descriptors are closed. An image command (no vm) waits for the
 * lock, 2 s at most.
 *
 * Context: control process; blocks on the file.
 * Return:  0; -errno of open(), fstat() or ioctl(); -EISDIR; -EINVAL;
 *          -EMEDIUMTYPE another format; -EBUSY locked by another process, or by another VM of this run.
 * Source:  fcntl(2), "Open file description locks".
 */
MUST_CHECK int disk_path_open(const struct disk_name *n, uint64_t *bytes,
			      int *fd, struct diag *d);

/* Lock an open file as disk_path_open() does. Return: 0; -EBUSY; -errno. */
MUST_CHECK int disk_lock(const struct disk_name *n, int fd, struct diag *d);

/*
 * May a file of @bytes be written to its end? Beyond ulimit -f the kernel would
 * end the guest with SIGXFSZ. Return: 0; -EFBIG (ST_DISK).
 */
MUST_CHECK int disk_check_limit(const struct disk_name *n, uint64_t bytes,
				struct diag *d);

/* Set @d to "VM: disk PATH: TEXT". Return: always -@err. */
int disk_fail(const struct disk_name *n, enum exit_status status, int err,
	      const char *text, struct diag *d);

#endif
