/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's seed for cloud-init, its data source "NoCloud": a small read-only disk
 * in memory, labelled CIDATA, with the files that the operator gave.
 */
#ifndef DISCO_MONITOR_SEED_DISK_H
#define DISCO_MONITOR_SEED_DISK_H

#include "disco/config.h"
#include "disco/diag.h"
#include "disco/worker_spec.h"

/**
 * seed_disk_make() - make a VM's seed
 * @vm:  has cloud_init set
 * @out: its disk, for the worker
 * @fd:  out: a memfd that cannot be written to; owned by the caller
 * @d:   out on error: ST_FILE a file that is missing, or too large; ST_HOST
 *
 * Without a file of meta-data, "instance-id" is made of the VM's name and of
 * the other files' contents, so that cloud-init runs once for each change of
 * them; "local-hostname" is the VM's name.
 *
 * Context: control; blocks on the files. Return: 0; -errno. Source: cloud-init,
 * "NoCloud".
 */
MUST_CHECK int seed_disk_make(const struct vm_config *vm,
			      struct worker_disk *out, int *fd, struct diag *d);

#endif
