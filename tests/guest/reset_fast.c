/* SPDX-License-Identifier: BSD-2-Clause */
/* Reset by port 0x92, which has nothing else to do here. */
#include "guest.h"

#define PORT_FAST 0x92

const char guest_name[] = "reset_fast";

void main(const struct hvm_start_info *info)
{
	(void)info;
	outb(PORT_FAST, 0x02); /* A20 on, as every boot loader does */
	linger();
	pass();
	outb(PORT_FAST, 0x03);
	linger();
	fail("still running");
}
