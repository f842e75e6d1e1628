/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootdisk/boot_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "monitor/bootentry/bls.h"
#include "monitor/bootdisk/ext_fs.h"
#include "monitor/bootdisk/fat_fs.h"
#include "monitor/bootdisk/fs_kind.h"
#include "monitor/bootentry/grub_cfg.h"
#include "monitor/bootentry/grub_env.h"
#include "monitor/bootdisk/part_table.h"

#define INITRD_ALIGN 4u
#define HINT	     "give --kernel"

struct boot_volume {
	struct volume_part part;
	unsigned number; /* 0: the whole disk */
	enum part_use use;
	const char *kind;   /* of fs_kind_probe() */
	struct boot_fs *fs; /* NULL: it cannot be read */
	char why[80];	    /* it cannot: of ext_fs_open() */
};

struct boot_disk {
	struct boot_volume volumes[PART_TABLE_MAX];
	unsigned nr;
	bool has_table;
};

/* --- messages --- */

static const char *place_text(unsigned number, char buf[32])
{
	if (number)
		(void)snprintf(buf, 32, "partition %u", number);
	else
		(void)snprintf(buf, 32, "the disk");
	return buf;
}

/* A file system, or the files in it, failed. @err: negative. */
static int boot_disk_fail(const struct boot_volume *v, const char *path,
			  int err, struct diag *d)
{
	char place[32];

	(void)place_text(v->number, place);
	switch (err) {
	case -EDQUOT:
		return diag_fail(
			d, ST_BOOT, EDQUOT,
			"reading its boot files takes too much; " HINT);
	case -ENOMEM:
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	case -EIO:
		return diag_fail(d, ST_DISK, EIO, "%s: %s", place,
				 strerror(-err));
	case -EFBIG:
		return diag_fail(d, ST_BOOT, E2BIG,
				 "%s: %s: is too large to be loaded; " HINT,
				 place, path);
	case -EUCLEAN:
		return diag_fail(d, ST_BOOT, EUCLEAN,
				 "the %s of %s is damaged at %s; " HINT,
				 v->kind, place, path);
	default:
		return diag_fail(d, ST_BOOT, -err, "%s: %s: %s; " HINT, place,
				 path, strerror(-err));
	}
}

/* --- open --- */

static bool boot_volume_has(const struct boot_volume *v, const char *kind)
{
	return v->kind && strcmp(v->kind, kind) == 0;
}

/* A volume that cannot be read is only remembered: another may do. */
static int boot_volume_open(struct boot_volume *v, struct diag *d)
{
	const char *why = "";
	int err = fs_kind_probe(&v->part.v, &v->kind);

	if (err)
		return boot_disk_fail(v, "", err, d);
	if (boot_volume_has(v, "ext4"))
		err = ext_fs_open(&v->part.v, &v->fs, &why);
	else if (boot_volume_has(v, "vfat"))
		err = fat_fs_open(&v->part.v, &v->fs, &why);
	if (err != -EUCLEAN)
		return err ? boot_disk_fail(v, "", err, d) : 0;
	(void)snprintf(v->why, sizeof(v->why), "%s", why);
	return 0;
}

static int boot_disk_add_volumes(struct boot_disk *b, struct volume *disk,
				 struct diag *d)
{
	struct part_table t;
	const char *why = "";
	int err = part_table_read(disk, &t, &why);

	if (err == -EBADMSG)
		return diag_fail(d, ST_BOOT, EBADMSG, "%s; or " HINT, why);
	if (err)
		return boot_disk_fail(&b->volumes[0], "", err, d);
	b->has_table = t.nr > 0;
	b->nr = t.nr ? t.nr : 1;
	if (!t.nr)
		volume_part_init(&b->volumes[0].part, disk, 0, disk->bytes);
	for (unsigned i = 0; i < t.nr; i++) {
		b->volumes[i].number = t.parts[i].number;
		b->volumes[i].use = t.parts[i].use;
		volume_part_init(&b->volumes[i].part, disk, t.parts[i].start,
				 t.parts[i].bytes);
	}
	return 0;
}

