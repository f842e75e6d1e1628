/* SPDX-License-Identifier: BSD-2-Clause */
/* Bus 0 by CF8/CFC and by ECAM: same devices, honest BARs, nothing else. */
#include "guest.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc
#define NR_SLOTS     32
#define ABSENT	     0xffffffffu
#define MCFG_BASE    44
#define CFG_COMMAND  0x04
#define CFG_BAR0     0x10
#define COMMAND_MEM  0x02u
#define HOST_BRIDGE  0x00081b36u /* device, vendor */
#define CONSOLE	     0x10431af4u
#define RNG	     0x10441af4u
#define PVPANIC	     0x00111b36u
#define HIGHEST_BAR  0xfec00000u /* the I/O APIC */

const char guest_name[] = "pci_scan";

static uint64_t ecam;

static void select(unsigned slot, unsigned function, unsigned reg)
{
	outl(PORT_ADDRESS, 0x80000000u | slot << 11 | function << 8 | reg);
}

static uint64_t ecam_at(unsigned slot, unsigned function, unsigned reg)
{
	return ecam + ((uint64_t)slot << 15 | function << 12 | reg);
}

/* Both ways to ask have to answer alike. */
static uint32_t config_read(unsigned slot, unsigned function, unsigned reg)
{
	uint32_t by_port, by_ecam;

	select(slot, function, reg);
	by_port = inl(PORT_DATA);
	by_ecam = read32(ecam_at(slot, function, reg));
	REQUIRE(by_port == by_ecam,
		"slot %u.%u register %x: CFC says %x, ECAM %x", slot, function,
		reg, by_port, by_ecam);
	return by_port;
}

static void config_write(unsigned slot, unsigned reg, uint32_t v)
{
	select(slot, 0, reg);
	outl(PORT_DATA, v);
}

/* BAR 0 all ones by @all_ones, then as it was. Its size, 0 without a BAR. */
static uint32_t size_bar(unsigned slot, bool by_ecam)
{
	uint32_t old = config_read(slot, 0, CFG_BAR0), mask, bytes;

	if (by_ecam)
		write32(ecam_at(slot, 0, CFG_BAR0), ABSENT);
	else
		config_write(slot, CFG_BAR0, ABSENT);
	mask = config_read(slot, 0, CFG_BAR0);
	config_write(slot, CFG_BAR0, old);
	REQUIRE(config_read(slot, 0, CFG_BAR0) == old,
		"slot %u: BAR 0 was %x, is %x", slot, old,
		config_read(slot, 0, CFG_BAR0));
	if (mask == 0)
		return 0;
	REQUIRE((mask & 0xf) == (old & 0xf), "slot %u: BAR type %x, then %x",
		slot, old & 0xf, mask & 0xf);
	bytes = -(mask & ~0xfu);
	REQUIRE(bytes >= 16 && !(bytes & (bytes - 1)),
		"slot %u: BAR 0 of %x bytes", slot, bytes);
	old &= ~0xfu;
	REQUIRE(old && !(old & (bytes - 1)) && old < HIGHEST_BAR - bytes,
		"slot %u: BAR 0 of %x bytes at %x", slot, bytes, old);
	return bytes;
}

static void check_bar(unsigned slot)
{
	uint32_t command = config_read(slot, 0, CFG_COMMAND) & 0xffff;
	uint32_t by_port, by_ecam;

	config_write(slot, CFG_COMMAND, command & ~COMMAND_MEM);
	by_port = size_bar(slot, false);
	by_ecam = size_bar(slot, true);
	config_write(slot, CFG_COMMAND, command);
	REQUIRE(by_port == by_ecam, "slot %u: BAR 0 of %x or %x bytes", slot,
		by_port, by_ecam);
	REQUIRE(by_port || slot == 0, "slot %u: no BAR 0", slot);
}

/* pvpanic's one register reads as its events, if and only if it decodes. */
static void check_decode(unsigned slot)
{
	uint32_t command = config_read(slot, 0, CFG_COMMAND) & 0xffff;
	uint64_t at = config_read(slot, 0, CFG_BAR0) & ~0xfu;

	config_write(slot, CFG_COMMAND, command | COMMAND_MEM);
	REQUIRE(read8(at) == 3, "pvpanic at %lx reads %x", at, read8(at));
	config_write(slot, CFG_COMMAND, command & ~COMMAND_MEM);
	REQUIRE(read8(at) == 0xff, "pvpanic at %lx, switched off, reads %x", at,
		read8(at));
	config_write(slot, CFG_COMMAND, command);
}

static int scan(uint32_t id)
{
	for (unsigned slot = 0; slot < NR_SLOTS; slot++)
		if (config_read(slot, 0, 0) == id)
			return (int)slot;
	return -1;
}

static void check_absent(void)
{
	unsigned present = 0;

	for (unsigned slot = 0; slot < NR_SLOTS; slot++) {
		uint32_t id = config_read(slot, 0, 0);

		for (unsigned f = 1; f < 8; f++)
			REQUIRE(config_read(slot, f, 0) == ABSENT,
				"slot %u has a function %u", slot, f);
		if (id != ABSENT) {
			check_bar(slot);
			present++;
			continue;
		}
		for (unsigned reg = 4; reg < 64; reg += 4)
			REQUIRE(config_read(slot, 0, reg) == ABSENT,
				"empty slot %u: register %x", slot, reg);
	}
	REQUIRE(present < NR_SLOTS, "no slot is empty");
}

void main(const struct hvm_start_info *info)
{
	const uint8_t *mcfg = acpi_find(info, "MCFG");
	int slot;

	REQUIRE(mcfg, "no MCFG");
	ecam = read64((uint64_t)mcfg + MCFG_BASE);
	REQUIRE(scan(HOST_BRIDGE) == 0, "no host bridge at 00.0");
	REQUIRE(scan(CONSOLE) > 0, "no virtio console");
	REQUIRE(scan(RNG) > 0, "no virtio rng");
	check_absent();
	slot = scan(PVPANIC);
	REQUIRE(slot > 0, "no pvpanic");
	check_decode((unsigned)slot);
}
