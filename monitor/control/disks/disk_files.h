/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening disks in control for a worker: they are checked, sized and locked
 * here, so that the worker gets descriptors that it can use as they are.
 */
#ifndef DISCO_MONITOR_DISK_FILES_H
#define DISCO_MONITOR_DISK_FILES_H

#include "disco/config.h"
#include "disco/diag.h"
#include "disco/worker_spec.h"

#define DISK_FDS_MAX 4u

/**
 * disk_file_open() - open and lock one disk of a VM
 * @disk: not kept
 * @vm:   its VM's name, for messages
 * @nr:   the disk's number in its VM, from 0; it names a disk without a serial
 * @out:  filled: size, kind, flags, serial; untouched on error
 * @fds:  out, owned by the caller; untouched on error. A raw disk has one
 *        descriptor. A COW disk has the base and the COW file; for O_DIRECT,
 *        where that is possible, it also has the COW file once more, and the
 *        base once more if no other process uses it now
 * @d:    out on error: as disk_path_open(), and as cow_pair_open()
 *
 * Context: control process; blocks on the files.
 * Return:  number of descriptors, worker_disk_fds(); -errno of the above.
 */
MUST_CHECK int disk_file_open(const struct disk_config *disk, const char *vm,
			      unsigned nr, struct worker_disk *out,
			      int fds[DISK_FDS_MAX], struct diag *d);

#endif
