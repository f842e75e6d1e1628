/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a vCPU says it is: what KVM supports here, with this guest's topology
 * (one package, one thread a core) and a TSC-deadline timer, so that a guest
 * has no timer to calibrate. Source: Intel SDM 3A CPUID; AMD APM 3 E.4;
 * Linux Documentation/virt/kvm/x86/cpuid.rst.
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

/* Ask KVM (system descriptor). Return: 0 or -errno. */
MUST_CHECK int cpuid_supported(int kvm_fd, struct cpuid_table *t);

/* Width of physical addresses, in bits; 36 where it is not said. */
unsigned cpuid_phys_bits(const struct cpuid_table *t);

/* Fill in vCPU @index of @nr. Pure; may be repeated on the same table. */
void cpuid_set_topology(struct cpuid_table *t, unsigned index, unsigned nr,
			bool tsc_deadline);

#endif