void boot_disk_close(struct boot_disk *b)
{
	for (unsigned i = 0; b && i < b->nr; i++)
		if (b->volumes[i].fs)
			b->volumes[i].fs->ops->close(b->volumes[i].fs);
	free(b);
}

int boot_disk_open(struct volume *disk, struct boot_disk **out, struct diag *d)
{
	struct boot_disk *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	err = boot_disk_add_volumes(b, disk, d);
	for (unsigned i = 0; i < b->nr && !err; i++)
		err = boot_volume_open(&b->volumes[i], d);
	if (err) {
		boot_disk_close(b);
		return err;
	}
	*out = b;
	return 0;
}

/* --- the files of an entry --- */

/* "hd0,gpt2", "hd0,msdos1", "hd0,1": the number. */
static unsigned device_partition(const char *device)
{
	size_t n = strlen(device);

	while (n && device[n - 1] >= '0' && device[n - 1] <= '9')
		n--;
	return strchr(device, ',') ? (unsigned)strtoul(device + n, NULL, 10)
				   : 0;
}

static bool boot_volume_is(const struct boot_volume *v, const char *device)
{
	const char *name = strchr(device, ':');
	uint64_t bytes;
	int err;

	if (!v->fs)
		return false;
	if (!name)
		return v->number == device_partition(device);
	name++;
	if (strncmp(device, "uuid:", 5) == 0)
		return strcasecmp(v->fs->uuid, name) == 0;
	if (strncmp(device, "label:", 6) == 0)
		return strcmp(v->fs->label, name) == 0;
	err = v->fs->ops->size(v->fs, name, &bytes);
	return err == 0 || err == -EISDIR;
}

/* Where an entry's files are. NULL: no volume is like its device. */
static struct boot_volume *boot_disk_files(struct boot_disk *b,
					   struct boot_volume *from,
					   const char *device)
{
	if (!*device)
		return from;
	for (unsigned i = 0; i < b->nr; i++)
		if (boot_volume_is(&b->volumes[i], device))
			return &b->volumes[i];
	return NULL;
}

/* Paths of an entry may lack their first slash. */
static int make_absolute(char path[BOOT_PATH_MAX])
{
	size_t n = strlen(path);

	if (*path == '/')
		return 0;
	if (n + 1 >= BOOT_PATH_MAX)
		return -ENAMETOOLONG;
	memmove(path + 1, path, n + 1);
	*path = '/';
	return 0;
}

static int boot_disk_measure(struct boot_volume *v, char *path, uint64_t max,
			     uint64_t *bytes, struct diag *d)
{
	int err = make_absolute(path);

	if (!err)
		err = v->fs->ops->size(v->fs, path, bytes);
	if (!err && *bytes == 0)
		err = -ENODATA;
	if (!err && *bytes > max)
		err = -EFBIG;
	return err ? boot_disk_fail(v, path, err, d) : 0;
}

/* From what an entry says to files that are there. */
static int boot_disk_resolve(struct boot_disk *b, struct boot_volume *from,
			     struct boot_found *f, struct diag *d)
{
	struct boot_item *item = &f->item;
	struct boot_volume *v = boot_disk_files(b, from, item->device);
	uint64_t bytes = 0;
	int err;

	if (!v)
		return diag_fail(
			d, ST_BOOT, ENODEV,
			"its boot entry %s is for another disk (%s); " HINT,
			f->entry, item->device);
	f->entry_partition = from->number;
	f->file_partition = v->number;
	memcpy(f->fs_uuid, v->fs->uuid, sizeof(f->fs_uuid));
	err = boot_disk_measure(v, item->kernel, BOOT_KERNEL_MAX,
				&f->kernel_bytes, d);
	f->initrd_bytes = 0;
	for (unsigned i = 0; i < item->nr_initrds && !err; i++) {
		err = boot_disk_measure(v, item->initrds[i],
					BOOT_INITRD_MAX - f->initrd_bytes,
					&bytes, d);
		f->initrd_bytes =
			align_up(f->initrd_bytes, INITRD_ALIGN) + bytes;
	}
	if (!err && boot_cmdline_add_console(item->cmdline))
		err = diag_fail(d, ST_BOOT, E2BIG,
				"its boot entry %s has a command line that is "
				"too long; " HINT,
				f->entry);
	return err;
}

