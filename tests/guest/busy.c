/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Busy from its first line on, for ever; with "idle" on its command line
 * halted for ever instead.
 */
#include "guest.h"

const char guest_name[] = "busy";

void main(const struct hvm_start_info *info)
{
	bool idle = contains((const char *)info->cmdline, "idle");

	print("ON\n");
	for (;;)
		if (idle)
			__asm__ volatile("hlt" : : : "memory");
		else
			__asm__ volatile("" : : : "memory");
}
