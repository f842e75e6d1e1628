/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootdisk/part_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "disco/le.h"

#define SECTOR		 512u
#define MBR_ENTRIES	 446u
#define MBR_ENTRY_BYTES	 16u
#define MBR_PROTECTIVE	 0xeeu
#define GPT_HEADER_BYTES 92u
#define GPT_ENTRY_BYTES	 128u
#define GPT_ENTRIES_MAX	 1024u
#define LOGICAL_MAX	 60u

/* Type GUIDs as they are on the disk: the first three fields little-endian. */
static const uint8_t esp_type[16] = { 0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8,
				      0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0,
				      0xc9, 0x3e, 0xc9, 0x3b };
static const uint8_t xbootldr_type[16] = { 0xff, 0xc2, 0x13, 0xbc, 0xe6, 0x59,
					   0x62, 0x42, 0xa3, 0x52, 0xb2, 0x75,
					   0xfd, 0x6f, 0x71, 0x72 };

struct gpt_header {
	uint64_t entries_lba;
	uint32_t nr, entry_bytes, crc;
};

/* Too many are left out: Linux would number them, nobody boots from them. */
static int part_table_add(struct part_table *t, const struct volume *disk,
			  struct disk_part p, const char **why)
{
	*why = "a partition is not inside the disk; is the image complete?";
	if (p.bytes == 0 || !range_fits(p.start, p.bytes, disk->bytes))
		return -EBADMSG;
	if (t->nr < PART_TABLE_MAX)
		t->parts[t->nr++] = p;
	return 0;
}

/* --- GPT --- */

/* Return: 1 there is a header that is right; 0; -errno. */
static int gpt_read_header(struct volume *disk, uint64_t lba,
			   struct gpt_header *out)
{
	uint8_t s[SECTOR];
	uint32_t bytes, crc;
	int err = volume_read(disk, lba * SECTOR, s, sizeof(s));

	if (err)
		return err;
	bytes = le32_load(s + 12);
	if (memcmp(s, "EFI PART", 8) != 0 || bytes < GPT_HEADER_BYTES ||
	    bytes > SECTOR)
		return 0;
	crc = le32_load(s + 16);
	memset(s + 16, 0, 4);
	if (crc32(0, s, bytes) != crc || le64_load(s + 24) != lba)
		return 0;
	*out = (struct gpt_header){ .entries_lba = le64_load(s + 72),
				    .nr = le32_load(s + 80),
				    .entry_bytes = le32_load(s + 84),
				    .crc = le32_load(s + 88) };
	return out->nr <= GPT_ENTRIES_MAX &&
	       out->entry_bytes >= GPT_ENTRY_BYTES &&
	       out->entry_bytes <= PAGE_BYTES &&
	       out->entry_bytes % GPT_ENTRY_BYTES == 0 &&
	       out->entries_lba <= disk->bytes / SECTOR;
}

static int gpt_add(struct part_table *t, const struct volume *disk,
		   const uint8_t *e, unsigned number, const char **why)
{
	static const uint8_t unused[16];
	uint64_t first = le64_load(e + 32), last = le64_load(e + 40);
	struct disk_part p = { .number = number };

	if (memcmp(e, unused, sizeof(unused)) == 0)
		return 0;
	if (memcmp(e, esp_type, sizeof(esp_type)) == 0)
		p.use = PART_ESP;
	else if (memcmp(e, xbootldr_type, sizeof(xbootldr_type)) == 0)
		p.use = PART_XBOOTLDR;
	/* Numbers that overflow are none of this disk's. */
	if (first <= last && last < disk->bytes / SECTOR) {
		p.start = first * SECTOR;
		p.bytes = (last - first + 1) * SECTOR;
	}
	return part_table_add(t, disk, p, why);
}

/* Return: 1; 0 the entries' checksum is wrong; -errno. */
static int gpt_read_entries(struct volume *disk, const struct gpt_header *h,
			    struct part_table *out, const char **why)
{
	size_t bytes = (size_t)h->nr * h->entry_bytes;
	uint8_t *e;
	int err;

