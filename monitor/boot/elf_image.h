/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parser of an ELF kernel in memory. Nothing in the file is trusted.
 * Source: System V ABI, ELF-64; Xen docs/misc/pvh.pandoc (note 18).
 */
#ifndef DISCO_MONITOR_ELF_IMAGE_H
#define DISCO_MONITOR_ELF_IMAGE_H

#include "disco/boot_layout.h"

#define ELF_MAX_SEGMENTS (BOOT_MAX_EXTENTS - 1) /* one extent is the initrd */

struct elf_segment {
	uint64_t offset; /* in the file */
	uint64_t gpa;	 /* p_paddr */
	uint64_t file_bytes, memory_bytes;
};

struct elf_image {
	unsigned nr_segments;
	struct elf_segment segments[ELF_MAX_SEGMENTS]; /* ascending by gpa */
	uint64_t entry; /* e_entry, checked to lie in a segment */
	bool has_pvh;
	uint64_t pvh_entry; /* checked to lie in a segment */
	uint64_t end;	    /* first gpa after all segments */
};

/* Does the file start with the ELF magic? */
MUST_CHECK bool elf_is(const uint8_t *file, size_t bytes);

/**
 * elf_parse() - find segments and entries
 * @out: untouched on error
 * @why: out on error, a few words
 *
 * Return: 0; -EBADMSG truncated, or its fields contradict each other; -ENOTSUP
 * not an x86-64 executable.
 */
MUST_CHECK int elf_parse(const uint8_t *file, size_t bytes,
			 struct elf_image *out, const char **why);

#endif
