/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/disks/disk_format.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PROBE_BYTES 512u

struct format {
	enum disk_format format;
	bool at_end; /* in the last 512 bytes, not in the first ones */
	const char *magic;
	size_t len, at;
};

#define MAGIC(text) .magic = (text), .len = sizeof(text) - 1

/*
 * The first that fits. A dynamic VHD begins with a copy of the footer that a
 * fixed one has only at its end, and a disk image of macOS has only a trailer.
 */
static const struct format formats[] = {
	{ .format = DISK_FORMAT_COW, MAGIC("DISCOCOW") },
	{ .format = DISK_FORMAT_QCOW, MAGIC("QFI\xfb\0\0\0\1") },
	{ .format = DISK_FORMAT_QCOW2, MAGIC("QFI\xfb") },
	{ .format = DISK_FORMAT_QED, MAGIC("QED\0") },
	{ .format = DISK_FORMAT_VMDK, MAGIC("KDMV") },
	{ .format = DISK_FORMAT_VMDK, MAGIC("COWD") },
	{ .format = DISK_FORMAT_VMDK_TEXT, MAGIC("# Disk DescriptorFile") },
	{ .format = DISK_FORMAT_VHDX, MAGIC("vhdxfile") },
	{ .format = DISK_FORMAT_VHD, MAGIC("conectix") },
	{ .format = DISK_FORMAT_VDI, MAGIC("\x7f\x10\xda\xbe"), .at = 64 },
	{ .format = DISK_FORMAT_PARALLELS, MAGIC("WithoutFreeSpace") },
	{ .format = DISK_FORMAT_PARALLELS, MAGIC("WithouFreSpacExt") },
	{ .format = DISK_FORMAT_BOCHS, MAGIC("Bochs Virtual HD Image") },
	{ .format = DISK_FORMAT_CLOOP, MAGIC("#!/bin/sh\n#V2.0 Format\n") },
	{ .format = DISK_FORMAT_GZIP, MAGIC("\x1f\x8b\x08") },
	{ .format = DISK_FORMAT_XZ,
	  MAGIC("\xfd"
		"7zXZ\0") },
	{ .format = DISK_FORMAT_ZSTD, MAGIC("\x28\xb5\x2f\xfd") },
	{ .format = DISK_FORMAT_VHD, MAGIC("conectix"), .at_end = true },
	{ .format = DISK_FORMAT_DMG, MAGIC("koly"), .at_end = true },
};

static const struct {
	const char *name, *driver;
} names[] = {
	[DISK_FORMAT_RAW] = { "raw", "raw" },
	[DISK_FORMAT_COW] = { "copy-on-write", NULL },
	[DISK_FORMAT_QCOW] = { "qcow", "qcow" },
	[DISK_FORMAT_QCOW2] = { "qcow2", "qcow2" },
	[DISK_FORMAT_QED] = { "qed", "qed" },
	[DISK_FORMAT_VMDK] = { "vmdk", "vmdk" },
	[DISK_FORMAT_VMDK_TEXT] = { "vmdk", "vmdk" },
	[DISK_FORMAT_VHDX] = { "vhdx", "vhdx" },
	[DISK_FORMAT_VHD] = { "vhd", "vpc" },
	[DISK_FORMAT_VDI] = { "vdi", "vdi" },
	[DISK_FORMAT_PARALLELS] = { "parallels", "parallels" },
	[DISK_FORMAT_BOCHS] = { "bochs", "bochs" },
	[DISK_FORMAT_CLOOP] = { "cloop", "cloop" },
	[DISK_FORMAT_DMG] = { "dmg", "dmg" },
	[DISK_FORMAT_GZIP] = { "gzip", NULL },
	[DISK_FORMAT_XZ] = { "xz", NULL },
	[DISK_FORMAT_ZSTD] = { "zstd", NULL },
};

const char *disk_format_name(enum disk_format f)
{
	return names[f].name;
}

const char *disk_format_driver(enum disk_format f)
{
	return names[f].driver;
}

/* What is behind the end of the file stays zero. */
static int probe_read(int fd, uint8_t *buf, uint64_t at)
{
	ssize_t n;

	do
		n = pread(fd, buf, PROBE_BYTES, (off_t)at);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int disk_format_probe(int fd, uint64_t bytes, enum disk_format *out)
{
	uint8_t first[PROBE_BYTES] = { 0 }, last[PROBE_BYTES] = { 0 };
	int err = probe_read(fd, first, 0);

	if (!err && bytes > PROBE_BYTES)
		err = probe_read(fd, last, bytes - PROBE_BYTES);
	if (err)
		return err;
	*out = DISK_FORMAT_RAW;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		const struct format *f = &formats[i];
		const uint8_t *p = f->at_end ? last : first;

		if (memcmp(p + f->at, f->magic, f->len) != 0)
			continue;
		*out = f->format;
		break;
	}
	return 0;
}
