/* SPDX-License-Identifier: BSD-2-Clause */
/* A fault that no handler is left for ends the guest. */
#include "guest.h"

const char guest_name[] = "triple_fault";

void main(const struct hvm_start_info *info)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	(void)info;
	pass();
	__asm__ volatile("lidt %0; ud2" : : "m"(none) : "memory");
	fail("still running");
}