/* --- entries of the Boot Loader Specification --- */

struct bls_search {
	struct boot_volume *v;
	const char *top; /* "" or "/boot" */
	char *env;
	char *pattern; /* of loader.conf; NULL: none */
	struct bls_entry *best, *next;
	bool best_is_default;
	char best_file[BOOT_PATH_MAX];
	char names[BOOT_FS_NAMES_MAX / 8][BOOT_PATH_MAX];
	unsigned nr;
};

static void bls_on_name(void *arg, const char *name)
{
	struct bls_search *s = arg;

	if (bls_is_name(name) && s->nr < ARRAY_SIZE(s->names) &&
	    boot_text_set(s->names[s->nr], BOOT_PATH_MAX, name) == 0)
		s->nr++;
}

static char *bls_text(const struct bls_search *s, const char *file, size_t max)
{
	char path[2 * BOOT_PATH_MAX], *text = NULL;

	(void)snprintf(path, sizeof(path), "%s%s", s->top, file);
	if (boot_fs_text(s->v->fs, path, max, &text))
		return NULL;
	return text;
}

/* What cannot be read or booted is no entry. */
static void bls_consider(struct bls_search *s, const char *name)
{
	char file[BOOT_PATH_MAX + 32], *text;
	struct bls_entry *e = s->next;
	bool is_default;

	(void)snprintf(file, sizeof(file), "/loader/entries/%s", name);
	text = bls_text(s, file, BLS_TEXT_MAX);
	if (!text || bls_parse(name, text, s->env, e) < 0)
		goto free;
	is_default = s->pattern && bls_matches(e, s->pattern);
	if (*s->best_file && (is_default < s->best_is_default ||
			      (is_default == s->best_is_default &&
			       bls_compare(e, s->best) >= 0)))
		goto free;
	s->next = s->best;
	s->best = e;
	s->best_is_default = is_default;
	memcpy(s->best_file, name, strlen(name) + 1);
free:
	free(text);
}

static void bls_read_settings(struct bls_search *s)
{
	char *conf = bls_text(s, "/loader/loader.conf", BLS_TEXT_MAX);
	const char *pattern = conf ? bls_default(conf) : NULL;

	s->pattern = pattern ? strdup(pattern) : NULL;
	free(conf);
	s->env = bls_text(s, "/grub2/grubenv", GRUB_ENV_MAX);
	if (!s->env)
		s->env = bls_text(s, "/grub/grubenv", GRUB_ENV_MAX);
}

/* Return: 1 found; 0; -errno with @d filled. */
static int bls_search(struct boot_disk *b, struct boot_volume *v,
		      const char *top, struct boot_found *out, struct diag *d)
{
	struct bls_search *s = calloc(1, sizeof(*s));
	char dir[32];
	int err = -ENOMEM;

	(void)snprintf(dir, sizeof(dir), "%s/loader/entries", top);
	if (!s)
		return boot_disk_fail(v, dir, err, d);
	s->v = v;
	s->top = top;
	s->best = calloc(1, sizeof(*s->best));
	s->next = calloc(1, sizeof(*s->next));
	if (s->best && s->next)
		err = v->fs->ops->list(v->fs, dir, bls_on_name, s);
	if (!err && s->nr)
		bls_read_settings(s);
	for (unsigned i = 0; i < s->nr && !err; i++)
		bls_consider(s, s->names[i]);
	if (!err && *s->best_file) {
		out->kind = BOOT_FROM_BLS;
		(void)snprintf(out->entry, sizeof(out->entry), "%s/%.200s", dir,
			       s->best_file);
		out->item = s->best->item;
		err = boot_disk_resolve(b, v, out, d);
		err = err ? err : 1;
	} else if (err == -ENOENT || err == -ENOTDIR) {
		err = 0;
	} else if (err) {
		err = boot_disk_fail(v, dir, err, d);
	}
	free(s->best);
	free(s->next);
	free(s->env);
	free(s->pattern);
	free(s);
	return err;
}

