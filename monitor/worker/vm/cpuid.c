/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/vm/cpuid.h"

#include <errno.h>
#include <sys/ioctl.h>

#define LEAF1_X2APIC	   (1u << 21)
#define LEAF1_TSC_DEADLINE (1u << 24)
#define LEAF1_HYPERVISOR   (1u << 31)
#define LEAF1_HTT	   (1u << 28)  /* edx */
#define LEAF_ADDRESSES	   0x80000008u /* eax: bits of an address */
#define LEVEL_CORE	   2u	       /* leaf 0xb level type */
#define LEVEL_THREAD	   1u

int cpuid_supported(int kvm_fd, struct cpuid_table *t)
{
	t->head.nent = CPUID_MAX_ENTRIES;
	return ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, t) < 0 ? -errno : 0;
}

unsigned cpuid_phys_bits(const struct cpuid_table *t)
{
	for (uint32_t i = 0; i < t->head.nent; i++)
		if (t->entries[i].function == LEAF_ADDRESSES)
			return t->entries[i].eax & 0xff;
	return 36;
}

/* Bits needed to number @n things. */
static uint32_t bits_for(unsigned n)
{
	uint32_t bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

struct cpuid_place cpuid_one_package(unsigned index, unsigned nr)
{
	return (struct cpuid_place){ .apic_id = index,
				     .nr = nr,
				     .bits = bits_for(nr) };
}

static void leaf_1(struct kvm_cpuid_entry2 *e, struct cpuid_place p,
		   bool tsc_deadline)
{
	e->ebx = (e->ebx & 0xffffu) | p.nr << 16 | p.apic_id << 24;
	e->ecx |= LEAF1_X2APIC | LEAF1_HYPERVISOR;
	if (tsc_deadline)
		e->ecx |= LEAF1_TSC_DEADLINE;
	if (p.nr > 1)
		e->edx |= LEAF1_HTT;
	else
		e->edx &= ~LEAF1_HTT;
}

/* Extended topology: one thread a core. */
static void leaf_b(struct kvm_cpuid_entry2 *e, struct cpuid_place p)
{
	e->flags |= KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	e->eax = e->ebx = 0;
	e->ecx = e->index;
	e->edx = p.apic_id;
	if (e->index == 0) {
		e->ebx = 1;
		e->ecx |= LEVEL_THREAD << 8;
	} else if (e->index == 1) {
		e->eax = p.bits;
		e->ebx = p.nr;
		e->ecx |= LEVEL_CORE << 8;
	}
}

/*
 * Caches: levels 1 and 2 private to a vCPU, the last one shared by its package.
 */
static void cache_sharing(struct kvm_cpuid_entry2 *e, unsigned nr)
{
	uint32_t level = (e->eax >> 5) & 7;
	uint32_t sharing = level >= 3 ? nr - 1 : 0;

	e->eax = (e->eax & 0x00003fffu) | sharing << 14;
}

/*
 * Linux 6.2 and later say nothing of the host's topology: a leaf's first
 * level only. Without a core level each vCPU would be a package of its own.
 */
static void add_core_level(struct cpuid_table *t, uint32_t leaf)
{
	bool found = false;

	for (uint32_t i = 0; i < t->head.nent; i++) {
		if (t->entries[i].function != leaf)
			continue;
		if (t->entries[i].index == 1)
			return;
		found = true;
	}
	if (found && t->head.nent < CPUID_MAX_ENTRIES)
		t->entries[t->head.nent++] =
			(struct kvm_cpuid_entry2){ .function = leaf,
						   .index = 1 };
}

void cpuid_set_topology(struct cpuid_table *t, struct cpuid_place p,
			bool tsc_deadline)
{
	add_core_level(t, 0xb);
	add_core_level(t, 0x1f);
	for (uint32_t i = 0; i < t->head.nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entries[i];

		switch (e->function) {
		case 0x1:
			leaf_1(e, p, tsc_deadline);
			break;
		case 0x4: /* Intel */
			cache_sharing(e, p.nr);
			e->eax |= (p.nr - 1) << 26;
			break;
		case 0xb:
		case 0x1f:
			leaf_b(e, p);
			break;
		case 0x80000008: /* AMD: cores less one, bits of APIC id */
			e->ecx = (p.nr - 1) | p.bits << 12;
			break;
		case 0x8000001d: /* AMD */
			cache_sharing(e, p.nr);
			break;
		case 0x8000001e: /* AMD: APIC id, core id, node id */
			e->eax = p.apic_id;
			e->ebx = p.apic_id;
			e->ecx = 0;
			break;
		default:
			break;
		}
	}
}
