/* SPDX-License-Identifier: BSD-2-Clause */
/* FAT12, FAT16 and FAT32, as EFI system partitions have them. */
#ifndef DISCO_BOOTDISK_FAT_FS_H
#define DISCO_BOOTDISK_FAT_FS_H

#include "monitor/bootdisk/boot_fs.h"

/**
 * fat_fs_open() - open a file system for reading
 * @v:   outlives it
 * @out: release with its ops->close()
 * @why: out on -EUCLEAN: a literal
 *
 * Names are found in whatever case; their characters beyond ASCII are '?'.
 *
 * Return: 0; -EUCLEAN its sizes contradict each other; -ENOMEM; -errno of
 * volume_read(). Source: Microsoft, "FAT32 File System Specification" 1.03.
 */
MUST_CHECK int fat_fs_open(struct volume *v, struct boot_fs **out,
			   const char **why);

#endif
