/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot image: kernel and initrd, laid out once per node and shared by all VMs
 * of that node.
 *
 * A boot image is a sparse memfd that is bound to one node and whose offsets
 * are guest physical addresses (as in the buffer cache, a page's number gives
 * its place). Workers map its extents privately over guest RAM. Guests that run
 * the same kernel thus share its machine pages until they write to them, and a
 * worker copies nothing before its first KVM_RUN.
 *
 * Layout, low to high: [kernel segments] [initrd, at a 2 MiB boundary]. Nothing
 * lies below BOOT_LOW_END: the worker puts boot_params, page tables, the
 * command line and ACPI tables there. The places of initrd and kernel do not
 * depend on the VM's memory size.
 *
 * The kernel file is not trusted: every offset and size in it is checked
 * against the file and against BOOT_IMAGE_MAX.
 */
#ifndef DISCO_MONITOR_BOOT_IMAGE_H
#define DISCO_MONITOR_BOOT_IMAGE_H

#include "disco/base.h"
#include "disco/boot_layout.h"
#include "disco/diag.h"

struct boot_source {
	const char *kernel;    /* path, not NULL */
	const char *initrd;    /* path or NULL */
	const char *cache_dir; /* for unpacked kernels; NULL: none are kept */
	bool keep_packed;      /* the guest decompresses a bzImage itself */
	nodeid_t node;	       /* NODE_AUTO: no binding */
};

struct boot_image {
	int fd; /* read-only descriptor of the memfd; offset == gpa; owned */
	struct boot_layout layout;
};

/**
 * boot_image_create() - lay a kernel and an initrd out for the guests of a node
 * @src:  what to load; not kept
 * @out:  filled on success; release with boot_image_destroy()
 * @d:    out on error, the reason: ST_FILE missing or unreadable,
 *        ST_KERNEL_CUT truncated or corrupt, ST_KERNEL_KIND neither bzImage nor
 *        PVH ELF, ST_HOST no memory
 *
 * A bzImage (boot protocol >= 2.12, 64-bit entry) whose payload is gzip, xz,
 * zstd, lz4 or lzma is unpacked to the ELF it holds, once: the result is kept
 * in @cache_dir, under a name made from a key of the bzImage
 * (kernel_cache_key()), and read from there the next time. A bzImage with an
 * unknown compression, or with @keep_packed, is loaded as it is and
 * decompresses itself in the guest. So is an image with a bzImage's header and
 * no payload, such as memtest86+. Whatever has no 64-bit entry is entered by
 * the 32-bit boot protocol (>= 2.10).
 *
 * Context: control process; blocks on files.
 * Return:  0 or -errno.
 * Source:  Linux Documentation/arch/x86/boot.rst, "32-bit boot protocol" and
 *          "64-bit boot protocol";
 *          Xen docs/misc/pvh.pandoc.
 */
MUST_CHECK int boot_image_create(const struct boot_source *src,
				 struct boot_image *out, struct diag *d);

/* Closes the descriptor; VMs that mapped the image keep it. NULL is fine. */
void boot_image_destroy(struct boot_image *img);

#endif
