/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes short lines to the virtio console as Linux's hvc does: 16 bytes at
 * most, a notification for each, and a spin until the device has taken them.
 * "lines=N" on the command line: how many (20000). It says how long they took,
 * in units of 2^20 cycles.
 */
#include "guest.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc
#define ID_CONSOLE   0x10431af4u
#define COMMAND	     0x04
#define BAR0	     0x10
#define SLOTS	     32

/* Virtio 1.2, 4.1.4.3, and where this device's BAR has the parts. */
#define R_GF_SELECT 0x08
#define R_GF	    0x0c
#define R_STATUS    0x14
#define R_QSELECT   0x16
#define R_QSIZE	    0x18
#define R_QENABLE   0x1c
#define R_QDESC	    0x20
#define R_QAVAIL    0x28
#define R_QUSED	    0x30
#define R_NOTIFY_TX 0x3004

#define TX	    1
#define SIZE	    4
#define PIECE	    16
#define DRIVER	    3 /* acknowledge, driver */
#define FEATURES    8
#define OK	    4
#define VERSION_1   1 /* bit 32 */
#define NEEDS_RESET 64

const char guest_name[] = "hvc";

static struct {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
} desc[SIZE] __attribute__((aligned(16)));
static volatile struct {
	uint16_t flags, idx, ring[SIZE], event;
} avail __attribute__((aligned(16)));
static volatile struct {
	uint16_t flags, idx;
	struct {
		uint32_t id, len;
	} ring[SIZE];
	uint16_t event;
} used __attribute__((aligned(16)));
static uint64_t bar;

static uint32_t config(unsigned slot, unsigned reg)
{
	outl(PORT_ADDRESS, 0x80000000u | slot << 11 | reg);
	return inl(PORT_DATA);
}

static bool find_console(void)
{
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		if (config(slot, 0) != ID_CONSOLE)
			continue;
		bar = config(slot, BAR0) & ~15u;
		outl(PORT_ADDRESS, 0x80000000u | slot << 11 | COMMAND);
		outl(PORT_DATA, 2); /* memory */
		return true;
	}
	return false;
}

static void set_address(uint64_t reg, const volatile void *p)
{
	write32(bar + reg, (uint32_t)(uintptr_t)p);
	write32(bar + reg + 4, 0);
}

static void start_console(void)
{
	write8(bar + R_STATUS, 0);
	write8(bar + R_STATUS, DRIVER);
	write32(bar + R_GF_SELECT, 1);
	write32(bar + R_GF, VERSION_1);
	write8(bar + R_STATUS, DRIVER | FEATURES);
	write16(bar + R_QSELECT, TX);
	write16(bar + R_QSIZE, SIZE);
	set_address(R_QDESC, desc);
	set_address(R_QAVAIL, &avail);
	set_address(R_QUSED, &used);
	avail.flags = 1; /* no interrupts */
	write16(bar + R_QENABLE, 1);
	write8(bar + R_STATUS, DRIVER | FEATURES | OK);
}

/* One piece; as __send_to_port() of Linux's virtio_console.c. */
static void send(const char *text, unsigned len)
{
	uint16_t i = avail.idx;

	desc[i % SIZE].addr = (uintptr_t)text;
	desc[i % SIZE].len = len;
	avail.ring[i % SIZE] = i % SIZE;
	__asm__ volatile("" : : : "memory");
	avail.idx = (uint16_t)(i + 1);
	write16(bar + R_NOTIFY_TX, TX);
	while (used.idx != avail.idx)
		__asm__ volatile("pause" : : : "memory");
}

static uint64_t cycles(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static unsigned wanted(const char *cmdline)
{
	static const char key[] = "lines=";
	unsigned n = 0;

	for (; *cmdline; cmdline++)
		if (same(cmdline, key, sizeof(key) - 1))
			for (cmdline += sizeof(key) - 1;
			     *cmdline >= '0' && *cmdline <= '9'; cmdline++)
				n = n * 10 + (unsigned)(*cmdline - '0');
	return n ? n : 20000;
}

void main(const struct hvm_start_info *info)
{
	unsigned lines = wanted((const char *)(uintptr_t)info->cmdline);
	char text[PIECE];
	uint64_t begin;

	REQUIRE(find_console(), "no virtio console");
	start_console();
	begin = cycles();
	for (unsigned n = 1; n <= lines; n++) {
		unsigned len = 0, div = 1;

		while (n / div >= 10)
			div *= 10;
		for (; div; div /= 10)
			text[len++] = (char)('0' + n / div % 10);
		/* Linux's terminal layer sends the line, then its end. */
		send(text, len);
		send("\r\n", 2);
	}
	REQUIRE(!(read8(bar + R_STATUS) & NEEDS_RESET), "the device is dead");
	print("%u lines in %lu Mi cycles\n", lines,
	      (unsigned long)((cycles() - begin) >> 20));
}
