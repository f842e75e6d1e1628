/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes to 64 MiB of the first GiB, in pieces of 1 MiB, prints ON, and sends
 * back each byte that it receives, for ever.
 */
#include "guest.h"

#define MIB    (1ul << 20)
#define PAGE   4096ul
#define FIRST  (32 * MIB) /* above this guest */
#define PIECES 64ul
#define APART  (15 * MIB)

const char guest_name[] = "echo";

static uint8_t lsr(void)
{
	return inb(PORT_SERIAL + UART_LSR);
}

static void touch(uint64_t at, uint64_t bytes)
{
	for (uint64_t end = at + bytes; at < end; at += PAGE)
		write64(at, at);
}

void main(const struct hvm_start_info *info)
{
	(void)info;
	for (uint64_t i = 0; i < PIECES; i++)
		touch(FIRST + i * APART, MIB);
	print("ON\n");
	for (;;) {
		uint8_t c;

		while (!(lsr() & LSR_DATA))
			__asm__ volatile("pause" : : : "memory");
		c = inb(PORT_SERIAL);
		while (!(lsr() & LSR_THR))
			__asm__ volatile("pause" : : : "memory");
		outb(PORT_SERIAL, c);
	}
}
