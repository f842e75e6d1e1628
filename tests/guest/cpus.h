/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Further CPUs of a tiny guest: CPU 0 starts them by its local APIC in x2APIC
 * mode. They stay in real mode, so their code and what they share with CPU 0 is
 * in the first MiB.
 */
#ifndef TESTS_GUEST_CPUS_H
#define TESTS_GUEST_CPUS_H

#include "guest.h"

#define CPUS_CODE    0x6000ul /* where they start: start-up vector 6 */
#define CPUS_STARTED 0x7000ul /* 16 bits: each counts itself here */

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
}

/* The time-stamp counter. */
static inline uint64_t ticks(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* Put the code of the further CPUs in place, and switch CPU 0's APIC on. */
void cpus_prepare(const uint8_t *code, const uint8_t *end);

/*
 * APIC numbers of the further CPUs that the MADT lists: *@at is 0 at first.
 * Return: false: there is no other one; *@id is untouched then.
 */
bool cpus_next(const struct acpi_header *madt, uint32_t *at, uint32_t *id);

/*
 * Start a CPU by INIT and a start-up IPI right after it, and wait until it is the
 * one that follows @before others. Fails where it does not start.
 */
void cpus_start(uint32_t id, unsigned before);

#endif
