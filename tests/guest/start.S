/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PVH entry (Xen docs/misc/pvh.pandoc): 32-bit, flat, no paging, ebx holds
 * struct hvm_start_info. From there to long mode with the first 8 GiB mapped
 * one to one, and to guest_start() in guest.c.
 */
#define NR_DIRS	   8
#define PTE_TABLE  0x3	/* present, writable */
#define PTE_HUGE   0x83 /* and 2 MiB */
#define CR0_PG	   0x80000000
#define CR4_PAE	   0x20
#define MSR_EFER   0xc0000080
#define EFER_LME   0x100
#define SEL_CODE   0x08
#define SEL_DATA   0x10
#define WITH_ERROR 0x60227d00 /* vectors that push an error code */

	.section .note.pvh, "a", @note
	.balign	4
	.long	4, 4, 18	/* name bytes, value bytes, PHYS32_ENTRY */
	.asciz	"Xen"
	.long	pvh_entry

	.section .text.start, "ax"
	.code32
	.globl	pvh_entry
pvh_entry:
	movl	$stack_end, %esp
	pushfl
	popl	entry_eflags
	movl	%cr0, %eax
	movl	%eax, entry_cr0
	movl	%cr4, %eax
	movl	%eax, entry_cr4
	cld

	movl	$(pdpt + PTE_TABLE), pml4
	xorl	%ecx, %ecx
	movl	$(dirs + PTE_TABLE), %eax
1:	movl	%eax, pdpt(, %ecx, 8)
	addl	$4096, %eax
	incl	%ecx
	cmpl	$NR_DIRS, %ecx
	jne	1b

	xorl	%ecx, %ecx
2:	movl	%ecx, %eax
	shll	$21, %eax
	orl	$PTE_HUGE, %eax
	movl	%ecx, %edx
	shrl	$11, %edx
	movl	%eax, dirs(, %ecx, 8)
	movl	%edx, dirs + 4(, %ecx, 8)
	incl	%ecx
	cmpl	$(NR_DIRS * 512), %ecx
	jne	2b

	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	movl	%cr0, %eax
	orl	$CR0_PG, %eax
	movl	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$SEL_CODE, $start64

	.code64
start64:
	movl	$SEL_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$stack_end, %esp
	xorl	%ebp, %ebp
	movl	%ebx, %edi
	call	guest_start
3:	cli
	hlt
	jmp	3b

/* 32 stubs, 16 bytes each: all leave an error code and the vector. */
	.text
	.balign	16
	.globl	trap_stubs
trap_stubs:
	.set	vector, 0
	.rept	32
	.balign	16
	.if	!((WITH_ERROR >> vector) & 1)
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_enter
	.set	vector, vector + 1
	.endr

trap_enter:
	cld
	movq	%rsp, %rdi
	andq	$-16, %rsp
	call	trap
4:	cli
	hlt
	jmp	4b

	.section .rodata
	.balign	8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.bss
	.balign	4096
pml4:	.skip	4096
pdpt:	.skip	4096
dirs:	.skip	NR_DIRS * 4096
	.skip	16384
stack_end:
	.globl	entry_cr0, entry_cr4, entry_eflags
entry_cr0:
	.skip	4
entry_cr4:
	.skip	4
entry_eflags:
	.skip	4

	.section .note.GNU-stack, "", @progbits
