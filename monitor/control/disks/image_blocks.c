/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/disks/image_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/base/progress.h"

int image_open(const char *base, const char *cow, unsigned flags,
	       struct image *img, struct diag *d)
{
	const char *why = "";
	int err;

	*img = (struct image){ .name = { .path = cow,
					 .read_only = flags & COW_PAIR_READ } };
	/* The base that the header describes, whatever it looks like. */
	err = cow_pair_open(NULL, base, cow, flags | COW_PAIR_RAW_BASE,
			    &img->pair, d);
	if (err)
		return err;
	img->buf = malloc(IMAGE_CHUNK);
	if (!img->buf)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	err = cow_open(&img->pair.io.io, img->pair.cow_bytes, 1, COW_COMMITTING,
		       &img->cow, &why);
	return err ? disk_fail(&img->name, ST_COW_FILE, -err, why, d) : 0;
}

void image_close(struct image *img)
{
	cow_close(img->cow);
	cow_pair_close(&img->pair);
	free(img->buf);
	img->cow = NULL;
	img->buf = NULL;
}

struct one {
	struct disk_req r;
	bool done;
	int err;
};

static void one_done(struct disk_req *r, int err)
{
	struct one *o = container_of(r, struct one, r);

	o->done = true;
	o->err = err;
}

int image_io(struct image *img, enum disk_op op, uint64_t offset, void *buf,
	     uint64_t bytes)
{
	struct iovec v = { buf, bytes };
	struct one o = { .r = { .op = op,
				.offset = offset,
				.bytes = bytes,
				.iov = &v,
				.nr_iov = 1,
				.done = one_done } };
	int err = cow_submit(img->cow, &o.r);

	/* Plain calls: it is done when it was submitted. */
	if (err || !o.done)
		return err ? err : -EIO;
	return o.err;
}

int image_each(struct image *img, bool present, const char *what,
	       int (*each)(struct image *img, uint64_t at, uint64_t bytes,
			   bool is_present, void *arg),
	       void *arg)
{
	const struct cow_layout *l = cow_layout(img->cow);
	const struct cow_map *map = cow_map(img->cow);
	struct progress p;
	int err = 0;

	progress_start(&p, what, l->nr_blocks);
	for (uint64_t b = 0, n; b < l->nr_blocks && !err; b += n) {
		uint64_t at = b * COW_BLOCK_BYTES, end;
		bool is = cow_map_has(map, b);

		n = cow_map_run(map, b,
				min_u64(l->nr_blocks - b,
					IMAGE_CHUNK / COW_BLOCK_BYTES));
		end = min_u64((b + n) * COW_BLOCK_BYTES, l->disk_bytes);
		if (is || !present)
			err = each(img, at, end - at, is, arg);
		progress_show(&p, b + n);
	}
	progress_end(&p);
	return err;
}

bool image_is_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}
