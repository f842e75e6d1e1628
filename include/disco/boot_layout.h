/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a boot image puts kernel and initrd in guest memory. The loader
 * (monitor/boot) fills it, and the worker sets the vCPU up by it. Plain data,
 * which is passed by value inside struct worker_spec.
 */
#ifndef DISCO_BOOT_LAYOUT_H
#define DISCO_BOOT_LAYOUT_H

#include "disco/base.h"

#define BOOT_LOW_END	 MIB(1)
#define BOOT_IMAGE_MAX	 GIB(1) /* highest gpa + 1 of kernel plus initrd */
#define BOOT_MAX_EXTENTS 16
#define BOOT_HDR_MAX	 256 /* bytes of setup header kept */

enum boot_entry {
	BOOT_LINUX64, /* 64-bit boot protocol: long mode, rsi = boot_params */
	BOOT_PVH,     /* 32-bit flat, ebx = hvm_start_info */
	BOOT_LINUX32, /* 32-bit boot protocol: 32-bit flat, esi = boot_params */
};

/*
 * A page-aligned run of guest pages that come from the image; the pages
 * outside of all runs are zero.
 */
struct boot_extent {
	uint64_t gpa;
	uint64_t bytes;
};

/* Addresses are guest physical ones, in bytes. */
struct boot_layout {
	enum boot_entry entry_kind;
	uint64_t entry; /* gpa of the first instruction */
	uint32_t nr_extents;
	struct boot_extent extents[BOOT_MAX_EXTENTS]; /* ascending, disjoint */
	uint64_t initrd_gpa;			      /* 0 when there is none */
	uint64_t initrd_bytes;			      /* exact, not rounded */
	uint64_t end; /* first gpa after kernel (.bss included) and initrd */
	uint32_t hdr_bytes;	   /* not BOOT_PVH: bytes valid in hdr */
	uint8_t hdr[BOOT_HDR_MAX]; /* setup header, from file offset 0x1f1 */
	uint32_t cmdline_max;	   /* characters that the kernel takes */
};

#endif
