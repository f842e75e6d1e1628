/* SPDX-License-Identifier: BSD-2-Clause */
#include "cpus.h"

#define MADT_HEAD 44 /* ACPI 5.2.12 */
#define CPU_ENTRY 0

#define MSR_APIC_BASE 0x1bu
#define X2APIC_ON     0xc00u
#define MSR_SPURIOUS  0x80fu
#define MSR_ICR	      0x830u
#define APIC_ON	      0x1ffu
#define ICR_INIT      0x4500u
#define ICR_STARTUP   0x4600u
#define PATIENCE      2000000000000ul /* ticks: it hangs */

void cpus_prepare(const uint8_t *code, const uint8_t *end)
{
	for (uint64_t i = 0; code + i < end; i++)
		write8(CPUS_CODE + i, code[i]);
	write16(CPUS_STARTED, 0);
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | X2APIC_ON);
	wrmsr(MSR_SPURIOUS, APIC_ON);
}

bool cpus_next(const struct acpi_header *madt, uint32_t *at, uint32_t *id)
{
	const uint8_t *base = (const uint8_t *)madt;
	uint32_t i = *at ? *at : MADT_HEAD;

	while (i < madt->length && (base[i] != CPU_ENTRY || base[i + 3] == 0))
		i += base[i + 1];
	if (i >= madt->length)
		return false;
	*id = base[i + 3];
	*at = i + base[i + 1];
	return true;
}

void cpus_start(uint32_t id, unsigned before)
{
	uint64_t then = ticks();

	wrmsr(MSR_ICR, (uint64_t)id << 32 | ICR_INIT);
	wrmsr(MSR_ICR, (uint64_t)id << 32 | ICR_STARTUP | CPUS_CODE >> 12);
	while (read8(CPUS_STARTED) != (uint8_t)(before + 1))
		REQUIRE(ticks() - then < PATIENCE, "CPU %u does not start", id);
}
