/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * With --memory 4G there are 4 GiB of RAM, on both sides of the PCI hole, and
 * each word of it is a word of its own. The probes miss this guest, which is
 * at 16 MiB, and what the monitor put between 4 KiB and 640 KiB.
 */
#include "guest.h"

#define GIB	     (1ul << 30)
#define TOTAL	     (4 * GIB)
#define RESERVED_MAX (1ul << 20)
#define STEP	     (64ul << 20)
#define PATTERN	     0x9e3779b97f4a7c15ul /* odd: distinct products */

const char guest_name[] = "memory";

static void put(uint64_t at)
{
	write64(at, (at + 1) * PATTERN);
}

static void check(uint64_t at)
{
	uint64_t v = read64(at);

	REQUIRE(v == (at + 1) * PATTERN, "%lx reads %lx, not %lx", at, v,
		(at + 1) * PATTERN);
}

/* First and last word of each 64 MiB, and the last of the range. */
static unsigned each_probe(const struct hvm_memmap *m, void (*visit)(uint64_t))
{
	uint64_t end = m->addr + m->bytes;
	unsigned n = 0;

	for (uint64_t at = m->addr; at < end; at += STEP) {
		uint64_t last = end - at < STEP ? end : at + STEP;

		visit(at);
		visit(last - sizeof(uint64_t));
		n += 2;
	}
	return n;
}

static unsigned each_range(const struct hvm_start_info *info,
			   void (*visit)(uint64_t))
{
	const struct hvm_memmap *m = memmap(info);
	unsigned n = 0;

	for (unsigned i = 0; i < info->memmap_entries; i++)
		if (m[i].type == HVM_RAM)
			n += each_probe(&m[i], visit);
	return n;
}

static void check_total(const struct hvm_start_info *info)
{
	const struct hvm_memmap *m = memmap(info);
	uint64_t low = 0, high = 0;

	for (unsigned i = 0; i < info->memmap_entries; i++) {
		if (m[i].type != HVM_RAM)
			continue;
		if (m[i].addr < 4 * GIB)
			low += m[i].bytes;
		else
			high += m[i].bytes;
	}
	REQUIRE(low && high, "%lx bytes below 4 GiB, %lx above", low, high);
	REQUIRE(low + high <= TOTAL && low + high >= TOTAL - RESERVED_MAX,
		"%lx bytes of RAM, not 4 GiB", low + high);
}

void main(const struct hvm_start_info *info)
{
	unsigned written;

	check_total(info);
	written = each_range(info, put);
	REQUIRE(each_range(info, check) == written && written >= 128,
		"%u words written", written);
}
