/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening /dev/kvm if stock guests can run on it. */
#ifndef DISCO_MONITOR_KVM_OPEN_H
#define DISCO_MONITOR_KVM_OPEN_H

#include "disco/base.h"
#include "disco/diag.h"

/**
 * kvm_open() - open KVM and check that it can run stock guests
 * @fd: out, O_CLOEXEC, owned by the caller; untouched on error
 * @d:  out on error: the reason (ST_KVM), and what to do about it
 *
 * DISCO_KVM_ANY=1 in the environment skips the check for svm or vmx.
 *
 * Context: one thread (getenv). Return: 0; -errno of open(); -ENODEV wrong
 * API version, or a backend without hardware virtualization (kvm_pvm).
 * Source: Linux Documentation/virt/kvm/api.rst 4.1.
 */
MUST_CHECK int kvm_open(int *fd, struct diag *d);

/* Is @flag a word of @text, the entry of at most one CPU in cpuinfo? */
bool cpuinfo_has_flag(const char *text, const char *flag);

#endif
