/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DISCO_MONITOR_PMEM_FIT_H
#define DISCO_MONITOR_PMEM_FIT_H

#include "disco/config.h"
#include "disco/diag.h"
#include "disco/worker_spec.h"

/* Return: the width of a guest's physical addresses on this machine, in bits. */
unsigned pmem_phys_bits(void);

/**
 * pmem_fit() - check that disks which are memory fit behind a guest's RAM
 * @vm:        names the VM and its disks in messages
 * @spec:      ram_bytes, nr_disks and disks are used
 * @phys_bits: width of the guest's physical addresses
 * @d:         out on error (ST_CONFIG): the first disk that does not fit, and
 *             the largest size that would
 *
 * As the worker places them: monitor/worker/vm/regions.h. Pure. Return: 0;
 * -ERANGE.
 */
MUST_CHECK int pmem_fit(const struct vm_config *vm,
			const struct worker_spec *spec, unsigned phys_bits,
			struct diag *d);

#endif