	if (bytes == 0)
		return h->crc == 0;
	if (!range_fits(h->entries_lba * SECTOR, bytes, disk->bytes))
		return 0;
	e = malloc(bytes);
	if (!e)
		return -ENOMEM;
	err = volume_read(disk, h->entries_lba * SECTOR, e, bytes);
	if (err || crc32(0, e, (uInt)bytes) != h->crc)
		goto free;
	for (unsigned i = 0; i < h->nr && !err; i++)
		err = gpt_add(out, disk, e + (size_t)i * h->entry_bytes, i + 1,
			      why);
	if (!err)
		err = 1;
free:
	free(e);
	return err;
}

static int gpt_read(struct volume *disk, struct part_table *out,
		    const char **why)
{
	const uint64_t lbas[] = { 1, disk->bytes / SECTOR - 1 };
	struct gpt_header h = { .nr = 0 };

	for (size_t i = 0; i < ARRAY_SIZE(lbas); i++) {
		int got = gpt_read_header(disk, lbas[i], &h);

		if (got > 0)
			got = gpt_read_entries(disk, &h, out, why);
		if (got)
			return got < 0 ? got : 0;
	}
	*why = "its GPT is damaged, and so is the backup";
	return -EBADMSG;
}

/* --- MBR --- */

static bool mbr_is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/*
 * A chain of tables with one partition each, whose start counts from its table;
 * the next table's counts from the extended partition.
 */
static int mbr_read_logical(struct volume *disk, uint64_t extended,
			    struct part_table *out, const char **why)
{
	uint64_t at = extended;

	for (unsigned i = 0; i < LOGICAL_MAX; i++) {
		uint8_t s[SECTOR];
		const uint8_t *e = s + MBR_ENTRIES;
		struct disk_part p = { .number = 5 + i };
		int err;

		*why = "its chain of logical partitions is broken";
		if (at >= disk->bytes / SECTOR)
			return -EBADMSG;
		err = volume_read(disk, at * SECTOR, s, sizeof(s));
		if (err)
			return err;
		if (s[510] != 0x55 || s[511] != 0xaa)
			return -EBADMSG;
		p.start = (at + le32_load(e + 8)) * SECTOR;
		p.bytes = (uint64_t)le32_load(e + 12) * SECTOR;
		err = e[4] ? part_table_add(out, disk, p, why) : 0;
		e += MBR_ENTRY_BYTES;
		if (err || !mbr_is_extended(e[4]))
			return err;
		at = extended + le32_load(e + 8);
	}
	return 0; /* a loop, or more than anybody has */
}

/*
 * The boot sector of a file system has the same signature: it is a table if all
 * entries can be, and one of them is used.
 */
static bool mbr_is_table(const uint8_t *s)
{
	bool used = false;

	if (s[510] != 0x55 || s[511] != 0xaa)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *e = s + MBR_ENTRIES + i * MBR_ENTRY_BYTES;

		if (e[0] & 0x7f)
			return false;
		if (!e[4])
			continue;
		if (!le32_load(e + 8) || !le32_load(e + 12))
			return false;
		used = true;
	}
	return used;
}

static int mbr_read(struct volume *disk, const uint8_t *s,
		    struct part_table *out, const char **why)
{
	int err = 0;

	for (unsigned i = 0; i < 4 && !err; i++) {
		const uint8_t *e = s + MBR_ENTRIES + i * MBR_ENTRY_BYTES;
		uint64_t start = le32_load(e + 8);
		struct disk_part p = { .number = i + 1,
				       .start = start * SECTOR,
				       .bytes = (uint64_t)le32_load(e + 12) *
						SECTOR };

		if (!e[4])
			continue;
		if (e[4] == 0xef)
			p.use = PART_ESP;
		if (e[4] == 0xea)
			p.use = PART_XBOOTLDR;
		err = mbr_is_extended(e[4])
			      ? mbr_read_logical(disk, start, out, why)
			      : part_table_add(out, disk, p, why);
	}
	return err;
}

int part_table_read(struct volume *disk, struct part_table *out,
		    const char **why)
{
	uint8_t s[SECTOR];
	int err;

	out->nr = 0;
	if (disk->bytes < 4 * SECTOR)
		return 0;
	err = volume_read(disk, 0, s, sizeof(s));
	if (err || !mbr_is_table(s))
		return err;
	for (unsigned i = 0; i < 4; i++)
		if (s[MBR_ENTRIES + i * MBR_ENTRY_BYTES + 4] == MBR_PROTECTIVE)
			return gpt_read(disk, out, why);
	return mbr_read(disk, s, out, why);
}
