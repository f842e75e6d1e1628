/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootdisk/disk_volume.h"

#include <errno.h>

#include "numa/read_at.h"

static int disk_volume_read_raw(struct volume *v, uint64_t at, void *buf,
				size_t bytes)
{
	const struct disk_volume *d = container_of(v, struct disk_volume, v);

	return read_at(d->files.base, buf, bytes, at);
}

struct disk_volume_request {
	struct disk_req r;
	bool done;
	int err;
};

static void disk_volume_done(struct disk_req *r, int err)
{
	struct disk_volume_request *q =
		container_of(r, struct disk_volume_request, r);

	q->done = true;
	q->err = err;
}

static int disk_volume_read_cow(struct volume *v, uint64_t at, void *buf,
				size_t bytes)
{
	struct disk_volume *d = container_of(v, struct disk_volume, v);
	struct iovec part = { buf, bytes };
	struct disk_volume_request q = { .r = { .op = DISK_READ,
						.offset = at,
						.bytes = bytes,
						.iov = &part,
						.nr_iov = 1,
						.done = disk_volume_done } };
	int err = bytes ? cow_submit(d->cow, &q.r) : 0;

	/* Plain calls: it is done when it was submitted. */
	if (err || !bytes)
		return err;
	return q.done ? q.err : -EIO;
}

int disk_volume_open(const struct disk_volume_files *files, uint64_t budget,
		     struct disk_volume *out, const char **why)
{
	*out = (struct disk_volume){ .files = *files, .budget = budget };
	out->v = (struct volume){ .read = disk_volume_read_raw,
				  .bytes = files->bytes,
				  .budget = &out->budget };
	if (files->cow < 0)
		return 0;
	io_fd_init(&out->io, files->base, files->cow);
	out->v.read = disk_volume_read_cow;
	return cow_open(&out->io.io, files->cow_bytes, 1, 0, &out->cow, why);
}

void disk_volume_close(struct disk_volume *d)
{
	cow_close(d->cow);
	d->cow = NULL;
}
