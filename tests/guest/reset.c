/* SPDX-License-Identifier: BSD-2-Clause */
/* Reset by the register the FADT names. */
#include "guest.h"

const char guest_name[] = "reset";

void main(const struct hvm_start_info *info)
{
	const struct acpi_fadt *f = acpi_find(info, "FACP");
	uint16_t port;

	REQUIRE(f, "no FADT");
	REQUIRE(f->flags & FADT_RESET_SUPPORTED, "flags %x: no reset register",
		f->flags);
	port = acpi_port(&f->reset_reg, "reset");
	pass();
	outb(port, f->reset_value);
	linger();
	fail("still running");
}
