/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest with work that lasts: counts, says so, and ends when it is told to
 * ("q"; other letters are echoed). What it counted must have no gap, however
 * often it was paused or its monitor went away.
 */
#include "guest.h"

#define POLLS 2000 /* register reads between two ticks */

const char guest_name[] = "ticker";

static char typed(void)
{
	if (!(inb(PORT_SERIAL + UART_LSR) & LSR_DATA))
		return 0;
	return (char)inb(PORT_SERIAL);
}

void main(const struct hvm_start_info *info)
{
	unsigned ticks = 0, polls = 0;

	(void)info;
	for (;;) {
		char c = typed();

		if (c == 'q')
			break;
		if (c)
			print("key %x\n", (unsigned)c);
		if (++polls % POLLS == 0)
			print("tick %u\n", ++ticks);
	}
	REQUIRE(ticks == polls / POLLS, "%u ticks in %u polls", ticks, polls);
}
