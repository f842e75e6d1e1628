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
