/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The power button is an edge of the interrupt that the DSDT names. The guest
 * takes no interrupt: the local APIC shows in its request register that one has
 * come. "ignore" on the command line: the guest goes on all the same.
 */
#include "../guest.h"

#define GSI_BUTTON    5 /* of dsdt.asl */
#define VECTOR	      0x55
#define IOAPIC	      0xfec00000ul
#define IOAPIC_SELECT (IOAPIC + 0x00)
#define IOAPIC_WINDOW (IOAPIC + 0x10)
#define REDIRECTION   0x10 /* two registers for each pin */
#define LAPIC	      0xfee00000ul
#define LAPIC_ID      (LAPIC + 0x20)
#define LAPIC_SPIV    (LAPIC + 0xf0)
#define LAPIC_IRR     (LAPIC + 0x200) /* 32 bits each 16 bytes */
#define SPIV_ENABLED  0x1ffu

const char guest_name[] = "button";

static void ioapic_write(uint32_t reg, uint32_t v)
{
	write32(IOAPIC_SELECT, reg);
	write32(IOAPIC_WINDOW, v);
}

static bool is_pressed(void)
{
	uint32_t irr = read32(LAPIC_IRR + VECTOR / 32 * 16);

	return irr >> VECTOR % 32 & 1;
}

void main(const struct hvm_start_info *info)
{
	const char *cmdline = (const char *)info->cmdline;

	write32(LAPIC_SPIV, SPIV_ENABLED);
	/* Edge, active high, fixed, to this CPU. */
	ioapic_write(REDIRECTION + 2 * GSI_BUTTON + 1,
		     read32(LAPIC_ID) & 0xff000000u);
	ioapic_write(REDIRECTION + 2 * GSI_BUTTON, VECTOR);
	REQUIRE(!is_pressed(), "pressed before anybody did");
	print("waits\n");
	while (!is_pressed())
		__asm__ volatile("pause" : : : "memory");
	print("pressed\n");
	while (contains(cmdline, "ignore"))
		__asm__ volatile("pause" : : : "memory");
}
