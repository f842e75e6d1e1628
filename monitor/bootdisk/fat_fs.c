/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootdisk/fat_fs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "disco/le.h"

#define CHUNK	      KIB(256)
#define ENTRY_BYTES   32u
#define ENTRIES_MAX   65536u /* of a directory */
#define DEPTH_MAX     16u
#define FAT_PAGE      4096u
#define LONG_NAME_MAX 255u
#define LFN_CHARS     13u
#define LFN_LAST      0x40u
#define ATTR_LABEL    0x08u
#define ATTR_DIR      0x10u
#define ATTR_LFN      0x0fu
#define LOWER_BASE    0x08u
#define LOWER_EXT     0x10u

struct fat_fs {
	struct boot_fs fs;
	struct volume *v;
	unsigned bits; /* of an entry of the table: 12, 16, 32 */
	uint32_t nr_clusters, cluster_bytes;
	uint64_t table_at, table_bytes, data_at;
	uint64_t root_at, root_bytes; /* FAT12, FAT16 */
	uint32_t root_cluster;	      /* FAT32 */
	uint64_t page;		      /* in @table; UINT64_MAX: none */
	uint8_t table[FAT_PAGE + 1];  /* an entry of 12 bits may straddle */
	uint8_t *buf;		      /* CHUNK */
};

/* A file or directory; cluster 0 of a directory is the root. */
struct fat_node {
	uint32_t cluster, bytes;
	bool is_dir;
	char name[LONG_NAME_MAX + 1];
};

/* --- clusters --- */

static uint64_t fat_place(const struct fat_fs *f, uint32_t cluster)
{
	return f->data_at + (uint64_t)(cluster - 2) * f->cluster_bytes;
}

static bool fat_is_cluster(const struct fat_fs *f, uint32_t cluster)
{
	return cluster >= 2 && cluster - 2 < f->nr_clusters;
}

/* Bytes of the table from @at on, at least two of them. */
static int fat_table(struct fat_fs *f, uint64_t at, const uint8_t **out)
{
	uint64_t page = at / FAT_PAGE;
	size_t bytes;
	int err;

	if (page != f->page) {
		bytes = min_u64(FAT_PAGE + 1, f->table_bytes - page * FAT_PAGE);
		memset(f->table, 0, sizeof(f->table));
		err = volume_read(f->v, f->table_at + page * FAT_PAGE, f->table,
				  bytes);
		if (err)
			return err;
		f->page = page;
	}
	*out = f->table + at % FAT_PAGE;
	return 0;
}

/*
 * @out: 0: the chain ends here, or is broken. The table has an entry for each
 * cluster, as was seen when it was opened.
 */
static int fat_next(struct fat_fs *f, uint32_t cluster, uint32_t *out)
{
	uint64_t at = f->bits == 12 ? cluster + cluster / 2
				    : (uint64_t)cluster * (f->bits / 8);
	const uint8_t *p = NULL;
	uint32_t next;
	int err = fat_table(f, at, &p);

	if (err)
		return err;
	if (f->bits == 32)
		next = le32_load(p) & 0x0fffffff;
	else if (f->bits == 16)
		next = le16_load(p);
	else
		next = cluster & 1 ? le16_load(p) >> 4 : le16_load(p) & 0xfff;
	*out = fat_is_cluster(f, next) ? next : 0;
	return 0;
}

/* --- data --- */

static int fat_put(struct fat_fs *f, uint64_t at, uint64_t bytes,
		   struct boot_sink *to)
{
	int err = 0;

	while (bytes && !err) {
		size_t n = min_u64(bytes, CHUNK);

		err = volume_read(f->v, at, f->buf, n);
		if (!err)
			err = to->put(to, f->buf, n);
		at += n;
		bytes -= n;
	}
	return err;
}

/* @bytes of a chain, in runs of clusters that follow each other. */
static int fat_put_chain(struct fat_fs *f, uint32_t cluster, uint64_t bytes,
			 struct boot_sink *to)
{
	uint32_t steps = 0;

