/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPUID table of a vCPU: what KVM supports on this machine, with this
 * guest's topology (one package, one thread per core) and a TSC-deadline timer,
 * so that a guest has no timer to calibrate. Source: Intel SDM 3A CPUID; AMD
 * APM 3 E.4; Linux Documentation/virt/kvm/x86/cpuid.rst.
 */
#ifndef DISCO_MONITOR_CPUID_H
#define DISCO_MONITOR_CPUID_H

#include <linux/kvm.h>

#include "disco/base.h"

#define CPUID_MAX_ENTRIES 256

struct cpuid_table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[CPUID_MAX_ENTRIES];
};

/* Read what KVM supports. @kvm_fd: /dev/kvm. Return: 0; -errno. */
MUST_CHECK int cpuid_supported(int kvm_fd, struct cpuid_table *t);

/* Width of physical addresses, in bits; 36 if the table does not have it. */
unsigned cpuid_phys_bits(const struct cpuid_table *t);

/* Fill in vCPU @index of @nr. Pure; may be repeated on the same table. */
void cpuid_set_topology(struct cpuid_table *t, unsigned index, unsigned nr,
			bool tsc_deadline);

#endif
