/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes short lines to the virtio console as Linux's hvc does: 16 bytes at
 * most, a notification for each, and a spin until the device has taken them.
 * "lines=N" on the command line: how many (20000). It says how long they took,
 * in units of 2^20 cycles.
 */
#include "virtio.h"

#define TX    1
#define PIECE 16

const char guest_name[] = "hvc";

/* One piece; as __send_to_port() of Linux's virtio_console.c. */
static void send(const char *text, unsigned len)
{
	unsigned i = virtio_next() % VIRTIO_QUEUE;

	virtio_desc[i] = (struct virtio_desc){ (uint64_t)text, len, 0, 0 };
	virtio_ask(TX, i);
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

	REQUIRE(virtio_find(0, VIRTIO_CONSOLE) < VIRTIO_SLOTS,
		"no virtio console");
	virtio_start(TX);
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
	REQUIRE(!(read8(virtio_bar + VIRTIO_STATUS) & VIRTIO_NEEDS_RESET),
		"the device is dead");
	print("%u lines in %lu Mi cycles\n", lines,
	      (unsigned long)((cycles() - begin) >> 20));
}
