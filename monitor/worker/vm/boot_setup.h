/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first state of a guest: what the boot protocol wants in low memory and
 * in the first vCPU's registers.
 * Source: Linux Documentation/arch/x86/boot.rst, "64-bit boot protocol" and
 * zero-page.rst; Xen docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h.
 */
#ifndef DISCO_MONITOR_BOOT_SETUP_H
#define DISCO_MONITOR_BOOT_SETUP_H

#include "monitor/worker/vm/vm.h"

/**
 * boot_setup() - make vCPU 0 ready to run the boot image
 * Context: start. Return: 0; -EFAULT the guest has too little low memory;
 * -errno of KVM.
 */
MUST_CHECK int boot_setup(struct vm *vm);

#define BOOT_E820_MAX 8

/* Type as in E820: 1 RAM, 2 reserved. */
struct boot_e820 {
	uint64_t gpa, bytes;
	uint32_t type;
};

/* The guest's memory map. Pure. Returns the number of entries. */
unsigned boot_memory_map(const struct ram_view *ram,
			 struct boot_e820 map[BOOT_E820_MAX]);

#endif