	while (bytes) {
		uint32_t first = cluster, next = cluster;
		uint64_t run = 0;
		int err = 0;

		if (!fat_is_cluster(f, cluster))
			return -EUCLEAN;
		while (!err && next == cluster && run < bytes) {
			/* A chain that is longer than the disk has a loop. */
			if (steps++ == f->nr_clusters)
				return -EUCLEAN;
			run += f->cluster_bytes;
			err = fat_next(f, cluster, &next);
			if (next == cluster + 1)
				cluster = next;
			else
				break;
		}
		if (!err)
			err = fat_put(f, fat_place(f, first),
				      min_u64(run, bytes), to);
		if (err)
			return err;
		bytes -= min_u64(run, bytes);
		cluster = next;
	}
	return 0;
}

/* --- directories --- */

struct fat_scan {
	struct boot_sink sink; /* takes a directory */
	/* Return: 1 it ends the scan; 0. */
	int (*each)(struct fat_scan *s, const struct fat_node *n);
	const char *want;	/* fat_find(); NULL: all */
	struct fat_node *found; /* fat_find() */
	void (*name)(void *arg, const char *name);
	void *arg;
	unsigned entries, names;
	char lfn[LONG_NAME_MAX + LFN_CHARS + 1];
	unsigned lfn_next; /* the part that has to come; 0: none */
	bool has_lfn;
};

/* A part of a long name; the last one comes first. */
static void scan_long(struct fat_scan *s, const uint8_t *e)
{
	static const uint8_t places[LFN_CHARS] = { 1,  3,  5,  7,  9,  14, 16,
						   18, 20, 22, 24, 28, 30 };
	unsigned part = e[0] & 0x1fu;

	if (e[0] & LFN_LAST) {
		memset(s->lfn, 0, sizeof(s->lfn));
		s->lfn_next = part;
	}
	s->has_lfn = false;
	if (part == 0 || part != s->lfn_next ||
	    part * LFN_CHARS > LONG_NAME_MAX + LFN_CHARS) {
		s->lfn_next = 0;
		return;
	}
	for (size_t i = 0; i < LFN_CHARS; i++) {
		uint16_t ch = le16_load(e + places[i]);

		s->lfn[(part - 1) * LFN_CHARS + i] = ch == 0xffff ? '\0'
						     : ch < 0x80  ? (char)ch
								  : '?';
	}
	s->lfn_next--;
	s->has_lfn = s->lfn_next == 0;
}

static size_t scan_short_part(char *to, const uint8_t *from, size_t n,
			      bool lower)
{
	size_t used = n;

	while (used && from[used - 1] == ' ')
		used--;
	for (size_t i = 0; i < used; i++) {
		char ch = (char)from[i];

		if (from[i] >= 0x80)
			ch = '?';
		else if (lower && ch >= 'A' && ch <= 'Z')
			ch = (char)(ch - 'A' + 'a');
		to[i] = ch;
	}
	return used;
}

static void scan_short(const uint8_t *e, char *name)
{
	size_t n = scan_short_part(name, e, 8, e[12] & LOWER_BASE), ext;

	ext = scan_short_part(name + n + 1, e + 8, 3, e[12] & LOWER_EXT);
	if (ext)
		name[n++] = '.';
	name[n + ext] = '\0';
}

static int scan_entry(struct fat_scan *s, const uint8_t *e)
{
	struct fat_node n = { .cluster = (uint32_t)le16_load(e + 20) << 16 |
					 le16_load(e + 26),
			      .bytes = le32_load(e + 28),
			      .is_dir = e[11] & ATTR_DIR };
	int err = 0;

	if ((e[11] & 0x3f) == ATTR_LFN && e[0] != 0xe5) {
		scan_long(s, e);
		return 0;
	}
	if (e[0] != 0xe5 && !(e[11] & ATTR_LABEL)) {
		scan_short(e, n.name);
		if (s->has_lfn &&
		    strnlen(s->lfn, sizeof(s->lfn)) <= LONG_NAME_MAX)
			memcpy(n.name, s->lfn, strlen(s->lfn) + 1);
		err = s->each(s, &n);
	}
	s->has_lfn = false;
	s->lfn_next = 0;
	return err;
}

