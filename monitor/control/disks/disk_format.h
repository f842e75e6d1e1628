/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formats of disk images, by their magic numbers. A guest can write any of
 * these into its own raw disk; so a format found here is a reason to ask, never
 * one to interpret a file in another way than the operator said.
 */
#ifndef DISCO_MONITOR_DISK_FORMAT_H
#define DISCO_MONITOR_DISK_FORMAT_H

#include "disco/base.h"

enum disk_format {
	DISK_FORMAT_RAW, /* none of the others */
	DISK_FORMAT_COW, /* cowdisk/disk/cow_format.h */
	DISK_FORMAT_QCOW,
	DISK_FORMAT_QCOW2,
	DISK_FORMAT_QED,
	DISK_FORMAT_VMDK,
	DISK_FORMAT_VMDK_TEXT, /* a descriptor, which names its extents */
	DISK_FORMAT_VHDX,
	DISK_FORMAT_VHD,
	DISK_FORMAT_VDI,
	DISK_FORMAT_PARALLELS,
	DISK_FORMAT_BOCHS,
	DISK_FORMAT_CLOOP,
	DISK_FORMAT_DMG,
	DISK_FORMAT_GZIP, /* compressed, whatever it is */
	DISK_FORMAT_XZ,
	DISK_FORMAT_ZSTD,
};

/**
 * disk_format_probe() - find the format of a file or device
 * @fd:    open for reading; its position is not used
 * @bytes: its size
 * @out:   DISK_FORMAT_RAW if no magic number is there
 *
 * Context: blocks on the file. Return: 0; -errno of pread().
 */
MUST_CHECK int disk_format_probe(int fd, uint64_t bytes, enum disk_format *out);

/* Return: its name for people, "qcow2". */
const char *disk_format_name(enum disk_format f);

/* Return: the name of qemu-img's driver; NULL: it has none. */
const char *disk_format_driver(enum disk_format f);

#endif
