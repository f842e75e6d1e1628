/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootdisk/volume.h"

#include <errno.h>

/* A read of few bytes costs a system call: it counts as this many. */
#define LEAST_COST 512u

int volume_read(struct volume *v, uint64_t at, void *buf, size_t bytes)
{
	uint64_t cost = max_u64(bytes, LEAST_COST);

	if (!range_fits(at, bytes, v->bytes))
		return -EINVAL;
	if (v->budget && *v->budget < cost)
		return -EDQUOT;
	if (v->budget)
		*v->budget -= cost;
	return v->read(v, at, buf, bytes);
}

static int volume_part_read(struct volume *v, uint64_t at, void *buf,
			    size_t bytes)
{
	struct volume_part *p = container_of(v, struct volume_part, v);

	return volume_read(p->whole, p->start + at, buf, bytes);
}

void volume_part_init(struct volume_part *p, struct volume *whole,
		      uint64_t start, uint64_t bytes)
{
	*p = (struct volume_part){ .v = { .read = volume_part_read,
					  .bytes = bytes },
				   .whole = whole,
				   .start = start };
}