/* Pieces are whole entries. -ECANCELED: seen enough. */
static int scan_put(struct boot_sink *sink, const void *data, size_t bytes)
{
	struct fat_scan *s = container_of(sink, struct fat_scan, sink);
	const uint8_t *e = data;

	for (; bytes >= ENTRY_BYTES; bytes -= ENTRY_BYTES, e += ENTRY_BYTES) {
		if (!e[0] || s->entries++ == ENTRIES_MAX || scan_entry(s, e))
			return -ECANCELED;
	}
	return 0;
}

/* A directory has no size: its chain ends it. */
static int fat_scan_chain(struct fat_fs *f, uint32_t cluster,
			  struct fat_scan *s)
{
	uint32_t steps = 0, next = 0;
	int err = 0;

	while (!err && cluster) {
		if (!fat_is_cluster(f, cluster) || steps++ == f->nr_clusters)
			return -EUCLEAN;
		err = fat_put(f, fat_place(f, cluster), f->cluster_bytes,
			      &s->sink);
		if (!err)
			err = fat_next(f, cluster, &next);
		cluster = next;
	}
	return err;
}

static int fat_scan(struct fat_fs *f, const struct fat_node *dir,
		    struct fat_scan *s)
{
	int err;

	s->sink.put = scan_put;
	if (dir->cluster == 0 && f->bits != 32)
		err = fat_put(f, f->root_at, f->root_bytes, &s->sink);
	else
		err = fat_scan_chain(
			f, dir->cluster ? dir->cluster : f->root_cluster, s);
	return err == -ECANCELED ? 0 : err;
}

static int scan_is_wanted(struct fat_scan *s, const struct fat_node *n)
{
	if (strcasecmp(n->name, s->want) != 0)
		return 0;
	*s->found = *n;
	s->want = NULL;
	return 1;
}

static int fat_find_in(struct fat_fs *f, const struct fat_node *dir,
		       const char *name, struct fat_node *out)
{
	struct fat_scan s = { .each = scan_is_wanted,
			      .want = name,
			      .found = out };
	int err = fat_scan(f, dir, &s);

	return err ? err : s.want ? -ENOENT : 0;
}

static int fat_find(struct fat_fs *f, const char *path, struct fat_node *out)
{
	struct fat_node at = { .is_dir = true };
	char name[LONG_NAME_MAX + 1];

	for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
		struct fat_node next;
		size_t n;
		int err;

		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 0) {
			*out = at;
			return 0;
		}
		if (!at.is_dir || n > LONG_NAME_MAX)
			return -ENOENT;
		memcpy(name, path, n);
		name[n] = '\0';
		err = fat_find_in(f, &at, name, &next);
		if (err)
			return err;
		at = next;
		path += n;
	}
	return -ENAMETOOLONG;
}

/* --- operations --- */

static int fat_fs_find(struct boot_fs *fs, const char *path, struct fat_node *n)
{
	int err = fat_find(container_of(fs, struct fat_fs, fs), path, n);

	return !err && n->is_dir ? -EISDIR : err;
}

static int fat_fs_size(struct boot_fs *fs, const char *path, uint64_t *bytes)
{
	struct fat_node n;
	int err = fat_fs_find(fs, path, &n);

	if (!err)
		*bytes = n.bytes;
	return err;
}

static int fat_fs_read(struct boot_fs *fs, const char *path, uint64_t max,
		       struct boot_sink *to)
{
	struct fat_fs *f = container_of(fs, struct fat_fs, fs);
	struct fat_node n;
	int err = fat_fs_find(fs, path, &n);

	if (err)
		return err;
	return n.bytes > max ? -EFBIG
			     : fat_put_chain(f, n.cluster, n.bytes, to);
}

static int scan_tell(struct fat_scan *s, const struct fat_node *n)
{
	if (s->names++ == BOOT_FS_NAMES_MAX)
		return 1;
	if (*n->name && !strchr(n->name, '/'))
		s->name(s->arg, n->name);
	return 0;
}

