/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks as memory: three of the same image, with cow, snapshot and ro. Word i
 * of the image is (i + 1) * PATTERN; its length is in the command line's
 * "words=N".
 *
 * What is written to the first two reads back, and is not seen in another
 * one; what is written to the third does nothing. The first one is flushed:
 * whoever looks into its COW file finds FLUSHED at word 1000, and LAST, which
 * was not flushed, at word 2000 if the monitor went on to its end.
 */
#include "guest.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc
#define NR_SLOTS     32
#define PMEM	     0x105b1af4u /* device, vendor */
#define CFG_COMMAND  0x04
#define CFG_BAR0     0x10
#define COMMAND_ON   0x06u /* memory, bus master */
#define PATTERN	     0x9e3779b97f4a7c15ul
#define FLUSHED	     0xf1a54edul
#define LAST	     0x1a57ul
#define MIB	     (1ul << 20)

/* Registers in BAR 0: monitor/dev/virtio/virtio_pci.c. */
#define R_FEATURE_SELECT 0x08
#define R_FEATURE	 0x0c
#define R_STATUS	 0x14
#define R_QSELECT	 0x16
#define R_QSIZE		 0x18
#define R_QENABLE	 0x1c
#define R_QDESC		 0x20
#define R_QAVAIL	 0x28
#define R_QUSED		 0x30
#define R_DEVICE	 0x2000
#define R_NOTIFY	 0x3000
#define S_DRIVER	 0x03
#define S_FEATURES_OK	 0x0b
#define S_DRIVER_OK	 0x0f

#define QUEUE 4

const char guest_name[] = "pmem";

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* One queue; of one device at a time. */
static struct desc desc[QUEUE] __attribute__((aligned(16)));
static struct {
	uint16_t flags, idx, ring[QUEUE];
} avail __attribute__((aligned(16)));
static struct {
	uint16_t flags, idx;
	struct {
		uint32_t id, len;
	} ring[QUEUE];
} used __attribute__((aligned(16)));
static uint32_t request, answer;

static uint64_t bar;

static uint32_t config_read(unsigned slot, unsigned reg)
{
	outl(PORT_ADDRESS, 0x80000000u | slot << 11 | reg);
	return inl(PORT_DATA);
}

static void config_write(unsigned slot, unsigned reg, uint32_t v)
{
	outl(PORT_ADDRESS, 0x80000000u | slot << 11 | reg);
	outl(PORT_DATA, v);
}

/* The device in the next slot that has one. */
static unsigned find(unsigned slot)
{
	while (slot < NR_SLOTS && config_read(slot, 0) != PMEM)
		slot++;
	REQUIRE(slot < NR_SLOTS, "not three pmem devices");
	config_write(slot, CFG_COMMAND, COMMAND_ON);
	bar = config_read(slot, CFG_BAR0) & ~0xfu;
	return slot;
}

static void start_queue(void)
{
	avail.idx = used.idx = 0;
	write8(bar + R_STATUS, 0);
	write8(bar + R_STATUS, S_DRIVER);
	write32(bar + R_FEATURE_SELECT, 1);
	write32(bar + R_FEATURE, 1); /* VERSION_1 */
	write8(bar + R_STATUS, S_FEATURES_OK);
	write16(bar + R_QSELECT, 0);
	write16(bar + R_QSIZE, QUEUE);
	write64(bar + R_QDESC, (uint64_t)desc);
	write64(bar + R_QAVAIL, (uint64_t)&avail);
	write64(bar + R_QUSED, (uint64_t)&used);
	write16(bar + R_QENABLE, 1);
	write8(bar + R_STATUS, S_DRIVER_OK);
	REQUIRE(read8(bar + R_STATUS) == S_DRIVER_OK, "status %x",
		read8(bar + R_STATUS));
}

static uint32_t ask(uint32_t type)
{
	uint16_t n = avail.idx;

	request = type;
	answer = ~0u;
	desc[0] = (struct desc){ (uint64_t)&request, 4, 1, 1 };
	desc[1] = (struct desc){ (uint64_t)&answer, 4, 2, 0 };
	avail.ring[n % QUEUE] = 0;
	__asm__ volatile("mfence" : : : "memory");
	*(volatile uint16_t *)&avail.idx = (uint16_t)(n + 1);
	write16(bar + R_NOTIFY, 0);
	while (*(volatile uint16_t *)&used.idx == n)
		__asm__ volatile("pause" : : : "memory");
	return *(volatile uint32_t *)&answer;
}

static uint64_t word(uint64_t at, uint64_t i)
{
	return read64(at + i * 8);
}

static void check(uint64_t at, uint64_t words, uint64_t end)
{
	for (uint64_t i = 0; i < words; i++)
		REQUIRE(word(at, i) == (i + 1) * PATTERN,
			"word %lu at %lx reads %lx", i, at, word(at, i));
	for (uint64_t i = words; i < end / 8; i++)
		REQUIRE(word(at, i) == 0, "word %lu, after the end, is %lx", i,
			word(at, i));
}

static uint64_t number_after(const char *text, const char *key)
{
	uint64_t v = 0;
	size_t len = 0;

	while (key[len])
		len++;
	while (*text && !same(text, key, len))
		text++;
	REQUIRE(*text, "no %s in the command line", key);
	for (text += len; *text >= '0' && *text <= '9'; text++)
		v = v * 10 + (uint64_t)(*text - '0');
	return v;
}

void main(const struct hvm_start_info *info)
{
	uint64_t words = number_after((const char *)info->cmdline, "words=");
	uint64_t bytes = (words * 8 + 2 * MIB - 1) & ~(2 * MIB - 1), at[3];
	unsigned slot[3] = { 0 };

	for (unsigned i = 0; i < 3; i++) {
		slot[i] = find(i ? slot[i - 1] + 1 : 0);
		at[i] = read64(bar + R_DEVICE);
		REQUIRE(read64(bar + R_DEVICE + 8) == bytes, "%lx bytes",
			read64(bar + R_DEVICE + 8));
		REQUIRE(at[i] >= 4096 * MIB && at[i] % (128 * MIB) == 0,
			"region %u at %lx", i, at[i]);
		check(at[i], words, bytes);
	}
	for (unsigned i = 0; i < 3; i++)
		write64(at[i] + 8000, FLUSHED + i);
	REQUIRE(word(at[0], 1000) == FLUSHED, "cow: %lx", word(at[0], 1000));
	REQUIRE(word(at[1], 1000) == FLUSHED + 1, "snapshot: %lx",
		word(at[1], 1000));
	check(at[2], words, bytes);
	(void)find(slot[0]);
	start_queue();
	REQUIRE(ask(1) == 1, "a bad request gets %u", answer);
	REQUIRE(ask(0) == 0, "a flush gets %u", answer);
	write64(at[0] + 8000, FLUSHED + 9); /* logged again? */
	REQUIRE(ask(0) == 0, "a second flush gets %u", answer);
	write64(at[0] + 8000, FLUSHED);
	REQUIRE(ask(0) == 0, "a third flush gets %u", answer);
	print("flushed\n");
	write64(at[0] + 16000, LAST);
	for (unsigned i = 1; i < 3; i++) {
		(void)find(slot[i]);
		start_queue();
		REQUIRE(ask(0) == 0, "flush of region %u: %u", i, answer);
	}
}
