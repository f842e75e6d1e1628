/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI tables are whole and say what a hardware-reduced PC says. */
#include "guest.h"

#define RSDP_V1_BYTES 20
#define MADT_HEAD     44 /* 5.2.12 */
#define SRAT_HEAD     48 /* 5.2.16 */
#define CPU_ENTRY     0	 /* local APIC in the MADT, its affinity in the SRAT */
#define CPU_ENABLED   1u /* of the flags, at 4 in both */

const char guest_name[] = "acpi";

static void check_sum(const struct acpi_header *t)
{
	REQUIRE(t->length >= sizeof(*t), "a table of %u bytes", t->length);
	REQUIRE(sums_to_zero(t, t->length), "checksum of a table at %lx",
		(uint64_t)t);
}

static unsigned enabled_cpus(const struct acpi_header *t, uint32_t head)
{
	const uint8_t *base = (const uint8_t *)t;
	uint32_t at = head;
	unsigned n = 0;

	while (at < t->length) {
		uint8_t type = base[at], bytes = base[at + 1];

		REQUIRE(bytes >= 2 && bytes <= t->length - at,
			"entry of %u bytes at %u in a table at %lx", bytes, at,
			(uint64_t)t);
		if (type == CPU_ENTRY)
			n += read32((uint64_t)base + at + 4) & CPU_ENABLED;
		at += bytes;
	}
	return n;
}

static void check_rsdp(const struct acpi_rsdp *r)
{
	REQUIRE(r->revision >= 2, "RSDP revision %u", r->revision);
	REQUIRE(sums_to_zero(r, RSDP_V1_BYTES), "RSDP checksum");
	REQUIRE(r->length >= sizeof(*r), "RSDP of %u bytes", r->length);
	REQUIRE(sums_to_zero(r, r->length), "RSDP extended checksum");
}

static void check_fadt(const struct acpi_fadt *f)
{
	const struct acpi_header *dsdt;

	REQUIRE(f, "no FADT");
	REQUIRE(f->h.length >= sizeof(*f), "FADT of %u bytes", f->h.length);
	REQUIRE(f->flags & FADT_HW_REDUCED, "flags %x: not hardware-reduced",
		f->flags);
	dsdt = (const void *)(f->x_dsdt ? f->x_dsdt : f->dsdt);
	REQUIRE(dsdt && same(dsdt->signature, "DSDT", 4), "no DSDT at %lx",
		(uint64_t)dsdt);
	REQUIRE(!f->dsdt || !f->x_dsdt || f->dsdt == f->x_dsdt,
		"two DSDTs, %x and %lx", f->dsdt, f->x_dsdt);
	check_sum(dsdt);
}

void main(const struct hvm_start_info *info)
{
	const struct acpi_header *xsdt = acpi_xsdt(info), *madt, *srat;
	unsigned cpus, placed;

	check_rsdp((const void *)info->rsdp);
	check_sum(xsdt);
	REQUIRE(acpi_nr_tables(xsdt), "the XSDT is empty");
	for (unsigned i = 0; i < acpi_nr_tables(xsdt); i++) {
		REQUIRE(acpi_table(xsdt, i), "XSDT entry %u is 0", i);
		check_sum(acpi_table(xsdt, i));
	}
	check_fadt(acpi_find(info, "FACP"));
	madt = acpi_find(info, "APIC");
	REQUIRE(madt, "no MADT");
	cpus = enabled_cpus(madt, MADT_HEAD);
	REQUIRE(cpus >= 1, "no enabled CPU in the MADT");
	srat = acpi_find(info, "SRAT"); /* optional */
	placed = srat ? enabled_cpus(srat, SRAT_HEAD) : cpus;
	REQUIRE(placed == cpus, "SRAT places %u of %u CPUs", placed, cpus);
}
