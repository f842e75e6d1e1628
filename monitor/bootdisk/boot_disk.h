/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk and the boot entry on it: looks at its partitions and file systems for
 * what a boot loader would start by itself, and reads those files.
 *
 * In this order, of all partitions: entries of the Boot Loader Specification;
 * GRUB's configuration; Debian's links /vmlinuz and /initrd.img. ext2, ext3,
 * ext4 and vfat are read. What has another file system is named if there is no
 * entry elsewhere.
 */
#ifndef DISCO_BOOTDISK_BOOT_DISK_H
#define DISCO_BOOTDISK_BOOT_DISK_H

#include "disco/diag.h"
#include "monitor/bootentry/boot_entry.h"
#include "monitor/bootdisk/boot_fs.h"

#define BOOT_KERNEL_MAX MIB(512)
#define BOOT_INITRD_MAX GIB(1)

enum boot_source_kind { BOOT_FROM_BLS, BOOT_FROM_GRUB, BOOT_FROM_LINKS };

/* What was found. No pointers: it goes from one process to another. */
struct boot_found {
	enum boot_source_kind kind;
	char entry[BOOT_PATH_MAX];	/* file that has it; "": links */
	char fs_uuid[BOOT_FS_UUID_MAX]; /* of the files' file system */
	unsigned entry_partition, file_partition; /* 0: the whole disk */
	uint64_t kernel_bytes, initrd_bytes;	  /* of all initrds, padded */
	/* Its command line has a console; its device is resolved. */
	struct boot_item item;
};

struct boot_disk;

/**
 * boot_disk_open() - look at partitions and file systems
 * @v:   the disk; outlives it
 * @out: release with boot_disk_close()
 * @d:   out on error: ST_BOOT the partition table is damaged, ST_DISK cannot be
 *       read, ST_HOST
 *
 * Context: one thread; blocks on reads. Return: 0; -errno.
 */
MUST_CHECK int boot_disk_open(struct volume *v, struct boot_disk **out,
			      struct diag *d);

/* NULL is accepted. */
void boot_disk_close(struct boot_disk *b);

/**
 * boot_disk_find() - find the entry that would be booted
 * @d: out on error: ST_BOOT none, a broken one, files that are not there;
 *     ST_DISK; ST_HOST. Text that follows "FILE: "
 *
 * Return: 0; -errno.
 */
MUST_CHECK int boot_disk_find(struct boot_disk *b, struct boot_found *out,
			      struct diag *d);

/**
 * boot_disk_copy() - read the files of an entry that was found
 * @kernel: takes the kernel
 * @initrd: takes the initrds, one behind another, each but the last padded with
 *          zeroes to a multiple of 4 bytes
 *
 * Return: 0; -errno with @d filled, as boot_disk_find().
 */
MUST_CHECK int boot_disk_copy(struct boot_disk *b, const struct boot_found *f,
			      struct boot_sink *kernel,
			      struct boot_sink *initrd, struct diag *d);

#endif
