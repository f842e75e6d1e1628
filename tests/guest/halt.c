/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Halts its only CPU with interrupts off, for ever. With "panic" on the command
 * line it says before that it has panicked, as Linux does, and with "spin" it
 * spins instead of halting, as Linux does too. With "sleep" it halts with
 * interrupts on.
 */
#include "guest.h"

const char guest_name[] = "halt";

void main(const struct hvm_start_info *info)
{
	const char *cmdline = (const char *)(uintptr_t)info->cmdline;

	pass();
	if (contains(cmdline, "panic"))
		print("[    0.123456] Kernel panic - not syncing: no %s\n",
		      "init");
	while (contains(cmdline, "spin"))
		__asm__ volatile("pause");
	while (contains(cmdline, "sleep"))
		__asm__ volatile("sti; hlt");
	for (;;)
		__asm__ volatile("cli; hlt");
}
