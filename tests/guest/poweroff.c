/* SPDX-License-Identifier: BSD-2-Clause */
/* Power-off as ACPI describes it: register from the FADT, type from \_S5. */
#include "guest.h"

#define SLEEP_ENABLE	0x20u
#define AML_PACKAGE	0x12
#define AML_BYTE_PREFIX 0x0a
#define AML_ONE		0x01

const char guest_name[] = "poweroff";

/* @p follows the name: PackageOp, length, element count, first element. */
static uint8_t first_element(const uint8_t *p)
{
	REQUIRE(*p == AML_PACKAGE, "\\_S5 is no package but %x", *p);
	p++;
	p += 1 + (*p >> 6); /* PkgLength: bits 7:6 bytes follow */
	p++;
	if (*p == AML_BYTE_PREFIX)
		return p[1];
	REQUIRE(*p <= AML_ONE, "\\_S5 starts with %x", *p);
	return *p;
}

static uint8_t sleep_type(const struct acpi_header *dsdt)
{
	const uint8_t *p = (const void *)(dsdt + 1);
	const uint8_t *end = (const uint8_t *)dsdt + dsdt->length - 8;

	for (; p < end; p++)
		if (same(p, "_S5_", 4))
			return first_element(p + 4);
	fail("no \\_S5 in %u bytes of DSDT", dsdt->length);
}

void main(const struct hvm_start_info *info)
{
	const struct acpi_fadt *f = acpi_find(info, "FACP");
	uint16_t port;
	uint8_t type;

	REQUIRE(f, "no FADT");
	port = acpi_port(&f->sleep_control, "sleep control");
	type = sleep_type((const void *)f->x_dsdt);
	pass();
	outb(port, (uint8_t)(SLEEP_ENABLE | type << 2));
	linger();
	print("FAIL %s: still running\n", guest_name);
	reset(); /* not power_off(): the exit status has to differ */
}
