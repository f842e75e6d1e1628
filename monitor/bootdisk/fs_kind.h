/* SPDX-License-Identifier: BSD-2-Clause */
/* Which file system, or what else, a partition has. */
#ifndef DISCO_BOOTDISK_FS_KIND_H
#define DISCO_BOOTDISK_FS_KIND_H

#include "monitor/bootdisk/volume.h"

/**
 * fs_kind_probe() - name what is on a volume, by its magic number
 * @out: "ext4" (also of ext2 and ext3), "xfs", "btrfs", ...; NULL: unknown.
 *       A literal
 *
 * Return: 0; -errno of volume_read().
 */
MUST_CHECK int fs_kind_probe(struct volume *v, const char **out);

#endif
