/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All CPUs of the MADT start by INIT and a start-up IPI right after it, and each
 * of them sends an IPI to the first one. Its time-stamp counter, as it starts, is
 * between what the first one's was before and is afterwards; so a difference is
 * found that is longer than a start. CPUs stay in real mode with interrupts off:
 * what has come is in the request register of the local APIC.
 */
#include "cpus.h"

#define MAX_ID	     31u
#define COUNTER	     0x7008ul /* of the last one that has, when it did */
#define FIRST_VECTOR 0x60u    /* CPU n sends this and n more */

#define MSR_IRR	 0x820u
#define PATIENCE 2000000000ul /* turns */

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

static bool has_come(unsigned vector)
{
	return rdmsr(MSR_IRR + vector / 32) >> vector % 32 & 1;
}

static void smp_start(uint32_t id, unsigned before)
{
	uint64_t turns = 0, then = ticks(), at, now;

	cpus_start(id, before);
	now = ticks();
	at = read32(COUNTER) | (uint64_t)read32(COUNTER + 4) << 32;
	REQUIRE(then <= at && at <= now, "CPU %u: at %lx, not %lx to %lx", id,
		at, then, now);
	while (!has_come(FIRST_VECTOR + id))
		REQUIRE(++turns < PATIENCE, "nothing comes from CPU %u", id);
}

void main(const struct hvm_start_info *info)
{
	const struct acpi_header *madt = acpi_find(info, "APIC");
	unsigned started = 0;
	uint32_t at = 0, id;

	REQUIRE(madt, "no MADT");
	cpus_prepare(smp_code, smp_code_end);
	while (cpus_next(madt, &at, &id)) {
		REQUIRE(id <= MAX_ID, "CPU %u has no vector", id);
		smp_start(id, started++);
	}
	print("started %u\n", started);
}
