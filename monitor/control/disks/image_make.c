/* SPDX-License-Identifier: BSD-2-Clause */
/* disco image create, rebase. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control/disks/image.h"
#include "monitor/control/disks/image_blocks.h"

/* --format=raw: the base is taken as it is. Return: 0; -EINVAL. */
static int name_base(const struct command_args *a, unsigned option,
		     struct disk_name *base, struct diag *d)
{
	const char *format = a->value[option];

	if (format && strcmp(format, "raw") != 0)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "--format: must be 'raw', not '%.64s'; 'disco "
				 "image import' reads other formats",
				 format);
	*base = (struct disk_name){ .path = a->words[0],
				    .read_only = true,
				    .raw = format };
	return 0;
}

int image_create(const struct command_args *a, struct diag *d)
{
	struct cow_pair p = COW_PAIR_NONE;
	struct disk_name base;
	int err;

	err = name_base(a, IMAGE_CREATE_FORMAT, &base, d);
	if (!err)
		err = cow_base_open(&base, &p, d);
	if (!err)
		err = cow_file_make(NULL, a->words[1], &p, d);
	cow_pair_close(&p);
	return err;
}

static int no_io(const struct image *img, int err, struct diag *d)
{
	return disk_fail(&img->name, cow_status_of(err), -err, strerror(-err),
			 d);
}

/* A new base, and a buffer for its blocks. */
struct image_new_base {
	struct cow_pair pair;
	uint8_t buf[COW_BLOCK_BYTES];
	struct diag *d;
};

/* Blocks of the old base that the new one has otherwise. */
static int keep_run(struct image *img, uint64_t at, uint64_t bytes,
		    bool is_present, void *arg)
{
	struct image_new_base *o = arg;
	int err;

	if (is_present)
		return 0;
	err = image_io(img, DISK_READ, at, img->buf, bytes);
	if (err)
		return no_io(img, err, o->d);
	for (uint64_t i = 0; i < bytes; i += COW_BLOCK_BYTES) {
		size_t n = min_u64(COW_BLOCK_BYTES, bytes - i);

		err = io_read_now(&o->pair.io.io, IO_BASE, at + i, o->buf, n);
		if (err)
			return no_io(img, err, o->d);
		if (memcmp(o->buf, img->buf + i, n) == 0)
			continue;
		err = image_io(img, DISK_WRITE, at + i, img->buf + i, n);
		if (err)
			return no_io(img, err, o->d);
	}
	return 0;
}

static int set_base(struct image *img, const struct cow_base *base,
		    struct diag *d)
{
	const struct cow_header h = { .base = *base };
	int err = cow_header_write(&img->pair.io.io, &h);

	return err ? no_io(img, err, d) : 0;
}

/* The blocks first, then the new identity: until then the old base fits. */
static int move_over(const struct command_args *a, struct diag *d)
{
	struct image_new_base o = { .pair = COW_PAIR_NONE, .d = d };
	struct disk_name base;
	struct image img;
	int err;

	err = name_base(a, IMAGE_REBASE_FORMAT, &base, d);
	if (err)
		return err;
	err = image_open(a->value[IMAGE_FROM], a->words[1], 0, &img, d);
	if (err)
		goto close;
	err = cow_base_open(&base, &o.pair, d);
	if (err)
		goto close;
	if (o.pair.now.bytes != img.pair.now.bytes) {
		err = disk_fail(&base, ST_COW_BASE, ESTALE,
				"has another size than the old base", d);
		goto close;
	}
	err = image_each(&img, false, "rebase", keep_run, &o);
	if (err)
		goto close;
	err = image_io(&img, DISK_FLUSH, 0, NULL, 0);
	if (err) {
		err = no_io(&img, err, d);
		goto close;
	}
	err = set_base(&img, &o.pair.now, d);
close:
	cow_pair_close(&o.pair);
	image_close(&img);
	return err;
}

/* Copied or touched: the same contents at another time. */
static int rename_base(struct image *img, struct diag *d)
{
	const struct cow_base *was = &img->pair.header.base;
	const struct cow_base *now = &img->pair.now;

	if (img->pair.header.committing)
		return disk_fail(&img->name, ST_COW_BASE, EUCLEAN,
				 "a commit of it has not ended; give the same "
				 "'disco image commit' again",
				 d);
	if (was->bytes != now->bytes || was->content != now->content)
		return disk_fail(&img->name, ST_COW_BASE, ESTALE,
				 "the base has other contents; name the old "
				 "one by --from OLD to keep what it showed",
				 d);
	return set_base(img, now, d);
}

static int same_again(const struct command_args *a, struct diag *d)
{
	struct image img;
	int err = image_open(a->words[0], a->words[1], COW_PAIR_ANY_BASE, &img,
			     d);

	if (!err)
		err = rename_base(&img, d);
	image_close(&img);
	return err;
}

int image_rebase(const struct command_args *a, struct diag *d)
{
	return a->value[IMAGE_FROM] ? move_over(a, d) : same_again(a, d);
}
