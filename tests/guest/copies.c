/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUs of several views read the same pages all the time, and in each phase one
 * of them writes to one page: it adds 1 to a word there, and then says what it
 * has written, in a page that is written often. Who reads what was said, and then
 * the word, must not find less: that would be a stale copy. "phases=N" is how
 * many writes there are, "wait=N" how many ticks of the time-stamp counter are
 * between two of them: long enough for pages to be copied. Other CPUs than the
 * first stay in real mode, so all of it is in the first MiB.
 */
#include "cpus.h"

#define ROUNDS	   0x7008ul /* that others have read all pages */
#define STALE	   0x7010ul /* what others have found */
#define WRITER	   0x7018ul /* 1 and more: which of them is to write; 0: done */
#define PAGE	   0x701cul /* 16 bits: offset of the page */
#define SHARED_END 0x7020ul
#define PAGES	   0x20000ul /* segment 0x2000 */
#define SAID	   0x30000ul /* segment 0x3000 */
#define NR_PAGES   16u

#define PATIENCE 2000000000000ul /* ticks: it hangs */

const char guest_name[] = "copies";

extern const uint8_t copies_code[], copies_code_end[];

__asm__("	.section .rodata\n"
	"	.code16\n"
	"copies_code:\n"
	"	cli\n"
	"	xorw	%ax, %ax\n"
	"	movw	%ax, %ds\n"
	"	movw	$0x2000, %ax\n"
	"	movw	%ax, %es\n"
	"	movw	$0x3000, %ax\n"
	"	movw	%ax, %fs\n"
	"	movw	$1, %bp\n"
	"	lock xaddw %bp, 0x7000\n"
	"	incw	%bp\n" /* which one this is */
	"1:	xorw	%bx, %bx\n"
	"2:	movw	%bx, %si\n"
	"	shrw	$10, %si\n"
	"	movl	%fs:(%si), %eax\n"
	"	movl	%es:(%bx), %edx\n"
	"	cmpl	%eax, %edx\n"
	"	jae	3f\n"
	"	lock incl 0x7010\n"
	"3:	addw	$0x1000, %bx\n"
	"	jnz	2b\n"
	"	lock incl 0x7008\n"
	"	cmpw	%bp, 0x7018\n"
	"	jne	1b\n"
	"	movw	0x701c, %bx\n" /* its turn */
	"	movw	%bx, %si\n"
	"	shrw	$10, %si\n"
	"	movl	%es:(%bx), %eax\n"
	"	incl	%eax\n"
	"	movl	%eax, %es:(%bx)\n"
	"	movl	%eax, %fs:(%si)\n"
	"	movw	$0, 0x7018\n"
	"	jmp	1b\n"
	"copies_code_end:\n"
	"	.code64\n"
	"	.text\n");

static void check_pages(void)
{
	for (uint64_t i = 0; i < NR_PAGES; i++) {
		uint32_t said = read32(SAID + 4 * i);
		uint32_t has = read32(PAGES + i * 4096);

		REQUIRE(has >= said, "CPU 0: page %lx has %u, not %u", i, has,
			said);
	}
	REQUIRE(read32(STALE) == 0, "%u stale reads", read32(STALE));
}

static unsigned start_all(const struct acpi_header *madt)
{
	unsigned started = 0;
	uint32_t at = 0, id;

	while (cpus_next(madt, &at, &id))
		cpus_start(id, started++);
	return started;
}

/* One write, by CPU @who: 0 is this one. */
static void write_page(unsigned who, unsigned page)
{
	uint64_t then = ticks();
	uint32_t v = read32(PAGES + page * 4096ul) + 1;

	if (who == 0) {
		write32(PAGES + page * 4096ul, v);
		write32(SAID + 4ul * page, v);
		return;
	}
	write16(PAGE, (uint16_t)(page * 4096));
	write16(WRITER, (uint16_t)who);
	while (read8(WRITER))
		REQUIRE(ticks() - then < PATIENCE, "CPU %u does not write",
			who);
	REQUIRE(read32(PAGES + page * 4096ul) == v,
		"CPU %u wrote to page %u: %u, not %u", who, page,
		read32(PAGES + page * 4096ul), v);
}

void main(const struct hvm_start_info *info)
{
	const struct acpi_header *madt = acpi_find(info, "APIC");
	const char *cmdline = (const char *)info->cmdline;
	uint64_t phases = number_of(cmdline, "phases=");
	uint64_t wait = number_of(cmdline, "wait=");
	unsigned others;

	REQUIRE(madt, "no MADT");
	for (uint64_t at = ROUNDS; at < SHARED_END; at += 4)
		write32(at, 0);
	for (uint64_t i = 0; i < NR_PAGES; i++) {
		write32(PAGES + i * 4096, 1);
		write32(SAID + 4 * i, 1);
	}
	cpus_prepare(copies_code, copies_code_end);
	others = start_all(madt);
	for (uint64_t p = 0; p < phases; p++) {
		uint64_t then = ticks();

		while (ticks() - then < wait)
			check_pages();
		write_page((unsigned)(p % (others + 1)),
			   (unsigned)(p % NR_PAGES));
		check_pages();
	}
	for (uint64_t i = 0; i < NR_PAGES; i++) {
		uint64_t want =
			1 + phases / NR_PAGES + (i < phases % NR_PAGES ? 1 : 0);

		REQUIRE(read32(PAGES + i * 4096) == want,
			"page %lx has %u, not %lx", i, read32(PAGES + i * 4096),
			want);
	}
	print("rounds %u\n", read32(ROUNDS));
}
