/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parser of a Linux bzImage in memory, or of another image with its header
 * (memtest86+). Nothing in the file is trusted.
 * Source: Linux Documentation/arch/x86/boot.rst (offsets in the .c file).
 */
#ifndef DISCO_MONITOR_BZIMAGE_H
#define DISCO_MONITOR_BZIMAGE_H

#include "disco/boot_layout.h"

#define BZIMAGE_ENTRY64 0x200u /* 64-bit entry, in the protected-mode part */

struct bzimage {
	uint64_t kernel_offset; /* protected-mode part, in the file */
	uint64_t kernel_bytes;
	uint64_t payload_offset; /* compressed ELF, in the file */
	uint64_t payload_bytes;	 /* 0: there is none */
	uint64_t pref_address;	 /* preferred address of the packed kernel */
	uint64_t init_size;	 /* memory that the kernel needs there */
	bool entry64;		 /* it has one; else only the 32-bit entry */
	uint32_t cmdline_max;	 /* characters, without the NUL */
	uint64_t initrd_limit;	 /* the initrd ends here, or below */
	uint32_t hdr_bytes;
	uint8_t hdr[BOOT_HDR_MAX]; /* setup header, from offset 0x1f1 */
};

/* Does the file start like a bzImage? The rest of the file may be missing. */
MUST_CHECK bool bzimage_is(const uint8_t *file, size_t bytes);

/**
 * bzimage_parse() - find the parts of a bzImage
 * @out: untouched on error
 * @why: out on error, a few words
 *
 * Return: 0; -EBADMSG truncated, or its fields contradict each other; -ENOTSUP
 * too old.
 */
MUST_CHECK int bzimage_parse(const uint8_t *file, size_t bytes,
			     struct bzimage *out, const char **why);

#endif
