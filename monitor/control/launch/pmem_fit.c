/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/launch/pmem_fit.h"

#include <cpuid.h>
#include <errno.h>

#include "cowdisk/dax/dax.h"
#include "memory/guest_ram.h"
#include "monitor/control/base/size.h"

#define LEAF_ADDRESSES	  0x80000008u
#define PHYS_BITS_UNKNOWN 36u
#define PHYS_BITS_MAX	  52u

unsigned pmem_phys_bits(void)
{
	unsigned eax, ebx, ecx, edx;

	if (!__get_cpuid(LEAF_ADDRESSES, &eax, &ebx, &ecx, &edx))
		return PHYS_BITS_UNKNOWN;
	return eax & 0xff;
}

/* The first address above the RAM and the hole of the PCI windows. */
static uint64_t end_of_ram(uint64_t bytes)
{
	return RAM_HIGH_START + (bytes > RAM_LOW_END ? bytes - RAM_LOW_END : 0);
}

static int shm_refuse(const struct vm_config *vm, const struct worker_shm *s,
		      struct diag *d)
{
	char has[SIZE_TEXT_MAX];

	return diag_fail(
		d, ST_CONFIG, ERANGE,
		"%s: segment '%s' of %s ends beyond the addresses that "
		"its CPUs have",
		vm->name, s->name, size_text(s->bytes, has));
}

/* Behind the disks. @at: the end of what is there. */
static int shm_fit(const struct vm_config *vm, uint64_t at, uint64_t limit,
		   struct diag *d)
{
	for (unsigned i = 0; i < vm->nr_shms; i++) {
		struct worker_shm s = { .bytes = vm->shms[i].bytes };

		at = align_up(at, PMEM_REGION_ALIGN);
		(void)snprintf(s.name, sizeof(s.name), "%s", vm->shms[i].name);
		if (at > limit || s.bytes > limit - at)
			return shm_refuse(vm, &s, d);
		at += s.bytes;
	}
	return 0;
}

static int pmem_refuse(const struct vm_config *vm, unsigned i, uint64_t room,
		       uint64_t bytes, struct diag *d)
{
	char most[SIZE_TEXT_MAX], has[SIZE_TEXT_MAX];

	return diag_fail(d, ST_CONFIG, ERANGE,
			 "%s: disk %.200s: as memory (pmem) it can have at "
			 "most %s here, not %s; leave 'pmem' out",
			 vm->name, vm->disks[i].path, size_text(room, most),
			 size_text(bytes, has));
}

int pmem_fit(const struct vm_config *vm, const struct worker_spec *spec,
	     unsigned phys_bits, struct diag *d)
{
	uint64_t limit = 1ull << min_u64(phys_bits, PHYS_BITS_MAX);
	uint64_t at = end_of_ram(spec->ram_bytes);

	for (unsigned i = 0; i < spec->nr_disks; i++) {
		uint64_t bytes = spec->disks[i].bytes, room = 0;

		if (!spec->disks[i].pmem)
			continue;
		at = align_up(at, PMEM_REGION_ALIGN);
		if (at < limit)
			room = min_u64(limit - at, PMEM_MAX_BYTES);
		if (bytes > room)
			return pmem_refuse(vm, i, room, bytes, d);
		at += dax_region_bytes(bytes);
	}
	return shm_fit(vm, at, limit, d);
}
