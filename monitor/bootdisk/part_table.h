/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The partitions of a disk: GPT, or MBR with logical partitions. Sectors have
 * 512 bytes, as those of Disco's virtio disks.
 */
#ifndef DISCO_BOOTDISK_PART_TABLE_H
#define DISCO_BOOTDISK_PART_TABLE_H

#include "monitor/bootdisk/volume.h"

#define PART_TABLE_MAX 64u /* partitions that are looked at */

enum part_use { PART_OTHER, PART_ESP, PART_XBOOTLDR };

struct disk_part {
	unsigned number; /* as Linux counts: vda3 is 3 */
	uint64_t start, bytes;
	enum part_use use;
};

struct part_table {
	struct disk_part parts[PART_TABLE_MAX];
	unsigned nr;
};

/**
 * part_table_read() - find the partitions of a disk
 * @out: its parts are inside the disk and not empty, in the table's order; nr 0
 *       where there is no table
 * @why: out on -EBADMSG: text that follows "FILE: " in a message
 *
 * A GPT is believed if the checksums of its header and of its entries are
 * right; the backup at the disk's end is read if the first one is damaged.
 *
 * Return: 0; -EBADMSG a table that is damaged, or whose partitions are outside
 * the disk; -errno of volume_read(). Source: UEFI 2.10, section 5.
 */
MUST_CHECK int part_table_read(struct volume *disk, struct part_table *out,
			       const char **why);

#endif
