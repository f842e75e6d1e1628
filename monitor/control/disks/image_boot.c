/* SPDX-License-Identifier: BSD-2-Clause */
/* disco image boot: what `disco run` would boot from a disk. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "monitor/bootdisk/boot_reader.h"
#include "monitor/control/disks/cow_files.h"
#include "monitor/control/disks/image.h"

static const char *kind_name(enum boot_source_kind k)
{
	static const char *const names[] = { [BOOT_FROM_BLS] = "bls",
					     [BOOT_FROM_GRUB] = "grub",
					     [BOOT_FROM_LINKS] = "links" };

	return names[k];
}

/* "", or "partition 2: " */
static const char *partition_text(unsigned nr, char buf[32])
{
	buf[0] = '\0';
	if (nr)
		(void)snprintf(buf, 32, "partition %u: ", nr);
	return buf;
}

static void image_boot_print(const struct boot_found *f)
{
	const struct boot_item *item = &f->item;
	char where[32];

	if (*f->entry)
		printf("entry      %s%s: %s\n",
		       partition_text(f->entry_partition, where), f->entry,
		       item->title);
	else
		printf("entry      %slinks\n",
		       partition_text(f->entry_partition, where));
	printf("kernel     %s%s, %.1f MiB\n",
	       partition_text(f->file_partition, where), item->kernel,
	       (double)f->kernel_bytes / (double)MIB(1));
	for (unsigned i = 0; i < item->nr_initrds; i++)
		printf("initrd     %s%s\n", where, item->initrds[i]);
	printf("cmdline    %s\n", item->cmdline);
}

static int image_boot_json(const struct boot_found *f, struct diag *d)
{
	const struct boot_item *item = &f->item;
	json_t *initrds = json_array(), *j;

	for (unsigned i = 0; i < item->nr_initrds; i++)
		(void)json_array_append_new(initrds,
					    json_string(item->initrds[i]));
	j = json_pack("{s:i s:s s:s s:s s:i s:i s:s s:s s:I s:o s:I s:s}",
		      "version", 1, "kind", kind_name(f->kind), "entry",
		      f->entry, "title", item->title, "entry_partition",
		      (int)f->entry_partition, "partition",
		      (int)f->file_partition, "uuid", f->fs_uuid, "kernel",
		      item->kernel, "kernel_bytes", (json_int_t)f->kernel_bytes,
		      "initrds", initrds, "initrd_bytes",
		      (json_int_t)f->initrd_bytes, "cmdline", item->cmdline);
	return image_print_json(j, d);
}

static int image_boot_open(const struct command_args *a, struct cow_pair *p,
			   struct diag *d)
{
	const struct disk_name disk = { .path = a->words[0],
					.read_only = true };

	*p = COW_PAIR_NONE;
	if (a->nr_words > 1)
		return cow_pair_open(NULL, a->words[0], a->words[1],
				     COW_PAIR_READ, p, d);
	return disk_path_open(&disk, &p->now.bytes, &p->base, d);
}

static int image_boot_read(const struct command_args *a,
			   const struct cow_pair *p, struct boot_found *out,
			   struct diag *d)
{
	const struct disk_name n = { .path = a->words[0] };
	const struct disk_volume_files files = { .base = p->base,
						 .cow = p->cow,
						 .bytes = p->now.bytes,
						 .cow_bytes = p->cow_bytes };
	struct diag inner = { .status = ST_OK };
	int err = boot_reader_run(&files, NULL, out, &inner);

	return err ? disk_fail(&n, inner.status, -err, inner.text, d) : 0;
}

int image_boot(const struct command_args *a, struct diag *d)
{
	struct boot_found found;
	struct cow_pair p;
	int err = image_boot_open(a, &p, d);

	if (!err)
		err = image_boot_read(a, &p, &found, d);
	cow_pair_close(&p);
	if (err)
		return err;
	if (a->given[IMAGE_JSON])
		return image_boot_json(&found, d);
	image_boot_print(&found);
	return ST_OK;
}
