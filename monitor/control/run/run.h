/* SPDX-License-Identifier: BSD-2-Clause */
/* `disco run` in the foreground: from a configuration to exit statuses. */
#ifndef DISCO_MONITOR_RUN_H
#define DISCO_MONITOR_RUN_H

#include "disco/config.h"
#include "disco/diag.h"

/**
 * run_vms() - start the VMs and wait until the last one has ended
 * @cfg: checked; not a dry run
 * @d:   out on error: the reason; no VM is left running
 *
 * Everything that can be refused is checked before the first worker is started:
 * placement, KVM, kernels, memory, disks. Summary and report are made at the
 * end. If the report or the output of a console cannot be written, this causes
 * one line on standard error, and ST_HOST in place of ST_OK.
 *
 * Environment: DISCO_VM names the worker program (worker_code.h);
 * DISCO_KVM_ANY=1 accepts a KVM without svm or vmx, on which only tiny guests
 * run.
 *
 * Context: main thread, no others; see supervise() for signals and standard
 * input.
 * Return:  exit status >= 0: the first one, in configuration order, that is not
 *          0; -errno of the step that failed.
 */
MUST_CHECK int run_vms(const struct run_config *cfg, struct diag *d);

#endif