static int fat_fs_list(struct boot_fs *fs, const char *dir,
		       void (*each)(void *arg, const char *name), void *arg)
{
	struct fat_fs *f = container_of(fs, struct fat_fs, fs);
	struct fat_scan s = { .each = scan_tell, .name = each, .arg = arg };
	struct fat_node n;
	int err = fat_find(f, dir, &n);

	if (err)
		return err;
	return n.is_dir ? fat_scan(f, &n, &s) : -ENOTDIR;
}

static void fat_fs_close(struct boot_fs *fs)
{
	struct fat_fs *f = container_of(fs, struct fat_fs, fs);

	free(f->buf);
	free(f);
}

static const struct boot_fs_ops fat_fs_ops = { .size = fat_fs_size,
					       .read = fat_fs_read,
					       .list = fat_fs_list,
					       .close = fat_fs_close };

/* --- open --- */

/* Sizes and places, from the boot sector. Return: true if they make sense. */
static bool fat_fs_measure(struct fat_fs *f, const uint8_t *s)
{
	uint32_t sector = le16_load(s + 11), per_cluster = s[13];
	uint64_t table = le16_load(s + 22), total = le16_load(s + 19), meta;
	uint64_t root = le16_load(s + 17) * (uint64_t)ENTRY_BYTES;

	table = table ? table : le32_load(s + 36);
	total = total ? total : le32_load(s + 32);
	if (sector < 512 || sector > 4096 || sector & (sector - 1) ||
	    !per_cluster || per_cluster & (per_cluster - 1) || !s[16] ||
	    !le16_load(s + 14) || !table)
		return false;
	meta = le16_load(s + 14) + s[16] * table + (root + sector - 1) / sector;
	if (meta >= total || !range_fits(0, total * sector, f->v->bytes))
		return false;
	f->cluster_bytes = sector * per_cluster;
	f->nr_clusters = (uint32_t)((total - meta) / per_cluster);
	f->bits = f->nr_clusters < 4085 ? 12 : f->nr_clusters < 65525 ? 16 : 32;
	f->table_at = le16_load(s + 14) * (uint64_t)sector;
	f->table_bytes = table * sector;
	f->root_at = f->table_at + s[16] * f->table_bytes;
	f->root_bytes = root;
	f->data_at = meta * sector;
	f->root_cluster = f->bits == 32 ? le32_load(s + 44) : 0;
	/* The table has an entry for each cluster. */
	return ((uint64_t)f->nr_clusters + 2) * f->bits / 8 <= f->table_bytes &&
	       (f->bits == 32 ? fat_is_cluster(f, f->root_cluster) : root > 0);
}

static void fat_fs_identify(struct fat_fs *f, const uint8_t *s)
{
	const uint8_t *id = s + (f->bits == 32 ? 67 : 39);
	size_t n = 11;

	(void)snprintf(f->fs.uuid, sizeof(f->fs.uuid), "%02X%02X-%02X%02X",
		       id[3], id[2], id[1], id[0]);
	memcpy(f->fs.label, id + 4, n);
	while (n && f->fs.label[n - 1] == ' ')
		n--;
	f->fs.label[n] = '\0';
}

int fat_fs_open(struct volume *v, struct boot_fs **out, const char **why)
{
	struct fat_fs *f = calloc(1, sizeof(*f));
	uint8_t s[512];
	int err;

	if (!f)
		return -ENOMEM;
	f->fs.ops = &fat_fs_ops;
	f->v = v;
	f->page = UINT64_MAX;
	f->buf = malloc(CHUNK);
	err = f->buf ? volume_read(v, 0, s, sizeof(s)) : -ENOMEM;
	if (!err && !fat_fs_measure(f, s)) {
		*why = "its sizes contradict each other";
		err = -EUCLEAN;
	}
	if (err) {
		fat_fs_close(&f->fs);
		return err;
	}
	fat_fs_identify(f, s);
	*out = &f->fs;
	return 0;
}
