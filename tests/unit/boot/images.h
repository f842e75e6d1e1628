/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The smallest kernels the loader accepts, built in memory; what tests and
 * fuzzers of monitor/boot start from.
 *
 * ELF:      [header] [3 program headers] [PVH note] [text] [data]
 * bzImage:  [1 boot sector, 1 setup sector] [stub with the entry] [payload]
 */
#ifndef TESTS_UNIT_BOOT_IMAGES_H
#define TESTS_UNIT_BOOT_IMAGES_H

#include <elf.h>
#include <string.h>

#include "disco/base.h"

#define ELF_NOTE_AT    0x100u /* in the file */
#define ELF_TEXT_AT    0x200u
#define ELF_DATA_AT    0x400u
#define ELF_BYTES      0x500u
#define ELF_TEXT_GPA   MIB(16)
#define ELF_TEXT_BYTES 0x200u
#define ELF_DATA_GPA   MIB(18)
#define ELF_DATA_BYTES 0x100u  /* in the file */
#define ELF_DATA_ROOM  0x3000u /* in memory */
#define ELF_NOTE_BYTES 20u
#define ELF_ENTRY      (ELF_TEXT_GPA + 0x10)
#define ELF_PVH_ENTRY  (ELF_TEXT_GPA + 0x20)

/* Where a field is in the file. */
#define EH(field) (offsetof(Elf64_Ehdr, field))
#define PH(i, field)                                                           \
	(sizeof(Elf64_Ehdr) + (i) * sizeof(Elf64_Phdr) +                       \
	 offsetof(Elf64_Phdr, field))
#define NH(field) (ELF_NOTE_AT + offsetof(Elf64_Nhdr, field))

#define BZ_KERNEL_AT 0x400u /* after 2 sectors */
#define BZ_STUB	     0x400u /* kernel part before the payload */
#define BZ_AT(bytes) (BZ_KERNEL_AT + BZ_STUB + (bytes))
#define BZ_PREF	     MIB(16)
#define BZ_INIT_SIZE MIB(1)

/* boot.rst, "The Real-Mode Kernel Header". */
#define BZ_SETUP_SECTS	  0x1f1u
#define BZ_SYSSIZE	  0x1f4u
#define BZ_BOOT_FLAG	  0x1feu
#define BZ_JUMP_LENGTH	  0x201u
#define BZ_MAGIC	  0x202u
#define BZ_VERSION	  0x206u
#define BZ_LOADFLAGS	  0x211u
#define BZ_INITRD_MAX	  0x22cu
#define BZ_XLOADFLAGS	  0x236u
#define BZ_CMDLINE_SIZE	  0x238u
#define BZ_PAYLOAD_OFFSET 0x248u
#define BZ_PAYLOAD_LENGTH 0x24cu
#define BZ_PREF_ADDRESS	  0x258u
#define BZ_INIT_SIZE_AT	  0x260u
#define BZ_HEADER_END	  0x268u

/* Little-endian, like the host. */
static inline void put(uint8_t *file, size_t at, uint64_t value, size_t width)
{
	memcpy(file + at, &value, width);
}

static inline void elf_build_note(uint8_t *file)
{
	const Elf64_Nhdr n = { .n_namesz = 4, .n_descsz = 4, .n_type = 18 };

	memcpy(file + ELF_NOTE_AT, &n, sizeof(n));
	memcpy(file + ELF_NOTE_AT + sizeof(n), "Xen", 4);
	put(file, ELF_NOTE_AT + sizeof(n) + 4, ELF_PVH_ENTRY, 4);
}

/* Fills @file, ELF_BYTES long. */
static inline void elf_build(uint8_t *file)
{
	const Elf64_Ehdr h = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = ELF_ENTRY,
		.e_phoff = sizeof(h),
		.e_ehsize = sizeof(h),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 3,
	};
	const Elf64_Phdr p[] = {
		{ .p_type = PT_LOAD,
		  .p_offset = ELF_TEXT_AT,
		  .p_paddr = ELF_TEXT_GPA,
		  .p_filesz = ELF_TEXT_BYTES,
		  .p_memsz = ELF_TEXT_BYTES },
		{ .p_type = PT_LOAD,
		  .p_offset = ELF_DATA_AT,
		  .p_paddr = ELF_DATA_GPA,
		  .p_filesz = ELF_DATA_BYTES,
		  .p_memsz = ELF_DATA_ROOM },
		{ .p_type = PT_NOTE,
		  .p_offset = ELF_NOTE_AT,
		  .p_filesz = ELF_NOTE_BYTES },
	};

	memset(file, 0, ELF_BYTES);
	memcpy(file, &h, sizeof(h));
	memcpy(file + sizeof(h), p, sizeof(p));
	elf_build_note(file);
	memset(file + ELF_TEXT_AT, 'T', ELF_TEXT_BYTES);
	memset(file + ELF_DATA_AT, 'D', ELF_DATA_BYTES);
}

/* Fills @file, BZ_AT(bytes) long; @payload is @bytes of the compressed ELF. */
static inline void bz_build(uint8_t *file, const void *payload, size_t bytes)
{
	memset(file, 0, BZ_AT(0));
	put(file, BZ_SETUP_SECTS, 1, 1);
	put(file, BZ_SYSSIZE, (BZ_STUB + bytes + 15) / 16, 4);
	put(file, BZ_BOOT_FLAG, 0xaa55, 2);
	put(file, BZ_JUMP_LENGTH, BZ_HEADER_END - BZ_MAGIC, 1);
	memcpy(file + BZ_MAGIC, "HdrS", 4);
	put(file, BZ_VERSION, 0x020f, 2);
	put(file, BZ_LOADFLAGS, 1, 1);
	put(file, BZ_INITRD_MAX, 0x7fffffff, 4);
	put(file, BZ_XLOADFLAGS, 1, 2);
	put(file, BZ_CMDLINE_SIZE, 2047, 4);
	put(file, BZ_PAYLOAD_OFFSET, BZ_STUB, 4);
	put(file, BZ_PAYLOAD_LENGTH, bytes, 4);
	put(file, BZ_PREF_ADDRESS, BZ_PREF, 8);
	put(file, BZ_INIT_SIZE_AT, BZ_INIT_SIZE, 4);
	memset(file + BZ_KERNEL_AT, 'S', BZ_STUB);
	memcpy(file + BZ_AT(0), payload, bytes);
}

#endif
