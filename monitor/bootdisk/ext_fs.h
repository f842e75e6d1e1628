/* SPDX-License-Identifier: BSD-2-Clause */
/* ext2, ext3 and ext4, read by libext2fs. */
#ifndef DISCO_BOOTDISK_EXT_FS_H
#define DISCO_BOOTDISK_EXT_FS_H

#include "monitor/bootdisk/boot_fs.h"

/**
 * ext_fs_open() - open a file system for reading
 * @v:   outlives it
 * @out: release with its ops->close()
 * @why: out on -EUCLEAN: what libext2fs says; valid until the next call
 *
 * A journal is not replayed, as GRUB does not replay it either: after a crash
 * of the guest the files are those of the last checkpoint.
 *
 * Context: one thread. Return: 0; -EUCLEAN it is damaged, or has a feature that
 * libext2fs does not know; -ENOMEM.
 */
MUST_CHECK int ext_fs_open(struct volume *v, struct boot_fs **out,
			   const char **why);

#endif
