/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/vm/acpi.h"

#include <errno.h>
#include <string.h>

#include "dsdt.hex" /* dsdt_aml_code[], made by iasl from dsdt.asl */
#include "monitor/dev/platform/layout.h"

#define FADT_POWER_BUTTON    (1u << 4) /* a device, not fixed hardware */
#define FADT_SLEEP_BUTTON    (1u << 5) /* the same, or none */
#define FADT_RESET_SUPPORTED (1u << 10)
#define FADT_HW_REDUCED	     (1u << 20)
#define BOOT_NO_VGA	     (1u << 2)
#define BOOT_NO_CMOS	     (1u << 5)
#define GAS_SYSTEM_IO	     1
#define GAS_BYTE_ACCESS	     1
#define LOCAL_APIC_ENABLED   1u
#define AFFINITY_ENABLED     1u

struct acpi_header { /* 5.2.6 */
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct acpi_gas { /* 5.2.3.2 */
	uint8_t space, bit_width, bit_offset, access_size;
	uint64_t address;
} __attribute__((packed));

struct acpi_rsdp { /* 5.2.5.3 */
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum, reserved[3];
} __attribute__((packed));

struct acpi_fadt { /* 5.2.9, revision 6 */
	struct acpi_header h;
	uint32_t firmware_ctrl, dsdt;
	uint8_t legacy_1[65]; /* SCI, PM registers: absent (hw reduced) */
	uint16_t boot_arch;
	uint8_t reserved;
	uint32_t flags;
	struct acpi_gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_firmware_ctrl, x_dsdt;
	struct acpi_gas legacy_2[8];
	struct acpi_gas sleep_control, sleep_status;
	uint64_t hypervisor_id;
} __attribute__((packed));

struct madt_head { /* 5.2.12 */
	struct acpi_header h;
	uint32_t lapic_address, flags;
} __attribute__((packed));

struct madt_lapic { /* 5.2.12.2 */
	uint8_t type, length, uid, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct madt_ioapic { /* 5.2.12.3 */
	uint8_t type, length, id, reserved;
	uint32_t address, gsi_base;
} __attribute__((packed));

struct mcfg { /* PCI Firmware 3.3, 4.1.2 */
	struct acpi_header h;
	uint64_t reserved;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved2;
} __attribute__((packed));

struct srat_head { /* 5.2.16 */
	struct acpi_header h;
	uint32_t one;
	uint64_t reserved;
} __attribute__((packed));

struct srat_lapic { /* 5.2.16.1 */
	uint8_t type, length, domain_low, apic_id;
	uint32_t flags;
	uint8_t sapic_eid, domain_high[3];
	uint32_t clock_domain;
} __attribute__((packed));

struct srat_memory { /* 5.2.16.2 */
	uint8_t type, length;
	uint32_t domain;
	uint16_t reserved;
	uint64_t base, bytes;
	uint32_t reserved2, flags;
	uint64_t reserved3;
} __attribute__((packed));

struct slit_head { /* 5.2.17; a byte per pair of nodes follows */
	struct acpi_header h;
	uint64_t nr;
} __attribute__((packed));

_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 5.2.6");
_Static_assert(sizeof(struct srat_head) == 48, "ACPI 5.2.16");
_Static_assert(sizeof(struct srat_lapic) == 16, "ACPI 5.2.16.1");
_Static_assert(sizeof(struct srat_memory) == 40, "ACPI 5.2.16.2");
_Static_assert(sizeof(struct slit_head) == 44, "ACPI 5.2.17");
_Static_assert(sizeof(struct acpi_rsdp) == 36, "ACPI 5.2.5.3");
_Static_assert(sizeof(struct acpi_fadt) == 276, "ACPI 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, boot_arch) == 109, "ACPI 5.2.9");
_Static_assert(offsetof(struct acpi_fadt, sleep_control) == 244, "5.2.9");

/* Tables go one after the other; a table that does not fit sets @full. */
struct acpi_builder {
	uint8_t *buf;
	size_t size, used;
	uint64_t base;
	bool full;
};

static void *acpi_take(struct acpi_builder *b, size_t bytes, uint64_t *where)
{
	size_t at = align_up(b->used, 16);

	if (!range_fits(at, bytes, b->size)) {
		b->full = true;
		return NULL;
	}
	b->used = at + bytes;
	*where = b->base + at;
	return b->buf + at;
}

static uint8_t acpi_checksum(const void *p, size_t n)
{
	const uint8_t *byte = p;
	unsigned sum = 0;

	while (n--)
		sum += *byte++;
	return (uint8_t)(0u - sum);
}

static void acpi_seal(struct acpi_header *h, const char *signature,
		      uint8_t revision, size_t bytes)
{
	memcpy(h->signature, signature, 4);
	h->length = (uint32_t)bytes;
	h->revision = revision;
	memcpy(h->oem_id, "DISCO ", 6);
	memcpy(h->oem_table_id, "DISCOVMM", 8);
	h->oem_revision = 1;
	memcpy(h->creator_id, "DSCO", 4);
	h->creator_revision = 1;
	h->checksum = 0;
	h->checksum = acpi_checksum(h, bytes);
}

static struct acpi_gas io_byte(uint16_t port)
{
	return (struct acpi_gas){ .space = GAS_SYSTEM_IO,
				  .bit_width = 8,
				  .access_size = GAS_BYTE_ACCESS,
				  .address = port };
}

static uint64_t add_fadt(struct acpi_builder *b, uint64_t dsdt, bool has_cmos)
{
	uint64_t at = 0;
	struct acpi_fadt *f = acpi_take(b, sizeof(*f), &at);

	if (!f)
		return 0;
	f->dsdt = (uint32_t)dsdt;
	f->x_dsdt = dsdt;
	/* No 8042. Linux reads a CMOS once more when its own clock is right. */
	f->boot_arch = BOOT_NO_VGA | (has_cmos ? 0 : BOOT_NO_CMOS);
	f->flags = FADT_HW_REDUCED | FADT_RESET_SUPPORTED | FADT_POWER_BUTTON |
		   FADT_SLEEP_BUTTON;
	f->reset_reg = io_byte(PORT_RESET);
	f->reset_value = RESET_VALUE;
	f->minor = 4;
	f->sleep_control = io_byte(PORT_SLEEP);
	f->sleep_status = io_byte(PORT_SLEEP + 1);
	memcpy(&f->hypervisor_id, "DISCOVMM", 8);
	acpi_seal(&f->h, "FACP", 6, sizeof(*f));
	return at;
}

static uint64_t add_madt(struct acpi_builder *b, const struct acpi_machine *mc)
{
	size_t bytes = sizeof(struct madt_head) + sizeof(struct madt_ioapic) +
		       mc->nr_vcpus * sizeof(struct madt_lapic);
	uint64_t at = 0;
	uint8_t *p = acpi_take(b, bytes, &at);
	struct madt_head *m = (void *)p;
	struct madt_ioapic io = { .type = 1,
				  .length = sizeof(io),
				  .address = LAYOUT_IOAPIC };

	if (!p)
		return 0;
	m->lapic_address = LAYOUT_LAPIC;
	p += sizeof(*m);
	memcpy(p, &io, sizeof(io));
	p += sizeof(io);
	for (unsigned i = 0; i < mc->nr_vcpus;
	     i++, p += sizeof(struct madt_lapic)) {
		struct madt_lapic l = { .length = sizeof(l),
					.uid = (uint8_t)i,
					.apic_id = mc->apic_ids[i],
					.flags = LOCAL_APIC_ENABLED };

		memcpy(p, &l, sizeof(l));
	}
	acpi_seal(&m->h, "APIC", 5, bytes);
	return at;
}

static uint64_t add_mcfg(struct acpi_builder *b)
{
	uint64_t at = 0;
	struct mcfg *m = acpi_take(b, sizeof(*m), &at);

	if (!m)
		return 0;
	m->base = LAYOUT_ECAM;
	acpi_seal(&m->h, "MCFG", 1, sizeof(*m));
	return at;
}

/* Which node vCPUs and memory belong to. */
static uint64_t add_srat(struct acpi_builder *b, const struct acpi_machine *mc)
{
	size_t bytes = sizeof(struct srat_head) +
		       mc->nr_vcpus * sizeof(struct srat_lapic) +
		       mc->nr_ranges * sizeof(struct srat_memory);
	uint64_t at = 0;
	uint8_t *p = acpi_take(b, bytes, &at);
	struct srat_head *head = (void *)p;

	if (!p)
		return 0;
	head->one = 1;
	p += sizeof(*head);
	for (unsigned i = 0; i < mc->nr_vcpus;
	     i++, p += sizeof(struct srat_lapic)) {
		struct srat_lapic l = { .length = sizeof(l),
					.domain_low = mc->vcpu_node[i],
					.apic_id = mc->apic_ids[i],
					.flags = AFFINITY_ENABLED };

		memcpy(p, &l, sizeof(l));
	}
	for (unsigned i = 0; i < mc->nr_ranges;
	     i++, p += sizeof(struct srat_memory)) {
		struct srat_memory m = { .type = 1,
					 .length = sizeof(m),
					 .domain = mc->ranges[i].node,
					 .base = mc->ranges[i].gpa,
					 .bytes = mc->ranges[i].bytes,
					 .flags = AFFINITY_ENABLED };

		memcpy(p, &m, sizeof(m));
	}
	acpi_seal(&head->h, "SRAT", 3, bytes);
	return at;
}

static uint64_t add_slit(struct acpi_builder *b, const struct acpi_machine *mc)
{
	size_t nr = mc->nr_nodes, bytes = sizeof(struct slit_head) + nr * nr;
	uint64_t at = 0;
	struct slit_head *head = acpi_take(b, bytes, &at);
	uint8_t *p;

	if (!head)
		return 0;
	p = (uint8_t *)(head + 1);
	head->nr = nr;
	for (size_t i = 0; i < nr; i++, p += nr)
		memcpy(p, mc->distance[i], nr);
	acpi_seal(&head->h, "SLIT", 1, bytes);
	return at;
}

static uint64_t add_dsdt(struct acpi_builder *b)
{
	uint64_t at = 0;
	void *p = acpi_take(b, sizeof(dsdt_aml_code), &at);

	if (p)
		memcpy(p, dsdt_aml_code, sizeof(dsdt_aml_code));
	return at;
}

static uint64_t add_xsdt(struct acpi_builder *b, const uint64_t *tables,
			 size_t n)
{
	size_t bytes = sizeof(struct acpi_header) + n * sizeof(*tables);
	uint64_t at = 0;
	struct acpi_header *x = acpi_take(b, bytes, &at);

	if (!x)
		return 0;
	memcpy(x + 1, tables, n * sizeof(*tables));
	acpi_seal(x, "XSDT", 1, bytes);
	return at;
}

int acpi_build(uint8_t *buf, size_t size, uint64_t base,
	       const struct acpi_machine *m, size_t *used)
{
	struct acpi_builder b = { .buf = buf, .size = size, .base = base };
	uint64_t at, dsdt, tables[5];
	size_t nr = 0;
	struct acpi_rsdp *r = acpi_take(&b, sizeof(*r), &at);

	dsdt = add_dsdt(&b);
	tables[nr++] = add_fadt(&b, dsdt, m->has_cmos);
	tables[nr++] = add_madt(&b, m);
	tables[nr++] = add_mcfg(&b);
	if (m->nr_nodes) {
		tables[nr++] = add_srat(&b, m);
		tables[nr++] = add_slit(&b, m);
	}
	at = add_xsdt(&b, tables, nr);
	if (b.full || !r)
		return -ENOSPC;
	memcpy(r->signature, "RSD PTR ", 8);
	memcpy(r->oem_id, "DISCO ", 6);
	r->revision = 2;
	r->length = sizeof(*r);
	r->xsdt = at;
	r->checksum = acpi_checksum(r, 20);
	r->extended_checksum = acpi_checksum(r, sizeof(*r));
	*used = b.used;
	return 0;
}
