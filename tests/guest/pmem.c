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
#include "virtio.h"

#define PATTERN 0x9e3779b97f4a7c15ul
#define FLUSHED 0xf1a54edul
#define LAST	0x1a57ul
#define MIB	(1ul << 20)

const char guest_name[] = "pmem";

static uint32_t request, answer;

/* The device in the next slot that has one. */
static unsigned find(unsigned slot)
{
	slot = virtio_find(slot, VIRTIO_PMEM);
	REQUIRE(slot < VIRTIO_SLOTS, "not three pmem devices");
	return slot;
}

static uint32_t ask(uint32_t type)
{
	request = type;
	answer = ~0u;
	virtio_desc[0] = (struct virtio_desc){ (uint64_t)&request, 4, 1, 1 };
	virtio_desc[1] = (struct virtio_desc){ (uint64_t)&answer, 4, 2, 0 };
	virtio_ask(0, 0);
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

void main(const struct hvm_start_info *info)
{
	uint64_t words = number_of((const char *)info->cmdline, "words=");
	uint64_t bytes = (words * 8 + 2 * MIB - 1) & ~(2 * MIB - 1), at[3];
	unsigned slot[3] = { 0 };

	for (unsigned i = 0; i < 3; i++) {
		slot[i] = find(i ? slot[i - 1] + 1 : 0);
		at[i] = read64(virtio_bar + VIRTIO_DEVICE);
		REQUIRE(read64(virtio_bar + VIRTIO_DEVICE + 8) == bytes,
			"%lx bytes", read64(virtio_bar + VIRTIO_DEVICE + 8));
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
	virtio_start(0);
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
		virtio_start(0);
		REQUIRE(ask(0) == 0, "flush of region %u: %u", i, answer);
	}
}
