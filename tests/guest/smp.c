/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All CPUs of the MADT start by INIT and a start-up IPI right after it, and each
 * of them sends an IPI to the first one. Its time-stamp counter, as it starts, is
 * between what the first one's was before and is afterwards; so a difference is
 * found that is longer than a start. CPUs stay in real mode with interrupts off:
 * what has come is in the request register of the local APIC.
 */
#include "guest.h"

#define MADT_HEAD    44 /* ACPI 5.2.12 */
#define CPU_ENTRY    0
#define MAX_ID	     31u
#define CODE	     0x6000ul /* of the other CPUs: start-up vector 6 */
#define STARTED	     0x7000ul /* how many of them have */
#define COUNTER	     0x7008ul /* of the last one that has, when it did */
#define FIRST_VECTOR 0x60u    /* CPU n sends this and n more */

#define MSR_APIC_BASE 0x1bu
#define X2APIC_ON     0xc00u
#define MSR_SPURIOUS  0x80fu
#define MSR_IRR	      0x820u
#define MSR_ICR	      0x830u
#define APIC_ON	      0x1ffu
#define ICR_INIT      0x4500u
#define ICR_STARTUP   0x4600u
#define PATIENCE      2000000000ul /* turns */

const char guest_name[] = "smp";

extern const uint8_t smp_code[], smp_code_end[];

__asm__("	.section .rodata\n"
	"	.code16\n"
	"smp_code:\n"
	"	cli\n"
	"	xorw	%ax, %ax\n"
	"	movw	%ax, %ds\n"
	"	rdtsc\n"
	"	movl	%eax, 0x7008\n"
	"	movl	%edx, 0x700c\n"
	"	lock incw 0x7000\n"
	"	movl	$0x1b, %ecx\n" /* x2APIC */
	"	rdmsr\n"
	"	orl	$0xc00, %eax\n"
	"	wrmsr\n"
	"	movl	$0x80f, %ecx\n" /* on */
	"	movl	$0x1ff, %eax\n"
	"	xorl	%edx, %edx\n"
	"	wrmsr\n"
	"	movl	$0x802, %ecx\n" /* id */
	"	rdmsr\n"
	"	addl	$0x60, %eax\n"
	"	xorl	%edx, %edx\n" /* to CPU 0 */
	"	movl	$0x830, %ecx\n"
	"	wrmsr\n"
	"1:	hlt\n"
	"	jmp	1b\n"
	"smp_code_end:\n"
	"	.code64\n"
	"	.text\n");

static uint64_t smp_rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static void smp_wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
}

static bool has_come(unsigned vector)
{
	return smp_rdmsr(MSR_IRR + vector / 32) >> vector % 32 & 1;
}

static uint64_t smp_counter(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static void smp_start(unsigned id, unsigned before)
{
	uint64_t turns = 0, then = smp_counter(), at, now;

	smp_wrmsr(MSR_ICR, (uint64_t)id << 32 | ICR_INIT);
	smp_wrmsr(MSR_ICR, (uint64_t)id << 32 | ICR_STARTUP | CODE >> 12);
	while (read8(STARTED) != (uint8_t)(before + 1))
		REQUIRE(++turns < PATIENCE, "CPU %u does not start", id);
	now = smp_counter();
	at = read32(COUNTER) | (uint64_t)read32(COUNTER + 4) << 32;
	REQUIRE(then <= at && at <= now, "CPU %u: at %lx, not %lx to %lx", id,
		at, then, now);
	while (!has_come(FIRST_VECTOR + id))
		REQUIRE(++turns < PATIENCE, "nothing comes from CPU %u", id);
}

void main(const struct hvm_start_info *info)
{
	const struct acpi_header *madt = acpi_find(info, "APIC");
	const uint8_t *base = (const uint8_t *)madt;
	unsigned started = 0;

	REQUIRE(madt, "no MADT");
	for (uint64_t i = 0; i < (uint64_t)(smp_code_end - smp_code); i++)
		write8(CODE + i, smp_code[i]);
	write8(STARTED, 0);
	smp_wrmsr(MSR_APIC_BASE, smp_rdmsr(MSR_APIC_BASE) | X2APIC_ON);
	smp_wrmsr(MSR_SPURIOUS, APIC_ON);
	for (uint32_t at = MADT_HEAD; at < madt->length; at += base[at + 1]) {
		unsigned id = base[at + 3];

		if (base[at] != CPU_ENTRY || id == 0)
			continue;
		REQUIRE(id <= MAX_ID, "CPU %u has no vector", id);
		smp_start(id, started++);
	}
	print("started %u\n", started);
}
