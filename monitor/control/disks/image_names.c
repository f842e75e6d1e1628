/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/disks/image_names.h"

#include <errno.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disco/le.h"

#define NAME_MAX_BYTES	1023u /* QCOW2 and QED allow no more */
#define DESCRIPTOR_MAX	MIB(1)
#define HEADER_BYTES	512u
#define EXTENSIONS_MAX	64u
#define EXT_END		0u
#define EXT_BACKING_FMT 0xe2792acau
#define EXT_DATA_FILE	0x44415441u

/* An image that is read. */
struct names_reader {
	int fd;
	uint64_t bytes;
	uint8_t header[HEADER_BYTES];
	struct image_names *out;
	const char **why;
};

static int names_damaged(struct names_reader *r, const char *text)
{
	*r->why = text;
	return -EBADMSG;
}

static uint32_t be32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static uint64_t be64_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

/* All of @n bytes, or -EBADMSG. */
static int names_read_at(struct names_reader *r, void *buf, uint64_t at,
			 size_t n)
{
	ssize_t got;

	if (at > r->bytes || n > r->bytes - at)
		return names_damaged(r, "truncated or damaged: a name is "
					"behind its end");
	do
		got = pread(r->fd, buf, n, (off_t)at);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	if ((size_t)got != n)
		return names_damaged(r, "truncated while it was read");
	return 0;
}

/* @out: malloc'ed, ends with a NUL. */
static int read_name(struct names_reader *r, uint64_t at, uint64_t n,
		     char **out)
{
	char *text;
	int err;

	if (n > NAME_MAX_BYTES)
		return names_damaged(r, "damaged: a name is longer than 1023 "
					"bytes");
	text = calloc(1, n + 1);
	if (!text)
		return -ENOMEM;
	err = names_read_at(r, text, at, n);
	if (err)
		free(text);
	else
		*out = text;
	return err;
}

/* --- qcow, qcow2 --- */

static int read_extension(struct names_reader *r, uint32_t type, uint64_t at,
			  uint32_t n)
{
	char *format = NULL;
	int err;

	if (type == EXT_DATA_FILE && !r->out->data)
		return read_name(r, at, n, &r->out->data);
	if (type != EXT_BACKING_FMT)
		return 0;
	err = read_name(r, at, n, &format);
	if (!err)
		r->out->backing_raw = strcmp(format, "raw") == 0;
	free(format);
	return err;
}

static int read_extensions(struct names_reader *r, uint64_t at)
{
	uint8_t head[8];

	for (unsigned i = 0; i < EXTENSIONS_MAX; i++) {
		uint32_t type, n;
		int err;

		if (at > r->bytes || r->bytes - at < sizeof(head))
			return 0;
		err = names_read_at(r, head, at, sizeof(head));
		if (err)
			return err;
		type = be32_at(head);
		n = be32_at(head + 4);
		at += sizeof(head);
		if (type == EXT_END)
			return 0;
		err = read_extension(r, type, at, n);
		if (err)
			return err;
		at += align_up((uint64_t)n, 8);
	}
	return names_damaged(r, "damaged: it has too many header extensions");
}

static int names_of_qcow(struct names_reader *r)
{
	uint32_t version = be32_at(r->header + 4);
	uint64_t at = be64_at(r->header + 8);
	int err = 0;

	if (at)
		err = read_name(r, at, be32_at(r->header + 16),
				&r->out->backing);
	if (!err && version >= 2)
		err = read_extensions(
			r, version == 2 ? 72 : be32_at(r->header + 100));
	return err;
}

/* --- qed --- */

static int names_of_qed(struct names_reader *r)
{
	uint64_t features = le64_load(r->header + 16);

	if (!(features & 1))
		return 0;
	r->out->backing_raw = features & 4;
	return read_name(r, le32_load(r->header + 56),
			 le32_load(r->header + 60), &r->out->backing);
}

/* --- vmdk --- */