/* --- GRUB --- */

/* Return: as bls_search(). */
static int grub_search(struct boot_disk *b, struct boot_volume *v,
		       const char *dir, struct boot_found *out, struct diag *d)
{
	char path[64], *text = NULL, *env = NULL, place[32];
	const char *why = "";
	int err;

	(void)snprintf(path, sizeof(path), "%s/grub.cfg", dir);
	err = boot_fs_text(v->fs, path, GRUB_CFG_MAX, &text);
	if (err)
		return err == -ENOENT ? 0 : boot_disk_fail(v, path, err, d);
	out->kind = BOOT_FROM_GRUB;
	(void)snprintf(out->entry, sizeof(out->entry), "%s", path);
	(void)snprintf(path, sizeof(path), "%s/grubenv", dir);
	if (boot_fs_text(v->fs, path, GRUB_ENV_MAX, &env))
		env = NULL;
	err = grub_cfg_default(text, env, &out->item, &why);
	free(text);
	free(env);
	if (!err)
		err = boot_disk_resolve(b, v, out, d);
	else if (err == -ENOMEM)
		err = boot_disk_fail(v, path, err, d);
	else
		err = diag_fail(d, ST_BOOT, -err, "%s on %s: %s; " HINT,
				out->entry, place_text(v->number, place), why);
	return err ? err : 1;
}

/* --- links --- */

/* Return: as bls_search(). */
static int links_search(struct boot_disk *b, struct boot_volume *v,
			const char *top, struct boot_found *out, struct diag *d)
{
	struct boot_item *item = &out->item;
	char initrd[BOOT_PATH_MAX];
	uint64_t bytes;
	int err;

	/* A root file system has them, which is no vfat. */
	if (!boot_volume_has(v, "ext4"))
		return 0;
	memset(item, 0, sizeof(*item));
	(void)snprintf(item->kernel, BOOT_PATH_MAX, "%s/vmlinuz", top);
	(void)snprintf(initrd, sizeof(initrd), "%s/initrd.img", top);
	err = v->fs->ops->size(v->fs, item->kernel, &bytes);
	if (err == -ENOENT || err == -EISDIR || err == -EINVAL)
		return 0;
	if (err)
		return boot_disk_fail(v, item->kernel, err, d);
	out->kind = BOOT_FROM_LINKS;
	out->entry[0] = '\0';
	err = v->fs->ops->size(v->fs, initrd, &bytes);
	if (err == 0 && boot_item_add_initrd(item, initrd) == 0)
		(void)snprintf(item->cmdline, sizeof(item->cmdline),
			       "root=UUID=%s ro", v->fs->uuid);
	else if (err == -ENOENT && v->number)
		(void)snprintf(item->cmdline, sizeof(item->cmdline),
			       "root=/dev/vda%u ro", v->number);
	else if (err == -ENOENT)
		(void)snprintf(item->cmdline, sizeof(item->cmdline),
			       "root=/dev/vda ro");
	else
		return boot_disk_fail(v, initrd, err, d);
	err = boot_disk_resolve(b, v, out, d);
	return err ? err : 1;
}

/* --- all of them --- */

struct boot_place {
	const char *path;
	int (*search)(struct boot_disk *b, struct boot_volume *v,
		      const char *path, struct boot_found *out, struct diag *d);
};

/* One after another, each on all volumes; those made for it first. */
static const struct boot_place boot_places[] = {
	{ "", bls_search },	   { "/boot", bls_search },
	{ "/grub", grub_search },  { "/boot/grub", grub_search },
	{ "/grub2", grub_search }, { "/boot/grub2", grub_search },
	{ "", links_search },	   { "/boot", links_search },
};

