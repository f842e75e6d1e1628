/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest of tests/lab/ipis.c, in real mode with its APIC in x2APIC mode. All
 * of it is copied to a page boundary, which every vCPU starts at: the first one
 * by its registers, others by a start-up IPI. A vCPU has a segment of its own
 * (struct cpu in ipis.c) for data and stack, waits in it, and does what
 * interrupts say.
 */
#define STARTED	0
#define NOTES	4
#define PINGS	8
#define NMIS	12
#define LEFT	16
#define ICR_LO	20
#define ICR_HI	24
#define SPIN	28
#define BAD	32
#define STACK	0xff0
#define FIRST_SEGMENT 0x2000

	.section .rodata
	.code16
	.globl ipi_guest, ipi_guest_note, ipi_guest_ping, ipi_guest_nmi
	.globl ipi_guest_bad, ipi_guest_end

	.macro write_msr msr
	movl	$\msr, %ecx
	wrmsr
	.endm

	.macro end_of_interrupt
	xorl	%eax, %eax
	xorl	%edx, %edx
	write_msr 0x80b
	.endm

	.macro save
	pushl	%eax
	pushl	%ecx
	pushl	%edx
	.endm

	.macro restore
	popl	%edx
	popl	%ecx
	popl	%eax
	.endm

	.balign	16
ipi_guest:
	cli
	movl	$0x802, %ecx		/* id: 0x100 paragraphs each */
	rdmsr
	shlw	$8, %ax
	addw	$FIRST_SEGMENT, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movl	$STACK, %esp
	movl	$0x1ff, %eax		/* APIC on */
	xorl	%edx, %edx
	write_msr 0x80f
	incl	STARTED
	sti
1:	cmpl	$0, SPIN
	jne	1b
	hlt
	jmp	1b

ipi_guest_note:
	save
	incl	NOTES
	end_of_interrupt
	restore
	iretw

/*
 * Writes the ICR if something is left to be sent, and counts: who sees the count
 * may set what is sent next, so it comes last.
 */
ipi_guest_ping:
	save
	end_of_interrupt
	cmpl	$0, LEFT
	je	2f
	decl	LEFT
	movl	ICR_LO, %eax
	movl	ICR_HI, %edx
	write_msr 0x830
2:	incl	PINGS
	restore
	iretw

ipi_guest_nmi:
	incl	NMIS
	iretw

ipi_guest_bad:
	incl	BAD
	iretw
ipi_guest_end:
	.section .note.GNU-stack, "", @progbits
