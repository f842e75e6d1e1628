/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco image import: what is compressed is decompressed (image_packed.h), and
 * qemu-img converts all else. An image may name other files of the host: its
 * backing file, a file with its data, extents. Its owner could so read every
 * file that we can read; so only those are given to qemu-img that the operator
 * has named, too. qemu-img gets open files and, in a tree of JSON (qemu's "block
 * device options"), the role of each: no name is left to it, to interpret or to
 * follow, but for the extents of a vmdk descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include "monitor/control/base/new_file.h"
#include "monitor/control/disks/image.h"
#include "monitor/control/disks/image_names.h"
#include "monitor/control/disks/image_packed.h"
#include "monitor/control/disks/image_tool.h"

#define CHAIN_MAX 64u /* images, each the backing file of the one before */

/* A file that may be read: the source first, then those of --backing. */
struct import_file {
	const char *path;
	struct stat st;
	uint64_t bytes;
};

struct import {
	struct import_file *files; /* nr */
	int *fds;		   /* nr; -1: not open */
	unsigned nr;
	struct diag *d;
};

static int import_failed(const char *path, int err, struct diag *d)
{
	return diag_fail(d, ST_DISK, -err, "%.200s: %s", path, strerror(-err));
}

static int import_open(struct import *im, const char *path)
{
	struct import_file *f = &im->files[im->nr];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	im->fds[im->nr] = fd;
	if (fd < 0)
		return import_failed(path, -errno, im->d);
	im->nr++;
	f->path = path;
	if (fstat(fd, &f->st) < 0)
		return import_failed(path, -errno, im->d);
	f->bytes = (uint64_t)f->st.st_size;
	if (S_ISBLK(f->st.st_mode) && ioctl(fd, BLKGETSIZE64, &f->bytes) == 0)
		return 0;
	if (S_ISREG(f->st.st_mode))
		return 0;
	return diag_fail(im->d, ST_DISK, EINVAL,
			 "%.200s: is neither a regular file nor a block device",
			 path);
}

static int open_all(struct import *im, const struct command_args *a)
{
	int err = import_open(im, a->words[0]);

	for (unsigned i = 0; i < a->nr_items && !err; i++)
		err = import_open(im, a->items[i].value);
	return err;
}

/* --- names --- */

/* Relative to the image that has the name. Return: malloc'ed; NULL. */
static char *resolve_name(const char *image, const char *name)
{
	const char *slash = strrchr(image, '/');
	char *out;

	if (*name == '/' || !slash)
		return strdup(name);
	return asprintf(&out, "%.*s/%s", (int)(slash - image), image, name) < 0
		       ? NULL
		       : out;
}

/*
 * Which of the files has this name? What counts is the file, not how the
 * operator has spelled its name. @what: "backing file". @out: its index.
 */
static int find_named(struct import *im, const char *image, const char *what,
		      const char *name, unsigned *out)
{
	char *path = resolve_name(image, name);
	struct stat st;
	bool is_there;

	if (!path)
		return diag_fail(im->d, ST_HOST, ENOMEM, "out of memory");
	is_there = stat(path, &st) == 0;
	free(path);
	for (unsigned i = 1; is_there && i < im->nr; i++) {
		const struct stat *f = &im->files[i].st;

		if (f->st_dev == st.st_dev && f->st_ino == st.st_ino) {
			*out = i;
			return 0;
		}
	}
	return diag_fail(im->d, ST_DISK, EPERM,
			 "%.150s: names the %s '%.150s', which is not read "
			 "unless --backing names it, too%s",
			 image, what, name,
			 is_there ? "" : "; there is no such file");
}

/* --- the tree --- */

static json_t *file_node(const struct import *im, unsigned i)
{
	char path[IMAGE_TOOL_PATH_MAX];

	return json_pack("{s:s, s:s}", "driver",
			 S_ISBLK(im->files[i].st.st_mode) ? "host_device"
							  : "file",
			 "filename", image_tool_path(im->fds[i], path));
}

/* qemu-img looks for extents where the descriptor is: it has to know where. */
static json_t *descriptor_node(const struct import *im, unsigned i)
{
	char *path = realpath(im->files[i].path, NULL);
	json_t *node = json_pack("{s:s, s:s}", "driver", "file", "filename",
				 path ? path : "");

	free(path);
	return node;
}

static int check_extents(struct import *im, unsigned i,
			 const struct image_names *names)
{
	unsigned at = 0;
	int err = 0;

	for (unsigned k = 0; k < names->nr_extents && !err; k++)
		err = find_named(im, im->files[i].path, "extent",
				 names->extents[k], &at);
	return err;
}

static int image_node(struct import *im, unsigned i, bool raw, unsigned depth,
		      json_t **out);

/* No backing file is null: else qemu-img would follow the image's name. */
static int add_backing(struct import *im, unsigned i,
		       const struct image_names *names, unsigned depth,
		       json_t *node)
{
	json_t *backing = NULL;
	unsigned at = 0;
	int err;

	if (!names->backing || !*names->backing) {
		(void)json_object_set_new(node, "backing", json_null());
		return 0;
	}
	err = find_named(im, im->files[i].path, "backing file", names->backing,
			 &at);
	if (!err)
		err = image_node(im, at, names->backing_raw, depth + 1,
				 &backing);
	if (!err)
		(void)json_object_set_new(node, "backing", backing);
	return err;
}

static int add_data(struct import *im, unsigned i,
		    const struct image_names *names, json_t *node)
{
	unsigned at = 0;
	int err = 0;

	if (!names->data)
		return 0;
	err = find_named(im, im->files[i].path, "data file", names->data, &at);
	if (!err)
		(void)json_object_set_new(node, "data-file", file_node(im, at));
	return err;
}

static bool has_backing(enum disk_format f)
{
	return f == DISK_FORMAT_QCOW || f == DISK_FORMAT_QCOW2 ||
	       f == DISK_FORMAT_QED || f == DISK_FORMAT_VMDK ||
	       f == DISK_FORMAT_VMDK_TEXT;
}

static int add_others(struct import *im, unsigned i, enum disk_format format,
		      unsigned depth, json_t *node)
{
	const struct import_file *f = &im->files[i];
	struct image_names names = { .backing = NULL };
	const char *why = "";
	int err;

	err = image_names_read(im->fds[i], f->bytes, format, &names, &why);
	if (err)
		err = diag_fail(im->d, ST_DISK, -err, "%.200s: %s", f->path,
				err == -EBADMSG ? why : strerror(-err));
	if (!err)
		err = check_extents(im, i, &names);
	if (!err)
		err = add_data(im, i, &names, node);
	if (!err && has_backing(format))
		err = add_backing(im, i, &names, depth, node);
	if (!err &&
	    json_object_set_new(node, "file",
				names.nr_extents ? descriptor_node(im, i)
						 : file_node(im, i)))
		err = diag_fail(im->d, ST_DISK, EILSEQ,
				"%.200s: qemu-img takes no path that is not "
				"UTF-8 here; rename it",
				f->path);
	image_names_free(&names);
	return err;
}

static int find_format(struct import *im, unsigned i, enum disk_format *out)
{
	const struct import_file *f = &im->files[i];
	int err = disk_format_probe(im->fds[i], f->bytes, out);

	if (err)
		return import_failed(f->path, err, im->d);
	if (image_packed_is(*out))
		return diag_fail(im->d, ST_DISK, EMEDIUMTYPE,
				 "%.200s: is compressed; decompress it",
				 f->path);
	if (!disk_format_driver(*out))
		return diag_fail(im->d, ST_DISK, EMEDIUMTYPE,
				 "%.200s: is a copy-on-write file; 'disco "
				 "image export BASE FILE OUT' makes a raw file "
				 "of it and its base",
				 f->path);
	return 0;
}

/* @raw: whatever it looks like. @out: owned by the caller. */
static int image_node(struct import *im, unsigned i, bool raw, unsigned depth,
		      json_t **out)
{
	enum disk_format format = DISK_FORMAT_RAW;
	json_t *node;
	int err = 0;

	if (depth == CHAIN_MAX)
		return diag_fail(im->d, ST_DISK, ELOOP,
				 "%.200s: is its own backing file, or one of "
				 "more than %u",
				 im->files[i].path, CHAIN_MAX);
	if (!raw)
		err = find_format(im, i, &format);
	if (err)
		return err;
	node = json_pack("{s:s}", "driver", disk_format_driver(format));
	err = add_others(im, i, format, depth, node);
	if (err)
		json_decref(node);
	else
		*out = node;
	return err;
}

/* "json:{...}". Return: malloc'ed; NULL. */
static char *source_of(json_t *node)
{
	char *text = json_dumps(node, JSON_COMPACT), *out = NULL;

	if (!text || asprintf(&out, "json:%s", text) < 0)
		out = NULL;
	free(text);
	return out;
}

/* --- the command --- */

static int import_convert(struct import *im, int out)
{
	enum disk_format format = DISK_FORMAT_RAW;
	json_t *node = NULL;
	char *source;
	int err = disk_format_probe(im->fds[0], im->files[0].bytes, &format);

	if (err)
		return import_failed(im->files[0].path, err, im->d);
	if (image_packed_is(format))
		return image_packed_unpack(im->files[0].path, im->fds[0],
					   im->files[0].bytes, format, out,
					   im->d);
	err = image_node(im, 0, false, 0, &node);
	if (err)
		return err;
	source = source_of(node);
	json_decref(node);
	if (source)
		err = image_tool_convert(im->files[0].path, source, im->fds,
					 im->nr, out, im->d);
	else
		err = diag_fail(im->d, ST_HOST, ENOMEM, "out of memory");
	free(source);
	return err;
}

static int import_to(struct import *im, const char *path)
{
	struct new_file f;
	int err = new_file_create(&f, path);

	if (err) {
		err = import_failed(path, err, im->d);
		goto close;
	}
	err = import_convert(im, f.fd);
	if (err)
		goto close;
	err = fsync(f.fd) < 0 ? -errno : new_file_publish(&f);
	if (err)
		err = import_failed(path, err, im->d);
close:
	new_file_close(&f);
	return err;
}

int image_import(const struct command_args *a, struct diag *d)
{
	unsigned most = a->nr_items + 1;
	struct import im = { .d = d };
	int err;

	im.files = calloc(most, sizeof(*im.files));
	im.fds = calloc(most, sizeof(*im.fds));
	if (!im.files || !im.fds) {
		err = diag_fail(d, ST_HOST, ENOMEM, "out of memory");
		goto free;
	}
	err = open_all(&im, a);
	if (!err)
		err = import_to(&im, a->words[1]);
	while (im.nr)
		(void)close(im.fds[--im.nr]);
free:
	free(im.files);
	free(im.fds);
	return err;
}
