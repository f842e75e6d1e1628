/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootdisk/fs_kind.h"

#include <errno.h>
#include <string.h>

struct fs_magic {
	const char *name;
	uint32_t at, len;
	const char *magic;
};

#define MAGIC(at_, text) .at = (at_), .len = sizeof(text) - 1, .magic = (text)

/* Source: the file systems' documentation in Linux; file(1), magic(5). */
static const struct fs_magic magics[] = {
	{ "ext4", MAGIC(1080, "\x53\xef") },
	{ "xfs", MAGIC(0, "XFSB") },
	{ "btrfs", MAGIC(65600, "_BHRfS_M") },
	{ "a LUKS volume", MAGIC(0, "LUKS\xba\xbe") },
	{ "an LVM volume", MAGIC(512, "LABELONE") },
	{ "a part of a RAID", MAGIC(4096, "\xfc\x4e\x2b\xa9") },
	{ "f2fs", MAGIC(1024, "\x10\x20\xf5\xf2") },
	{ "erofs", MAGIC(1024, "\xe2\xe1\xf5\xe0") },
	{ "squashfs", MAGIC(0, "hsqs") },
	{ "bcachefs", MAGIC(4120, "\xc6\x85\x73\xf6") },
	{ "iso9660", MAGIC(32769, "CD001") },
	{ "ntfs", MAGIC(3, "NTFS    ") },
	{ "vfat", MAGIC(82, "FAT32") },
	{ "vfat", MAGIC(54, "FAT1") },
	{ "swap", MAGIC(4086, "SWAPSPACE2") },
};

int fs_kind_probe(struct volume *v, const char **out)
{
	*out = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(magics) && !*out; i++) {
		const struct fs_magic *m = &magics[i];
		char got[16];
		int err;

		if (!range_fits(m->at, m->len, v->bytes))
			continue;
		err = volume_read(v, m->at, got, m->len);
		if (err)
			return err;
		if (memcmp(got, m->magic, m->len) == 0)
			*out = m->name;
	}
	return 0;
}