static int boot_place_search(struct boot_disk *b, const struct boot_place *p,
			     struct boot_found *out, struct diag *d)
{
	static const enum part_use order[] = { PART_XBOOTLDR, PART_ESP,
					       PART_OTHER };
	int got = 0;

	for (size_t k = 0; k < ARRAY_SIZE(order); k++) {
		for (unsigned i = 0; i < b->nr && !got; i++) {
			struct boot_volume *v = &b->volumes[i];

			if (v->fs && v->use == order[k])
				got = p->search(b, v, p->path, out, d);
		}
	}
	return got;
}

/* No entry: why, and what to do. */
static int boot_disk_none(const struct boot_disk *b, struct diag *d)
{
	const struct boot_volume *read = NULL, *other = NULL, *bad = NULL;
	char place[32];

	for (unsigned i = 0; i < b->nr; i++) {
		const struct boot_volume *v = &b->volumes[i];

		if (v->fs)
			read = v;
		else if (*v->why)
			bad = bad ? bad : v;
		else if (v->kind && (!other || boot_volume_has(other, "swap")))
			other = v;
	}
	if (bad)
		return diag_fail(d, ST_BOOT, EUCLEAN,
				 "the %s of %s cannot be read (%s); " HINT,
				 bad->kind, place_text(bad->number, place),
				 bad->why);
	if (other && (!read || !boot_volume_has(other, "swap")))
		return diag_fail(d, ST_BOOT, ENOTSUP,
				 "no boot entry on an ext4 or vfat, and %s has "
				 "%s, which is not read here; copy the kernel "
				 "out of it, and " HINT,
				 place_text(other->number, place), other->kind);
	if (read)
		return diag_fail(d, ST_BOOT, ENOENT,
				 "no boot entry on it (loader/entries, "
				 "grub.cfg or /vmlinuz); " HINT);
	return diag_fail(d, ST_BOOT, ENOENT, "%s; " HINT,
			 b->has_table ? "none of its partitions has a file "
					"system that is known here"
				      : "has neither partitions nor a file "
					"system that is known here");
}

int boot_disk_find(struct boot_disk *b, struct boot_found *out, struct diag *d)
{
	int got = 0;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < ARRAY_SIZE(boot_places) && !got; i++)
		got = boot_place_search(b, &boot_places[i], out, d);
	if (got)
		return got < 0 ? got : 0;
	return boot_disk_none(b, d);
}

/* --- copy --- */

static int boot_disk_pad(struct boot_sink *to, uint64_t bytes)
{
	static const uint8_t zeroes[INITRD_ALIGN];
	size_t n = align_up(bytes, INITRD_ALIGN) - bytes;

	return n ? to->put(to, zeroes, n) : 0;
}

int boot_disk_copy(struct boot_disk *b, const struct boot_found *f,
		   struct boot_sink *kernel, struct boot_sink *initrd,
		   struct diag *d)
{
	const struct boot_item *item = &f->item;
	struct boot_volume *v = NULL;
	uint64_t bytes = 0;
	int err;

	for (unsigned i = 0; i < b->nr && !v; i++)
		if (b->volumes[i].fs &&
		    b->volumes[i].number == f->file_partition)
			v = &b->volumes[i];
	if (!v)
		return diag_fail(d, ST_INTERNAL, ENODEV, "no such partition");
	err = v->fs->ops->read(v->fs, item->kernel, BOOT_KERNEL_MAX, kernel);
	if (err)
		return boot_disk_fail(v, item->kernel, err, d);
	for (unsigned i = 0; i < item->nr_initrds; i++) {
		err = i ? boot_disk_pad(initrd, bytes) : 0;
		if (!err)
			err = v->fs->ops->size(v->fs, item->initrds[i], &bytes);
		if (!err)
			err = v->fs->ops->read(v->fs, item->initrds[i],
					       BOOT_INITRD_MAX, initrd);
		if (err)
			return boot_disk_fail(v, item->initrds[i], err, d);
	}
	return 0;
}
