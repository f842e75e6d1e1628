/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPUID table of a vCPU: what KVM supports on this machine, with this
 * guest's topology (packages, one thread per core) and a TSC-deadline timer,
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

/* Where a vCPU is among the packages of its guest. */
struct cpuid_place {
	unsigned apic_id; /* 0 .. 254 */
	unsigned nr;	  /* CPUs in its package */
	unsigned bits;	  /* of @apic_id, that number CPUs in a package */
};

/* The place of vCPU @index of a guest that has one package, of @nr CPUs. */
struct cpuid_place cpuid_one_package(unsigned index, unsigned nr);

/* Fill in a vCPU's place. Pure; may be repeated on the same table. */
void cpuid_set_topology(struct cpuid_table *t, struct cpuid_place p,
			bool tsc_deadline);

#endif