static int names_add_extent(struct names_reader *r, const char *name)
{
	struct image_names *o = r->out;
	char **grown;

	if (o->nr_extents == IMAGE_MAX_EXTENTS)
		return names_damaged(r, "refers to more than 256 extents");
	grown = reallocarray(o->extents, o->nr_extents + 1,
			     sizeof(*o->extents));
	if (!grown)
		return -ENOMEM;
	o->extents = grown;
	o->extents[o->nr_extents] = strdup(name);
	return o->extents[o->nr_extents++] ? 0 : -ENOMEM;
}

/* RW 4192256 SPARSE "disk-s001.vmdk" */
static int read_extents(struct names_reader *r, const char *text)
{
	for (const char *line = text; *line;) {
		char access[8], type[16], name[512];
		long long sectors;
		int err;

		if (sscanf(line, "%7s %lld %15s \"%511[^\n\r\"]\"", access,
			   &sectors, type, name) == 4) {
			err = names_add_extent(r, name);
			if (err)
				return err;
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return 0;
}

static int read_parent(struct names_reader *r, const char *text)
{
	static const char key[] = "parentFileNameHint";
	const char *name = strstr(text, key);

	if (!name)
		return 0;
	name += strlen(key);
	name += strspn(name, " =\"");
	r->out->backing = strndup(name, strcspn(name, "\"\n"));
	return r->out->backing ? 0 : -ENOMEM;
}

/* @at, @n: of the descriptor. @extents: are they elsewhere? */
static int read_descriptor(struct names_reader *r, uint64_t at, uint64_t n,
			   bool extents)
{
	char *text;
	int err;

	if (at > r->bytes)
		return names_damaged(r, "truncated: its descriptor is behind "
					"its end");
	n = min_u64(n, min_u64(r->bytes - at, DESCRIPTOR_MAX));
	text = calloc(1, n + 1);
	if (!text)
		return -ENOMEM;
	err = names_read_at(r, text, at, n);
	if (!err && extents)
		err = read_extents(r, text);
	if (!err)
		err = read_parent(r, text);
	free(text);
	return err;
}

/*
 * The descriptor inside of a sparse file names that file itself, under the name
 * that it had once, which is not followed. With a capacity of 0 it is one of
 * a disk in several files.
 */
static int names_of_vmdk(struct names_reader *r)
{
	uint64_t capacity = le64_load(r->header + 12);
	uint64_t sector = le64_load(r->header + 28);

	if (memcmp(r->header, "KDMV", 4) != 0 || !sector)
		return 0;
	if (sector > r->bytes / 512)
		return names_damaged(r, "truncated: its descriptor is behind "
					"its end");
	return read_descriptor(r, sector * 512, DESCRIPTOR_MAX, !capacity);
}

int image_names_read(int fd, uint64_t bytes, enum disk_format f,
		     struct image_names *out, const char **why)
{
	struct names_reader r = {
		.fd = fd, .bytes = bytes, .out = out, .why = why
	};
	int err = names_read_at(&r, r.header, 0,
				min_u64(bytes, sizeof(r.header)));

	*out = (struct image_names){ .backing = NULL };
	if (err)
		return err;
	switch (f) {
	case DISK_FORMAT_QCOW:
	case DISK_FORMAT_QCOW2:
		return names_of_qcow(&r);
	case DISK_FORMAT_QED:
		return names_of_qed(&r);
	case DISK_FORMAT_VMDK:
		return names_of_vmdk(&r);
	case DISK_FORMAT_VMDK_TEXT:
		return read_descriptor(&r, 0, DESCRIPTOR_MAX, true);
	default:
		return 0;
	}
}

void image_names_free(struct image_names *n)
{
	for (unsigned i = 0; i < n->nr_extents; i++)
		free(n->extents[i]);
	free(n->extents);
	free(n->backing);
	free(n->data);
	*n = (struct image_names){ .backing = NULL };
}
