/* SPDX-License-Identifier: BSD-2-Clause */
/* Reset by the chipset's register at 0xcf9, as Linux does it (reboot=p). */
#include "guest.h"

#define PORT_CF9 0xcf9

const char guest_name[] = "reset_cf9";

void main(const struct hvm_start_info *info)
{
	uint8_t cf9 = inb(PORT_CF9) & (uint8_t)~0x0e;

	(void)info;
	outb(PORT_CF9, cf9 | 0x02);
	linger();
	pass();
	outb(PORT_CF9, cf9 | 0x0e);
	linger();
	fail("still running");
}
