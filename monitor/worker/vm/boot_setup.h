/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The initial state of a guest, as its boot protocol requires it: low memory
 * and the registers of the first vCPU.
 * Source: Linux Documentation/arch/x86/boot.rst, "64-bit boot protocol" and
 * zero-page.rst; Xen docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h.
 */
#ifndef DISCO_MONITOR_BOOT_SETUP_H
#define DISCO_MONITOR_BOOT_SETUP_H

#include "monitor/worker/vm/vm.h"

/**
 * boot_setup() - prepare vCPU 0 to run the boot image
 *
 * Context: start of the worker. Return: 0; -EFAULT the guest has too little low
 * memory; -E2BIG its command line has no room for what views put before it
 * (CMDLINE_CLOCK); -errno of KVM.
 */
MUST_CHECK int boot_setup(struct vm *vm);

#define BOOT_E820_MAX 8

/* Type as in E820: 1 RAM, 2 reserved. */
struct boot_e820 {
	uint64_t gpa, bytes;
	uint32_t type;
};

/* Build the guest's memory map. Pure. Return: number of entries. */
unsigned boot_memory_map(const struct ram_view *ram,
			 struct boot_e820 map[BOOT_E820_MAX]);

#endif
