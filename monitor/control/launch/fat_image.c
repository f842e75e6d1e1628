/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One sector is one cluster: boot sector, two tables, root directory, clusters.
 * A FAT with fewer than 4085 clusters would be a FAT12.
 */
#include "monitor/control/launch/fat_image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disco/le.h"
#include "monitor/ipc/fds.h"

#define SECTOR	      512u
#define ROOT_ENTRIES  512u
#define ENTRY_BYTES   32u
#define ROOT_SECTORS  (ROOT_ENTRIES * ENTRY_BYTES / SECTOR)
#define CLUSTERS_MIN  4200u
#define FIRST_CLUSTER 2u
#define CHAIN_END     0xffffu
#define LFN_CHARS     13u
#define LFN_LAST      0x40u
#define ATTR_LABEL    0x08u
#define ATTR_FILE     0x20u
#define ATTR_LFN      0x0fu
#define DATE_1980     0x0021u /* 1 January */

struct fat_layout {
	uint32_t clusters, fat_sectors, total;
};

static uint32_t fat_clusters_of(size_t bytes)
{
	return (uint32_t)((bytes + SECTOR - 1) / SECTOR);
}

static int fat_lay_out(const struct fat_file *files, unsigned nr,
		       struct fat_layout *l)
{
	uint64_t bytes = 0;
	uint32_t used = 0;

	for (unsigned i = 0; i < nr; i++) {
		bytes += files[i].bytes;
		if (bytes > FAT_CONTENT_MAX)
			return -EFBIG;
		used += fat_clusters_of(files[i].bytes);
	}
	l->clusters = used < CLUSTERS_MIN ? CLUSTERS_MIN : used;
	l->fat_sectors =
		((l->clusters + FIRST_CLUSTER) * 2 + SECTOR - 1) / SECTOR;
	l->total = 1 + 2 * l->fat_sectors + ROOT_SECTORS + l->clusters;
	return 0;
}

static void fat_boot_sector(const struct fat_layout *l, const char *label,
			    uint32_t id, uint8_t *s)
{
	s[0] = 0xeb; /* a jump */
	s[1] = 0x3c;
	s[2] = 0x90;
	(void)snprintf((char *)s + 3, 9, "MSWIN4.1");
	le16_store(s + 11, SECTOR);
	s[13] = 1;	       /* sectors per cluster */
	le16_store(s + 14, 1); /* sectors before the tables */
	s[16] = 2;	       /* tables */
	le16_store(s + 17, ROOT_ENTRIES);
	if (l->total < 0x10000)
		le16_store(s + 19, (uint16_t)l->total);
	else
		le32_store(s + 32, l->total);
	s[21] = 0xf8; /* a fixed disk */
	le16_store(s + 22, (uint16_t)l->fat_sectors);
	le16_store(s + 24, 63);
	le16_store(s + 26, 255);
	s[36] = 0x80;
	s[38] = 0x29;
	le32_store(s + 39, id);
	(void)snprintf((char *)s + 43, 12, "%-11.11s", label);
	(void)snprintf((char *)s + 54, 9, "FAT16   ");
	s[510] = 0x55;
	s[511] = 0xaa;
}

/* --- directory --- */

/* "USER-D~1   ": nothing that reads long names shows it. */
static void fat_short_name(const char *name, char out[11])
{
	size_t n = strnlen(name, 6);

	memset(out, ' ', 11);
	for (size_t i = 0; i < n; i++)
		out[i] = name[i] >= 'a' && name[i] <= 'z'
				 ? (char)(name[i] - 'a' + 'A')
				 : name[i];
	out[n] = '~';
	out[n + 1] = '1';
}

static uint8_t fat_checksum(const char name[11])
{
	uint8_t sum = 0;

	for (unsigned i = 0; i < 11; i++)
		sum = (uint8_t)((sum >> 1 | sum << 7) + (uint8_t)name[i]);
	return sum;
}

/* Part @part of a long name: 13 characters, a NUL, and then 0xffff. */
static void fat_long_entry(uint8_t *e, const char *name, unsigned part,
			   bool last, uint8_t sum)
{
	static const uint8_t places[LFN_CHARS] = { 1,  3,  5,  7,  9,  14, 16,
						   18, 20, 22, 24, 28, 30 };
	size_t len = strlen(name);

	e[0] = (uint8_t)((part + 1) | (last ? LFN_LAST : 0));
	e[11] = ATTR_LFN;
	e[13] = sum;
	for (size_t i = 0; i < LFN_CHARS; i++) {
		size_t at = part * LFN_CHARS + i;

		le16_store(e + places[i], at < len    ? (uint8_t)name[at]
					  : at == len ? 0
						      : 0xffff);
	}
}

/* The parts of a long name go before its entry, the last part first. */
static uint8_t *fat_dir_entry(uint8_t *e, const struct fat_file *f,
			      uint32_t cluster)
{
	unsigned parts =
		(unsigned)(strlen(f->name) + LFN_CHARS - 1) / LFN_CHARS;
	char name[11];
	uint8_t sum;

	fat_short_name(f->name, name);
	sum = fat_checksum(name);
	for (unsigned p = parts; p-- > 0; e += ENTRY_BYTES)
		fat_long_entry(e, f->name, p, p + 1 == parts, sum);
	memcpy(e, name, sizeof(name));
	e[11] = ATTR_FILE;
	le16_store(e + 16, DATE_1980);
	le16_store(e + 18, DATE_1980);
	le16_store(e + 24, DATE_1980);
	le16_store(e + 26, f->bytes ? (uint16_t)cluster : 0);
	le32_store(e + 28, (uint32_t)f->bytes);
	return e + ENTRY_BYTES;
}

static void fat_chain(uint8_t *fat, uint32_t cluster, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		le16_store(fat + (size_t)(cluster + i) * 2,
			   i + 1 < nr ? (uint16_t)(cluster + i + 1)
				      : CHAIN_END);
}

static void fat_fill(const struct fat_layout *l, const char *label, uint32_t id,
		     const struct fat_file *files, unsigned nr, uint8_t *disk)
{
	uint8_t *fat = disk + SECTOR;
	uint8_t *root = fat + (size_t)2 * l->fat_sectors * SECTOR;
	uint8_t *data = root + ROOT_SECTORS * SECTOR, *e = root;
	uint32_t cluster = FIRST_CLUSTER;

	fat_boot_sector(l, label, id, disk);
	le16_store(fat, 0xfff8);
	le16_store(fat + 2, CHAIN_END);
	memcpy(e, disk + 43, 11);
	e[11] = ATTR_LABEL;
	e += ENTRY_BYTES;
	for (unsigned i = 0; i < nr; i++) {
		uint32_t n = fat_clusters_of(files[i].bytes);

		e = fat_dir_entry(e, &files[i], cluster);
		fat_chain(fat, cluster, n);
		memcpy(data + (size_t)(cluster - FIRST_CLUSTER) * SECTOR,
		       files[i].data, files[i].bytes);
		cluster += n;
	}
	memcpy(fat + (size_t)l->fat_sectors * SECTOR, fat,
	       (size_t)l->fat_sectors * SECTOR);
}

int fat_image_write(int fd, const char *label, uint32_t id,
		    const struct fat_file *files, unsigned nr)
{
	struct fat_layout l;
	uint8_t *disk;
	int err = fat_lay_out(files, nr, &l);

	if (err)
		return err;
	disk = calloc(l.total, SECTOR);
	if (!disk)
		return -ENOMEM;
	fat_fill(&l, label, id, files, nr, disk);
	err = fds_write(fd, disk, (size_t)l.total * SECTOR);
	free(disk);
	return err;
}
