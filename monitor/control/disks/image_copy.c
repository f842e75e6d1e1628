/* SPDX-License-Identifier: BSD-2-Clause */
/* disco image commit, export. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control/disks/image.h"
#include "monitor/control/base/new_file.h"
#include "monitor/control/disks/image_blocks.h"

struct target {
	struct io_fd io; /* the file is its IO_BASE */
	struct disk_name name;
	struct diag *d;
};

static int image_copy_failed(const struct disk_name *n, int err, struct diag *d)
{
	return disk_fail(n, cow_status_of(err), -err, strerror(-err), d);
}

static int image_copy_run(struct image *img, uint64_t at, uint64_t bytes,
			  bool is_present, void *arg)
{
	struct target *t = arg;
	int err = image_io(img, DISK_READ, at, img->buf, bytes);

	(void)is_present;
	if (err)
		return image_copy_failed(&img->name, err, t->d);
	err = io_write_now(&t->io.io, IO_BASE, at, img->buf, bytes);
	return err ? image_copy_failed(&t->name, err, t->d) : 0;
}

/* The new file is sparse: blocks of zeroes are not written. */
static int copy_data(struct image *img, uint64_t at, uint64_t bytes,
		     bool is_present, void *arg)
{
	struct target *t = arg;
	int err = image_io(img, DISK_READ, at, img->buf, bytes);

	(void)is_present;
	if (err)
		return image_copy_failed(&img->name, err, t->d);
	for (uint64_t i = 0; i < bytes; i += COW_BLOCK_BYTES) {
		size_t n = min_u64(COW_BLOCK_BYTES, bytes - i);

		if (image_is_zero(img->buf + i, n))
			continue;
		err = io_write_now(&t->io.io, IO_BASE, at + i, img->buf + i, n);
		if (err)
			return image_copy_failed(&t->name, err, t->d);
	}
	return 0;
}

static int export_data(struct image *img, int fd, struct target *t)
{
	int err;

	if (ftruncate(fd, (off_t)cow_layout(img->cow)->disk_bytes) < 0)
		return image_copy_failed(&t->name, -errno, t->d);
	err = image_each(img, false, "export", copy_data, t);
	if (err)
		return err;
	if (fsync(fd) < 0)
		return image_copy_failed(&t->name, -errno, t->d);
	return 0;
}

static int export_to(struct image *img, const char *path, struct diag *d)
{
	struct target t = { .name = { .path = path }, .d = d };
	struct new_file f;
	int err = new_file_create(&f, path);

	if (err) {
		err = image_copy_failed(&t.name, err, d);
		goto close;
	}
	io_fd_init(&t.io, f.fd, -1);
	err = export_data(img, f.fd, &t);
	if (err)
		goto close;
	err = new_file_publish(&f);
	if (err)
		err = image_copy_failed(&t.name, err, d);
close:
	new_file_close(&f);
	return err;
}

int image_export(const struct command_args *a, struct diag *d)
{
	struct image img;
	int err;

	err = image_open(a->words[0], a->words[1], COW_PAIR_READ, &img, d);
	if (!err)
		err = export_to(&img, a->words[2], d);
	image_close(&img);
	return err;
}

/* --- commit --- */

static int set_header(struct image *img, const struct cow_base *base,
		      bool committing, struct diag *d)
{
	const struct cow_header h = { .base = *base, .committing = committing };
	int err = cow_header_write(&img->pair.io.io, &h);

	return err ? image_copy_failed(&img->name, err, d) : 0;
}

/* A hole, or zeroes where there are no holes. */
static int make_zero(struct image *img, uint64_t at, uint64_t bytes)
{
	struct io *io = &img->pair.io.io;
	int err = io_punch_now(io, IO_COW, at, bytes);

	if (err != -EOPNOTSUPP)
		return err;
	memset(img->buf, 0, IMAGE_CHUNK);
	for (uint64_t n; bytes; at += n, bytes -= n) {
		n = min_u64(bytes, IMAGE_CHUNK);
		err = io_write_now(io, IO_COW, at, img->buf, n);
		if (err)
			return err;
	}
	return 0;
}

/* The base has it all, durably: bits go, then the data they meant. */
static int drop_blocks(struct image *img)
{
	const struct cow_layout *l = cow_layout(img->cow);
	struct io *io = &img->pair.io.io;
	int err = make_zero(img, COW_HEADER_BYTES, l->map_bytes);

	if (err)
		return err;
	err = io_sync_now(io, IO_COW);
	if (err)
		return err;
	err = io_punch_now(io, IO_COW, l->data_offset,
			   l->file_bytes - l->data_offset);
	if (err)
		return err;
	if (fallocate(img->pair.cow, FALLOC_FL_KEEP_SIZE, COW_HEADER_BYTES,
		      (off_t)l->map_bytes) < 0)
		return -errno;
	return 0;
}

static int image_copy_empty(struct image *img, struct diag *d)
{
	int err = drop_blocks(img);

	/* Without holes: what absent blocks hold means nothing. */
	if (err && err != -EOPNOTSUPP)
		return image_copy_failed(&img->name, err, d);
	return 0;
}

/*
 * COMMITTING is durable before the base is written, and goes last: an
 * interrupted commit is refused by everything but the same commit, which
 * writes the blocks once more.
 */
static int image_copy_commit(struct image *img, const char *base,
			     struct diag *d)
{
	struct target t = { .name = { .path = base }, .d = d };
	int err;

	io_fd_init(&t.io, img->pair.base, -1);
	err = set_header(img, &img->pair.header.base, true, d);
	if (err)
		return err;
	err = image_each(img, true, "commit", image_copy_run, &t);
	if (err)
		return err;
	if (fsync(img->pair.base) < 0)
		return image_copy_failed(&t.name, -errno, d);
	err = image_copy_empty(img, d);
	if (err)
		return err;
	err = cow_base_look(&t.name, &img->pair, d);
	if (err)
		return err;
	return set_header(img, &img->pair.now, false, d);
}

static int check_before_commit(const struct image *img, struct diag *d)
{
	const struct cow_header *h = &img->pair.header;
	const char *why = "";
	int err = 0;

	if (!h->committing)
		err = cow_base_check(h, &img->pair.now, &why);
	else if (h->base.bytes != img->pair.now.bytes)
		err = -ESTALE;
	if (!err)
		return 0;
	return disk_fail(&img->name, ST_COW_BASE, -err,
			 *why ? why : "its base had another size", d);
}

int image_commit(const struct command_args *a, struct diag *d)
{
	struct image img;
	int err;

	err = image_open(a->words[0], a->words[1],
			 COW_PAIR_WRITE_BASE | COW_PAIR_ANY_BASE, &img, d);
	if (err)
		goto close;
	err = check_before_commit(&img, d);
	if (err)
		goto close;
	err = image_copy_commit(&img, a->words[0], d);
close:
	image_close(&img);
	return err;
}
