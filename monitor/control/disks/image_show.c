/* SPDX-License-Identifier: BSD-2-Clause */
/* disco image info, check. */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "monitor/control/disks/image.h"
#include "monitor/control/disks/image_blocks.h"
#include "monitor/control/base/size.h"

#define HASH_TEXT 17

static const char *hash_text(uint64_t h, char buf[HASH_TEXT])
{
	(void)snprintf(buf, HASH_TEXT, "%016llx", (unsigned long long)h);
	return buf;
}

static uint64_t image_show_allocated(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

int image_print_json(json_t *j, struct diag *d)
{
	int err = -1;

	if (j)
		err = json_dumpf(j, stdout, JSON_INDENT(1));
	json_decref(j);
	if (err)
		return diag_fail(d, ST_HOST, ENOMEM, "cannot write the output");
	(void)fputc('\n', stdout);
	return 0;
}

static int info_json(const struct image *img, struct diag *d)
{
	const struct cow_header *h = &img->pair.header;
	char hash[HASH_TEXT];

	return image_print_json(
		json_pack("{s:i s:s s:I s:i s:I s:I s:I s:b s:{s:I s:I s:s}}",
			  "version", 1, "path", img->name.path, "disk_bytes",
			  (json_int_t)h->base.bytes, "block_bytes",
			  (int)COW_BLOCK_BYTES, "blocks",
			  (json_int_t)cow_layout(img->cow)->nr_blocks,
			  "present_blocks",
			  (json_int_t)cow_map_count(cow_map(img->cow)),
			  "allocated_bytes",
			  (json_int_t)image_show_allocated(img->pair.cow),
			  "committing", h->committing, "base", "bytes",
			  (json_int_t)h->base.bytes, "mtime_ns",
			  (json_int_t)h->base.mtime_ns, "content",
			  hash_text(h->base.content, hash)),
		d);
}

static void info_text(const struct image *img)
{
	const struct cow_header *h = &img->pair.header;
	uint64_t n = cow_map_count(cow_map(img->cow));
	char size[SIZE_TEXT_MAX], hash[HASH_TEXT];

	printf("file       %s\n", img->name.path);
	printf("disk       %s\n", size_text(h->base.bytes, size));
	printf("present    %llu of %llu blocks of 4 KiB\n",
	       (unsigned long long)n,
	       (unsigned long long)cow_layout(img->cow)->nr_blocks);
	printf("allocated  %.1f MiB\n",
	       (double)image_show_allocated(img->pair.cow) / (double)MIB(1));
	printf("base       content %s, mtime %lld ns\n",
	       hash_text(h->base.content, hash), (long long)h->base.mtime_ns);
	if (h->committing)
		printf("commit     has begun and not ended\n");
}

/* There is no base here: the map and header alone. */
int image_info(const struct command_args *a, struct diag *d)
{
	struct image img = { .pair = COW_PAIR_NONE,
			     .name = { .path = a->words[0],
				       .read_only = true } };
	const char *why = "";
	int err;

	err = cow_file_open(&img.name, &img.pair, d);
	if (err)
		goto close;
	err = cow_open(&img.pair.io.io, img.pair.cow_bytes, 1, COW_COMMITTING,
		       &img.cow, &why);
	if (err) {
		err = disk_fail(&img.name, ST_COW_FILE, -err, why, d);
		goto close;
	}
	if (a->given[IMAGE_JSON])
		err = info_json(&img, d);
	else
		info_text(&img);
close:
	image_close(&img);
	return err;
}

/* --- check --- */

static int check_run(struct image *img, uint64_t at, uint64_t bytes,
		     bool is_present, void *arg)
{
	struct diag *d = arg;
	int err = image_io(img, DISK_READ, at, img->buf, bytes);

	(void)is_present;
	if (!err)
		return 0;
	return diag_fail(
		d, ST_DISK, -err,
		"%.200s: blocks %llu to %llu cannot be read: %s",
		img->name.path, (unsigned long long)(at / COW_BLOCK_BYTES),
		(unsigned long long)((at + bytes - 1) / COW_BLOCK_BYTES),
		strerror(-err));
}

/* A machine reads the verdict in the text, and in the exit status. */
static int image_show_check_json(const struct image *img, int err,
				 struct diag *d)
{
	int status = err ? (int)d->status : ST_OK;
	uint64_t n = img->cow ? cow_map_count(cow_map(img->cow)) : 0;
	json_t *j = json_pack("{s:i s:s s:b s:i s:s s:I}", "version", 1, "path",
			      img->name.path, "clean", !err, "status", status,
			      "problem", d->text, "present_blocks",
			      (json_int_t)n);

	err = image_print_json(j, d);
	return err ? err : status;
}

int image_check(const struct command_args *a, struct diag *d)
{
	struct image img;
	int ret;

	ret = image_open(a->words[0], a->words[1], COW_PAIR_READ, &img, d);
	if (!ret)
		ret = image_each(&img, true, "check", check_run, d);
	if (a->given[IMAGE_JSON])
		ret = image_show_check_json(&img, ret, d);
	else if (!ret)
		printf("%s: clean, %llu blocks of its own\n", a->words[1],
		       (unsigned long long)cow_map_count(cow_map(img.cow)));
	image_close(&img);
	return ret;
}
