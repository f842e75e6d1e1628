/* SPDX-License-Identifier: BSD-2-Clause */
/* The entry is what Xen's docs/misc/pvh.pandoc promises. */
#include "guest.h"

#define CR0_PE	   0x1u
#define CR0_ET	   0x10u    /* fixed */
#define EFLAGS_BAD 0x20300u /* VM, IF, TF */
/*
 * KVM keeps the machine's MCE on in guests (svm_set_cr4()) and intercepts reads
 * of CR4; QEMU 10 takes those for reads of CR0, so the lab's guests see it.
 */
#define CR4_MCE 0x40u

const char guest_name[] = "pvh_entry";

static void check_map(const struct hvm_start_info *info)
{
	const struct hvm_memmap *m = memmap(info);
	uint64_t past = 0;
	unsigned nr_ram = 0;

	REQUIRE(m && info->memmap_entries, "no memory map");
	for (unsigned i = 0; i < info->memmap_entries; i++) {
		REQUIRE(m[i].bytes, "entry %u is empty", i);
		REQUIRE(m[i].addr >= past, "entry %u starts at %lx, before %lx",
			i, m[i].addr, past);
		past = m[i].addr + m[i].bytes;
		REQUIRE(past > m[i].addr, "entry %u wraps", i);
		REQUIRE(m[i].type, "entry %u has no type", i);
		nr_ram += m[i].type == HVM_RAM;
	}
	REQUIRE(nr_ram, "no RAM in %u entries", info->memmap_entries);
}

void main(const struct hvm_start_info *info)
{
	REQUIRE((entry_cr0 & ~CR0_ET) == CR0_PE, "cr0 %x at entry", entry_cr0);
	REQUIRE((entry_cr4 & ~CR4_MCE) == 0, "cr4 %x at entry", entry_cr4);
	REQUIRE(!(entry_eflags & EFLAGS_BAD), "eflags %x at entry",
		entry_eflags);
	REQUIRE(info && info->magic == HVM_START_MAGIC, "no start info at %lx",
		(uint64_t)info);
	REQUIRE(info->version >= 1, "start info version %u", info->version);
	REQUIRE(info->cmdline, "no command line");
	REQUIRE(contains((const char *)info->cmdline, "tiny pvh_entry"),
		"command line '%s'", (const char *)info->cmdline);
	REQUIRE(info->rsdp, "no RSDP");
	REQUIRE(!info->nr_modules, "%u modules without an initrd",
		info->nr_modules);
	check_map(info);
}
